/* config_effective.c - config show --effective: every value in force, defaults included, as one
 * YAML document that `config check` accepts. */
#include <string.h>

#include "appliance/cli/cli.h"
#include "appliance/config/fill.h"
#include "appliance/config/hub_config.h"

/* --- from the config to JSON ----------------------------------------------------------------- */

static uint64_t uint_at(const void *at, size_t bytes)
{
    switch (bytes) {
    case 1:
        return *(const uint8_t *)at;
    case 2:
        return *(const uint16_t *)at;
    case 4:
        return *(const uint32_t *)at;
    default:
        return *(const uint64_t *)at;
    }
}

/* The option's value in entry `entry` of its section. */
static json_t *value_of(struct mr_hub_config *config, const struct mr_option *option,
                        unsigned entry)
{
    const void *at = mr_config_option_at(config, option, entry);
    switch (option->kind) {
    case MR_OPTION_UINT:
        return json_integer((json_int_t)uint_at(at, option->bytes));
    case MR_OPTION_FLOAT:
        return json_real((double)*(const float *)at);
    case MR_OPTION_BOOL:
        return json_boolean(*(const bool *)at);
    default:
        return mr_cli_string(*(char *const *)at);
    }
}

/* Whether a section is a list of entries. */
static bool is_list(const char *name)
{
    return strcmp(name, "hubs") == 0 || strcmp(name, "tasks") == 0;
}

/* How many entries the section has; 1 where it is in no list. */
static unsigned entries_of(const struct mr_hub_config *config, const char *section)
{
    return strcmp(section, "hubs") == 0 ? config->hubs_count : 1;
}

/* The object below `parent` that one part of a section's name stands for; made where it is not
 * there yet. */
static json_t *part_of(json_t *parent, const char *name, unsigned entry)
{
    json_t *part = json_object_get(parent, name);
    if (!part) {
        part = is_list(name) ? json_array() : json_object();
        json_object_set_new(parent, name, part);
    }
    if (!is_list(name)) {
        return part;
    }
    while (json_array_size(part) <= entry) {
        json_array_append_new(part, json_object());
    }
    return json_array_get(part, entry);
}

/* The object that the values of a section go into: "round", or "tasks.round" inside an entry. */
static json_t *section_of(json_t *root, const char *section, unsigned entry)
{
    char name[64];
    while (*section != '\0') {
        const size_t length = strcspn(section, ".");
        snprintf(name, sizeof name, "%.*s", (int)length, section);
        root = part_of(root, name, entry);
        section += length + (section[length] == '.');
    }
    return root;
}

/* The whole configuration, shaped as the file is; order as in the table of options. */
static json_t *effective(struct mr_hub_config *config)
{
    size_t count;
    const struct mr_option *rows = mr_options(&count);
    json_t *root = json_object();
    for (size_t i = 0; i < count; i++) {
        for (unsigned entry = 0; entry < entries_of(config, rows[i].section); entry++) {
            json_object_set_new(section_of(root, rows[i].section, entry), rows[i].name,
                                value_of(config, &rows[i], entry));
        }
    }
    return root;
}

/* --- from JSON to YAML ----------------------------------------------------------------------- */

static void put_scalar(FILE *out, const json_t *value)
{
    if (json_is_string(value)) {
        fputc('\'', out);
        for (const char *c = json_string_value(value); *c != '\0'; c++) {
            fputs(*c == '\'' ? "''" : (char[]){*c, '\0'}, out);
        }
        fputc('\'', out);
    } else if (json_is_integer(value)) {
        fprintf(out, "%lld", (long long)json_integer_value(value));
    } else if (json_is_real(value)) {
        fprintf(out, "%.9g", json_real_value(value)); /* enough digits for any float */
    } else {
        fputs(json_is_true(value) ? "true" : "false", out);
    }
}

static void put_members(FILE *out, const json_t *object, int indent, bool in_list);

/* "[0, 1]" */
static void put_flow(FILE *out, const json_t *list)
{
    size_t i;
    json_t *entry;
    fputc('[', out);
    json_array_foreach(list, i, entry)
    {
        fputs(i > 0 ? ", " : "", out);
        put_scalar(out, entry);
    }
    fputs("]", out);
}

/* The value of a key that has been written, up to the end of its line or lines. */
static void put_value(FILE *out, const json_t *value, int indent)
{
    size_t i;
    json_t *entry;
    if (json_is_object(value)) {
        fputc('\n', out);
        put_members(out, value, indent + 2, false);
    } else if (json_is_object(json_array_get(value, 0))) {
        fputc('\n', out);
        json_array_foreach(value, i, entry)
        {
            fprintf(out, "%*s- ", indent + 2, "");
            put_members(out, entry, indent + 4, true);
        }
    } else {
        fputc(' ', out);
        (json_is_array(value) ? put_flow : put_scalar)(out, value);
        fputc('\n', out);
    }
}

/* `in_list`: the first member stands behind the hyphen of its entry. */
static void put_members(FILE *out, const json_t *object, int indent, bool in_list)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value)
    {
        fprintf(out, "%*s%s:", in_list ? 0 : indent, "", key);
        put_value(out, value, indent);
        in_list = false;
    }
}

int mr_command_config_show(struct mr_cli *cli)
{
    struct mr_hub_config *config;
    struct mr_error error = {""};
    if (!cli->values[MR_CLI_EFFECTIVE]) {
        return mr_cli_fail(cli, MR_EXIT_USAGE,
                           "config show needs --effective: the file itself can be read without "
                           "help");
    }
    if (mr_hub_config_load(&config, cli->argument, &error) != 0) {
        return mr_cli_fail(cli, MR_EXIT_INVALID, "%s", error.text);
    }
    json_t *values = effective(config);
    if (cli->json) {
        mr_cli_print(cli, values);
    } else {
        put_members(cli->out, values, 0, false);
    }
    json_decref(values);
    mr_hub_config_free(config);
    return MR_EXIT_OK;
}
