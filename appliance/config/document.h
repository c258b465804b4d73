/* document.h - the YAML file as it was written: which keys stand where.
 *
 * libcyaml fills the struct; this sees to it that whatever is wrong is reported with its line and
 * its remedy, and knows which keys were given at all. One thread. */
#ifndef MR_CONFIG_DOCUMENT_H
#define MR_CONFIG_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <yaml.h>

#include "base/error.h"

#define MR_DOCUMENT_BYTES_MAX (1u << 20)

struct mr_document {
    const char *path; /* as the caller wrote it; borrowed */
    char *text;       /* the whole file */
    size_t length;
    yaml_document_t yaml;
};

/* Reads and parses the file, and checks every key and value in it against the table of options.
 * 0, or -1 with "path:line: …". On success mr_document_close is owed. */
int mr_document_open(struct mr_document *document, const char *path, struct mr_error *error);
void mr_document_close(struct mr_document *document);

/* The line (from 1) of a key, or of what it would stand in where it is absent. `entry` counts the
 * entries of the section's list from 0 and is ignored for a section that is in none. */
unsigned mr_document_line(struct mr_document *document, const char *section, unsigned entry,
                          const char *name);
bool mr_document_has(struct mr_document *document, const char *section, unsigned entry,
                     const char *name);

/* The text of a single value as it stands in the file; NULL: the key is absent. */
const char *mr_document_text(struct mr_document *document, const char *section, unsigned entry,
                             const char *name);

/* Puts "path:line: section.name" of the key in front of the error's text; returns -1. */
int mr_document_blame(struct mr_document *document, const char *section, unsigned entry,
                      const char *name, struct mr_error *error);

#endif
