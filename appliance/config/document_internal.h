/* document_internal.h - what both halves of the document share: nodes, and the check of its keys.
 */
#ifndef MR_CONFIG_DOCUMENT_INTERNAL_H
#define MR_CONFIG_DOCUMENT_INTERNAL_H

#include "appliance/config/document.h"

/* The line of a node, from 1. */
unsigned mr_node_line(const yaml_node_t *node);
/* The value of a key in a mapping (NULL or another kind of node: it has none), with the key's own
 * node in *key; or NULL, and *key as it was. */
yaml_node_t *mr_node_value(struct mr_document *document, yaml_node_t *mapping, const char *name,
                           yaml_node_t **key);
const char *mr_node_text(const yaml_node_t *scalar);

/* Every key and value against the table of options. 0, or -1 with "path:line: …". */
int mr_document_check_keys(struct mr_document *document, struct mr_error *error);

#endif
