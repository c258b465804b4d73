#include "appliance/config/document.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/config/nearest.h"
#include "appliance/config/options.h"
#include "wire/announcement.h"

#define NAMES_MAX 64

static unsigned line_of(const yaml_node_t *node)
{
    return (unsigned)node->start_mark.line + 1;
}

static const char *scalar(const yaml_node_t *node)
{
    return (const char *)node->data.scalar.value;
}

/* --- names a section may hold --------------------------------------------------------------- */

static bool is_section(const char *name)
{
    size_t count;
    const struct mr_option *rows = mr_options(&count);
    for (size_t i = 0; i < count; i++) {
        if (*name != '\0' && strcmp(rows[i].section, name) == 0) {
            return true;
        }
    }
    return false;
}

/* Keys of a section; for the top of the file the other sections' names too. */
static size_t names_in(const char *section, const char *names[NAMES_MAX])
{
    size_t count, found = 0;
    const struct mr_option *rows = mr_options(&count);
    for (size_t i = 0; i < count && found < NAMES_MAX; i++) {
        const bool begins = i > 0 && strcmp(rows[i].section, rows[i - 1].section) != 0;
        if (strcmp(rows[i].section, section) == 0) {
            names[found++] = rows[i].name;
        } else if (*section == '\0' && begins) {
            names[found++] = rows[i].section;
        }
    }
    return found;
}

static int unknown_key(const struct mr_document *document, const char *section,
                       const yaml_node_t *key, struct mr_error *error)
{
    const char *names[NAMES_MAX];
    const size_t count = names_in(section, names);
    const char *meant = mr_nearest_word(scalar(key), names, count);
    mr_error_set(error, "%s:%u: unknown key '%.64s'", document->path, line_of(key), scalar(key));
    size_t used = strlen(error->text);
    if (*section != '\0') {
        snprintf(error->text + used, sizeof error->text - used, " in section '%s'", section);
        used = strlen(error->text);
    }
    if (meant) {
        snprintf(error->text + used, sizeof error->text - used, "; did you mean '%s'?", meant);
        return -1;
    }
    snprintf(error->text + used, sizeof error->text - used, "; known:");
    for (size_t i = 0; i < count; i++) {
        used = strlen(error->text);
        snprintf(error->text + used, sizeof error->text - used, " %s", names[i]);
    }
    return -1;
}

/* --- walking -------------------------------------------------------------------------------- */

static yaml_node_t *value_of(struct mr_document *document, yaml_node_t *mapping, const char *name,
                             yaml_node_t **key_out)
{
    if (!mapping || mapping->type != YAML_MAPPING_NODE) {
        return NULL;
    }
    for (yaml_node_pair_t *pair = mapping->data.mapping.pairs.start;
         pair < mapping->data.mapping.pairs.top; pair++) {
        yaml_node_t *key = yaml_document_get_node(&document->yaml, pair->key);
        if (key->type == YAML_SCALAR_NODE && strcmp(scalar(key), name) == 0) {
            *key_out = key;
            return yaml_document_get_node(&document->yaml, pair->value);
        }
    }
    return NULL;
}

static const char *shape(const yaml_node_t *node)
{
    return node->type == YAML_MAPPING_NODE ? "a section" : "a list";
}

static int check_value(const struct mr_document *document, const struct mr_option *option,
                       const yaml_node_t *key, const yaml_node_t *value, struct mr_error *error)
{
    const char *dot = *option->section != '\0' ? "." : "";
    if (value->type != YAML_SCALAR_NODE) {
        const char *quotes = option->kind == MR_OPTION_TEXT ? "; put the text into quotes" : "";
        return mr_error_set(error, "%s:%u: %s%s%s must be a single value, not %s%s", document->path,
                            line_of(key), option->section, dot, option->name, shape(value), quotes);
    }
    if (strlen(scalar(value)) != value->data.scalar.length) {
        return mr_error_set(error, "%s:%u: %s%s%s holds a NUL byte", document->path, line_of(key),
                            option->section, dot, option->name);
    }
    const bool number = option->kind == MR_OPTION_UINT || option->kind == MR_OPTION_FLOAT ||
                        option->kind == MR_OPTION_BOOL;
    int bad = mr_option_check(option, scalar(value), error);
    if (bad == 0 && number && value->data.scalar.style != YAML_PLAIN_SCALAR_STYLE) {
        bad = mr_error_set(error, "must stand without quotes: %s", scalar(value));
    }
    return bad == 0 ? 0
                    : mr_error_prefix(error, "%s:%u: %s%s%s", document->path, line_of(key),
                                      option->section, dot, option->name);
}

static int check_section(struct mr_document *document, const char *section, yaml_node_t *key,
                         yaml_node_t *mapping, struct mr_error *error);

static int check_hubs(struct mr_document *document, const yaml_node_t *key, yaml_node_t *list,
                      struct mr_error *error)
{
    if (list->type != YAML_SEQUENCE_NODE) {
        return mr_error_set(error,
                            "%s:%u: 'hubs' must be a list: each entry begins with '- index:'",
                            document->path, line_of(key));
    }
    const long count = list->data.sequence.items.top - list->data.sequence.items.start;
    if (count < 2 || count > MR_HUBS_MAX) {
        return mr_error_set(error, "%s:%u: 'hubs' must list 2 to %d hubs, not %ld", document->path,
                            line_of(key), MR_HUBS_MAX, count);
    }
    for (long i = 0; i < count; i++) {
        yaml_node_t *entry =
            yaml_document_get_node(&document->yaml, list->data.sequence.items.start[i]);
        if (check_section(document, "hubs", entry, entry, error) != 0) {
            return -1;
        }
    }
    return 0;
}

