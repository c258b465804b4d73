#include "appliance/config/document.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/config/document_internal.h"

/* --- reading -------------------------------------------------------------------------------- */

static int read_whole(struct mr_document *document, struct mr_error *error)
{
    FILE *file = fopen(document->path, "rbe");
    if (!file) {
        return mr_error_set(error, "cannot read %s: %s", document->path, strerror(errno));
    }
    document->text = malloc(MR_DOCUMENT_BYTES_MAX + 1);
    if (!document->text) {
        fclose(file);
        return mr_error_set(error, "cannot read %s: out of memory", document->path);
    }
    document->length = fread(document->text, 1, MR_DOCUMENT_BYTES_MAX + 1, file);
    const int failed = ferror(file) ? errno : 0;
    fclose(file);
    if (failed != 0) {
        return mr_error_set(error, "cannot read %s: %s", document->path, strerror(failed));
    }
    if (document->length > MR_DOCUMENT_BYTES_MAX) {
        return mr_error_set(error, "%s is larger than 1 MiB: is it a configuration?",
                            document->path);
    }
    return 0;
}

static int not_yaml(const struct mr_document *document, const yaml_parser_t *parser,
                    struct mr_error *error)
{
    return mr_error_set(error, "%s:%zu: not YAML: %s", document->path,
                        parser->problem_mark.line + 1,
                        parser->problem ? parser->problem : "out of memory");
}

/* What stands behind the first document would be read by nobody. */
static int check_end(const struct mr_document *document, yaml_parser_t *parser,
                     struct mr_error *error)
{
    yaml_document_t next;
    if (!yaml_parser_load(parser, &next)) {
        return not_yaml(document, parser, error);
    }
    const bool more = yaml_document_get_root_node(&next);
    const size_t line = next.start_mark.line + 1;
    yaml_document_delete(&next);
    return more ? mr_error_set(error,
                               "%s:%zu: a second document begins here ('---'): a configuration is "
                               "one document, put the keys together",
                               document->path, line)
                : 0;
}

static int parse(struct mr_document *document, struct mr_error *error)
{
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser)) {
        return mr_error_set(error, "cannot parse %s: out of memory", document->path);
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)document->text, document->length);
    int bad = 0;
    if (!yaml_parser_load(&parser, &document->yaml)) {
        bad = not_yaml(document, &parser, error);
    } else if (yaml_document_get_root_node(&document->yaml) &&
               check_end(document, &parser, error) != 0) {
        yaml_document_delete(&document->yaml);
        bad = -1;
    }
    yaml_parser_delete(&parser);
    return bad;
}

int mr_document_open(struct mr_document *document, const char *path, struct mr_error *error)
{
    *document = (struct mr_document){.path = path};
    if (read_whole(document, error) != 0 || parse(document, error) != 0) {
        free(document->text);
        return -1;
    }
    if (mr_document_check_keys(document, error) != 0) {
        mr_document_close(document);
        return -1;
    }
    return 0;
}

void mr_document_close(struct mr_document *document)
{
    yaml_document_delete(&document->yaml);
    free(document->text);
}

/* --- asking --------------------------------------------------------------------------------- */

/* One step down: the section's mapping below `mapping`, with *above where its name stands. */
static yaml_node_t *enter(struct mr_document *document, yaml_node_t *mapping, const char *name,
                          unsigned entry, yaml_node_t **above)
{
    yaml_node_t *key = NULL, *below = mr_node_value(document, mapping, name, &key);
    if (!below) {
        return NULL;
    }
    *above = key;
    if (below->type == YAML_SEQUENCE_NODE) {
        below = yaml_document_get_node(&document->yaml, below->data.sequence.items.start[entry]);
        *above = below;
    }
    return below;
}

/* The mapping of a section, or NULL; *above is the nearest thing above that is there. */
static yaml_node_t *find_section(struct mr_document *document, const char *section, unsigned entry,
                                 yaml_node_t **above)
{
    yaml_node_t *mapping = yaml_document_get_root_node(&document->yaml);
    char step[32];
    *above = mapping;
    for (const char *at = section; mapping && *at != '\0';) {
        const size_t length = strcspn(at, ".");
        snprintf(step, sizeof step, "%.*s", (int)length, at);
        mapping = enter(document, mapping, step, entry, above);
        at += length + (at[length] == '.');
    }
    return mapping;
}

/* The key's node, or NULL with *above at the nearest thing above it that is there. */
static yaml_node_t *find_key(struct mr_document *document, const char *section, unsigned entry,
                             const char *name, yaml_node_t **above)
{
    yaml_node_t *key = NULL, *mapping = find_section(document, section, entry, above);
    return mr_node_value(document, mapping, name, &key) ? key : NULL;
}

const char *mr_document_text(struct mr_document *document, const char *section, unsigned entry,
                             const char *name)
{
    yaml_node_t *above, *key = NULL, *mapping = find_section(document, section, entry, &above);
    const yaml_node_t *value = mr_node_value(document, mapping, name, &key);
    return value && value->type == YAML_SCALAR_NODE ? mr_node_text(value) : NULL;
}

unsigned mr_document_line(struct mr_document *document, const char *section, unsigned entry,
                          const char *name)
{
    yaml_node_t *above;
    yaml_node_t *key = find_key(document, section, entry, name, &above);
    return mr_node_line(key ? key : above);
}

bool mr_document_has(struct mr_document *document, const char *section, unsigned entry,
                     const char *name)
{
    yaml_node_t *above;
    return find_key(document, section, entry, name, &above);
}

int mr_document_blame(struct mr_document *document, const char *section, unsigned entry,
                      const char *name, struct mr_error *error)
{
    return mr_error_prefix(error, "%s:%u: %s%s%s", document->path,
                           mr_document_line(document, section, entry, name), section,
                           *section != '\0' ? "." : "", name);
}
