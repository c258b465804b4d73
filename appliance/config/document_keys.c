/* document_keys.c - every key and value of the file against the table of options. */
#include <stdio.h>
#include <string.h>

#include "appliance/config/document_internal.h"
#include "appliance/config/limits.h"
#include "appliance/config/nearest.h"
#include "appliance/config/options.h"
#include "wire/announcement.h"

#define NAMES_MAX 64

/* --- nodes ---------------------------------------------------------------------------------- */

unsigned mr_node_line(const yaml_node_t *node)
{
    return (unsigned)node->start_mark.line + 1;
}

const char *mr_node_text(const yaml_node_t *scalar)
{
    return (const char *)scalar->data.scalar.value;
}

yaml_node_t *mr_node_value(struct mr_document *document, yaml_node_t *mapping, const char *name,
                           yaml_node_t **key_out)
{
    if (!mapping || mapping->type != YAML_MAPPING_NODE) {
        return NULL;
    }
    for (yaml_node_pair_t *pair = mapping->data.mapping.pairs.start;
         pair < mapping->data.mapping.pairs.top; pair++) {
        yaml_node_t *key = yaml_document_get_node(&document->yaml, pair->key);
        if (key->type == YAML_SCALAR_NODE && strcmp(mr_node_text(key), name) == 0) {
            *key_out = key;
            return yaml_document_get_node(&document->yaml, pair->value);
        }
    }
    return NULL;
}

/* --- names a section may hold --------------------------------------------------------------- */

/* The last part of `name` where it is a section directly inside `section`, or NULL. */
static const char *name_inside(const char *section, const char *name)
{
    const size_t length = strlen(section);
    if (*name == '\0' || strncmp(name, section, length) != 0) {
        return NULL;
    }
    if (length == 0) {
        return strchr(name, '.') ? NULL : name;
    }
    return name[length] == '.' ? name + length + 1 : NULL;
}

/* The whole name of section `key` inside `section`, or NULL if there is none. */
static const char *section_inside(const char *section, const char *key)
{
    size_t count;
    const struct mr_option_section *sections = mr_option_sections(&count);
    for (size_t i = 0; i < count; i++) {
        const char *inside = name_inside(section, sections[i].name);
        if (inside && strcmp(inside, key) == 0) {
            return sections[i].name;
        }
    }
    return NULL;
}

/* Keys of a section, and the names of the sections inside it. */
static size_t names_in(const char *section, const char *names[NAMES_MAX])
{
    size_t count, found = 0;
    const struct mr_option *rows = mr_options(&count);
    for (size_t i = 0; i < count && found < NAMES_MAX; i++) {
        if (strcmp(rows[i].section, section) == 0) {
            names[found++] = rows[i].name;
        }
    }
    const struct mr_option_section *sections = mr_option_sections(&count);
    for (size_t i = 0; i < count && found < NAMES_MAX; i++) {
        const char *inside = name_inside(section, sections[i].name);
        if (inside) {
            names[found++] = inside;
        }
    }
    return found;
}