static int check_pair(struct mr_document *document, const char *section, yaml_node_t *key,
                      yaml_node_t *value, struct mr_error *error)
{
    if (key->type != YAML_SCALAR_NODE || strlen(scalar(key)) != key->data.scalar.length) {
        return mr_error_set(error, "%s:%u: a key must be a single word", document->path,
                            line_of(key));
    }
    const struct mr_option *option = mr_option_find(section, scalar(key));
    if (option) {
        return check_value(document, option, key, value, error);
    }
    if (*section != '\0' || !is_section(scalar(key))) {
        return unknown_key(document, section, key, error);
    }
    return strcmp(scalar(key), "hubs") == 0
               ? check_hubs(document, key, value, error)
               : check_section(document, scalar(key), key, value, error);
}

static int check_required(struct mr_document *document, const char *section, yaml_node_t *at,
                          yaml_node_t *mapping, struct mr_error *error)
{
    size_t count;
    const struct mr_option *rows = mr_options(&count);
    for (size_t i = 0; i < count; i++) {
        yaml_node_t *key;
        if (strcmp(rows[i].section, section) == 0 && !rows[i].otherwise &&
            !value_of(document, mapping, rows[i].name, &key)) {
            return mr_error_set(error, "%s:%u: '%s' is missing%s%s%s: %s", document->path,
                                line_of(at), rows[i].name, *section != '\0' ? " in section '" : "",
                                section, *section != '\0' ? "'" : "", rows[i].text);
        }
    }
    return 0;
}

/* `at` is where the section's name stands, for errors about the section as a whole. */
static int check_section(struct mr_document *document, const char *section, yaml_node_t *at,
                         yaml_node_t *mapping, struct mr_error *error)
{
    if (mapping->type != YAML_MAPPING_NODE) {
        return mr_error_set(error,
                            "%s:%u: %s%s must hold lines of the form 'key: value' (leave an "
                            "empty section out)",
                            document->path, line_of(at), *section != '\0' ? "section " : "the file",
                            section);
    }
    for (yaml_node_pair_t *pair = mapping->data.mapping.pairs.start;
         pair < mapping->data.mapping.pairs.top; pair++) {
        yaml_node_t *key = yaml_document_get_node(&document->yaml, pair->key);
        yaml_node_t *value = yaml_document_get_node(&document->yaml, pair->value);
        yaml_node_t *first = key;
        if (check_pair(document, section, key, value, error) != 0) {
            return -1;
        }
        value_of(document, mapping, scalar(key), &first);
        if (first != key) {
            return mr_error_set(error, "%s:%u: '%s' stands here again, first in line %u",
                                document->path, line_of(key), scalar(key), line_of(first));
        }
    }
    return check_required(document, section, at, mapping, error);
}

static int check_root(struct mr_document *document, struct mr_error *error)
{
    static const char *const needed[] = {"identity", "hubs"};
    yaml_node_t *root = yaml_document_get_root_node(&document->yaml), *key;
    if (!root) {
        return mr_error_set(error, "%s:1: the file is empty; config/hub.yaml is a sample",
                            document->path);
    }
    if (check_section(document, "", root, root, error) != 0) {
        return -1;
    }
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
        if (!value_of(document, root, needed[i], &key)) {
            return mr_error_set(error, "%s:1: section '%s' is missing; config/hub.yaml is a sample",
                                document->path, needed[i]);
        }
    }
    return 0;
}

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

static int parse(struct mr_document *document, struct mr_error *error)
{
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser)) {
        return mr_error_set(error, "cannot parse %s: out of memory", document->path);
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)document->text, document->length);
    int bad = 0;
    if (!yaml_parser_load(&parser, &document->yaml)) {
        bad = mr_error_set(error, "%s:%zu: not YAML: %s", document->path,
                           parser.problem_mark.line + 1,
                           parser.problem ? parser.problem : "out of memory");
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
    if (check_root(document, error) != 0) {
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

/* The key's node, or NULL with *above at the nearest thing above it that is there. */
static yaml_node_t *find_key(struct mr_document *document, const char *section, unsigned entry,
                             const char *name, yaml_node_t **above)
{
    yaml_node_t *mapping = yaml_document_get_root_node(&document->yaml), *key = NULL;
    *above = mapping;
    if (*section != '\0') {
        mapping = value_of(document, mapping, section, &key);
        if (!mapping) {
            return NULL;
        }
        *above = key;
        if (mapping->type == YAML_SEQUENCE_NODE) {
            mapping =
                yaml_document_get_node(&document->yaml, mapping->data.sequence.items.start[entry]);
            *above = mapping;
        }
    }
    return value_of(document, mapping, name, &key) ? key : NULL;
}

unsigned mr_document_line(struct mr_document *document, const char *section, unsigned entry,
                          const char *name)
{
    yaml_node_t *above;
    yaml_node_t *key = find_key(document, section, entry, name, &above);
    return line_of(key ? key : above);
}

bool mr_document_has(struct mr_document *document, const char *section, unsigned entry,
                     const char *name)
{
    yaml_node_t *above;
    return find_key(document, section, entry, name, &above);
}