static int unknown_key(const struct mr_document *document, const char *section,
                       const yaml_node_t *key, struct mr_error *error)
{
    const char *names[NAMES_MAX];
    const size_t count = names_in(section, names);
    const char *meant = mr_nearest_word(mr_node_text(key), names, count);
    mr_error_set(error, "%s:%u: unknown key '%.64s'", document->path, mr_node_line(key),
                 mr_node_text(key));
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

/* --- values --------------------------------------------------------------------------------- */

static const char *shape(const yaml_node_t *node)
{
    return node->type == YAML_MAPPING_NODE ? "a section" : "a list";
}

/* One value, or one of a list's: `at` is the key. */
static int check_scalar(const struct mr_document *document, const struct mr_option *option,
                        const yaml_node_t *at, const yaml_node_t *value, struct mr_error *error)
{
    const char *dot = *option->section != '\0' ? "." : "";
    if (value->type != YAML_SCALAR_NODE) {
        const char *quotes = option->kind == MR_OPTION_TEXT ? "; put the text into quotes" : "";
        return mr_error_set(error, "%s:%u: %s%s%s must be a single value, not %s%s", document->path,
                            mr_node_line(at), option->section, dot, option->name, shape(value),
                            quotes);
    }
    if (strcmp((const char *)value->tag, YAML_STR_TAG) != 0) { /* what libyaml gives to untagged */
        return mr_error_set(error,
                            "%s:%u: %s%s%s carries the tag %.60s, which says nothing here: "
                            "leave it out",
                            document->path, mr_node_line(at), option->section, dot, option->name,
                            (const char *)value->tag);
    }
    if (strlen(mr_node_text(value)) != value->data.scalar.length) {
        return mr_error_set(error, "%s:%u: %s%s%s holds a NUL byte", document->path,
                            mr_node_line(at), option->section, dot, option->name);
    }
    const bool number = option->kind == MR_OPTION_UINT || option->kind == MR_OPTION_FLOAT ||
                        option->kind == MR_OPTION_BOOL || option->kind == MR_OPTION_LIST;
    int bad = mr_option_check(option, mr_node_text(value), error);
    if (bad == 0 && number && value->data.scalar.style != YAML_PLAIN_SCALAR_STYLE) {
        bad = mr_error_set(error, "must stand without quotes: %s", mr_node_text(value));
    }
    return bad == 0 ? 0
                    : mr_error_prefix(error, "%s:%u: %s%s%s", document->path, mr_node_line(at),
                                      option->section, dot, option->name);
}

static int check_value(struct mr_document *document, const struct mr_option *option,
                       const yaml_node_t *key, const yaml_node_t *value, struct mr_error *error)
{
    if (option->kind != MR_OPTION_LIST) {
        return check_scalar(document, option, key, value, error);
    }
    const long count = value->type == YAML_SEQUENCE_NODE
                           ? value->data.sequence.items.top - value->data.sequence.items.start
                           : 0;
    if (count < 2 || count > MR_HUBS_MAX) {
        return mr_error_set(error, "%s:%u: %s.%s must list 2 to %d hubs, such as [0, 1]",
                            document->path, mr_node_line(key), option->section, option->name,
                            MR_HUBS_MAX);
    }
    for (long i = 0; i < count; i++) {
        const yaml_node_t *number =
            yaml_document_get_node(&document->yaml, value->data.sequence.items.start[i]);
        if (check_scalar(document, option, key, number, error) != 0) {
            return -1;
        }
    }
    return 0;
}

/* --- sections ------------------------------------------------------------------------------- */

static int check_section(struct mr_document *document, const char *section, yaml_node_t *key,
                         yaml_node_t *mapping, struct mr_error *error);

/* "hubs" and "tasks". */
static int check_list(struct mr_document *document, const char *section, const yaml_node_t *key,
                      yaml_node_t *list, struct mr_error *error)
{
    const bool hubs = strcmp(section, "hubs") == 0;
    const long least = hubs ? 2 : 1, most = hubs ? MR_ADDRESSES_MAX : MR_TASKS_MAX;
    if (list->type != YAML_SEQUENCE_NODE) {
        return mr_error_set(error, "%s:%u: '%s' must be a list: each entry begins with '- %s:'",
                            document->path, mr_node_line(key), section, hubs ? "index" : "name");
    }
    const long count = list->data.sequence.items.top - list->data.sequence.items.start;
    if (count < least || count > most) {
        return mr_error_set(error, "%s:%u: '%s' must list %ld to %ld %s, not %ld", document->path,
                            mr_node_line(key), section, least, most, section, count);
    }
    for (long i = 0; i < count; i++) {
        yaml_node_t *entry =
            yaml_document_get_node(&document->yaml, list->data.sequence.items.start[i]);
        if (check_section(document, section, entry, entry, error) != 0) {
            return -1;
        }
    }
    return 0;
}

static int check_pair(struct mr_document *document, const char *section, yaml_node_t *key,
                      yaml_node_t *value, struct mr_error *error)
{
    if (key->type != YAML_SCALAR_NODE || strlen(mr_node_text(key)) != key->data.scalar.length) {
        return mr_error_set(error, "%s:%u: a key must be a single word", document->path,
                            mr_node_line(key));
    }
    const struct mr_option *option = mr_option_find(section, mr_node_text(key));
    if (option) {
        return check_value(document, option, key, value, error);
    }
    const char *inside = section_inside(section, mr_node_text(key));
    if (!inside) {
        return unknown_key(document, section, key, error);
    }
    const bool list = *section == '\0' && mr_option_in_list(inside);
    return list ? check_list(document, inside, key, value, error)
                : check_section(document, inside, key, value, error);
}

static int check_required(struct mr_document *document, const char *section, yaml_node_t *at,
                          yaml_node_t *mapping, struct mr_error *error)
{
    size_t count;
    const struct mr_option *rows = mr_options(&count);
    for (size_t i = 0; i < count; i++) {
        yaml_node_t *key;
        if (strcmp(rows[i].section, section) == 0 && !rows[i].otherwise &&
            !mr_node_value(document, mapping, rows[i].name, &key)) {
            return mr_error_set(error, "%s:%u: '%s' is missing%s%s%s: %s", document->path,
                                mr_node_line(at), rows[i].name,
                                *section != '\0' ? " in section '" : "", section,
                                *section != '\0' ? "'" : "", rows[i].text);
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
                            document->path, mr_node_line(at),
                            *section != '\0' ? "section " : "the file", section);
    }
    for (yaml_node_pair_t *pair = mapping->data.mapping.pairs.start;
         pair < mapping->data.mapping.pairs.top; pair++) {
        yaml_node_t *key = yaml_document_get_node(&document->yaml, pair->key);
        yaml_node_t *value = yaml_document_get_node(&document->yaml, pair->value);
        yaml_node_t *first = key;
        if (check_pair(document, section, key, value, error) != 0) {
            return -1;
        }
        mr_node_value(document, mapping, mr_node_text(key), &first);
        if (first != key) {
            return mr_error_set(error, "%s:%u: '%s' stands here again, first in line %u",
                                document->path, mr_node_line(key), mr_node_text(key),
                                mr_node_line(first));
        }
    }
    return check_required(document, section, at, mapping, error);
}

int mr_document_check_keys(struct mr_document *document, struct mr_error *error)
{
    static const char *const needed[] = {"identity", "tasks", "hubs"};
    yaml_node_t *root = yaml_document_get_root_node(&document->yaml), *key;
    if (!root) {
        return mr_error_set(
            error, "%s:1: the file is empty; the sample hub.yaml shows what belongs into it",
            document->path);
    }
    if (check_section(document, "", root, root, error) != 0) {
        return -1;
    }
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
        if (!mr_node_value(document, root, needed[i], &key)) {
            return mr_error_set(error,
                                "%s:1: section '%s' is missing; the sample hub.yaml shows it",
                                document->path, needed[i]);
        }
    }
    return 0;
}
