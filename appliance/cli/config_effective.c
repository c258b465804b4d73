/* config_effective.c - config show --effective: every value in force, defaults included, as one
 * YAML document that `config check` accepts; the same as JSON. */
#include <stdlib.h>
#include <string.h>

#include "appliance/cli/cli.h"
#include "appliance/config/config_text.h"
#include "appliance/config/fill.h"
#include "appliance/config/option_value.h"
#include "base/json_text.h"

/* The option's value in entry `entry` of its section. */
static json_t *value_of(const struct mr_hub_config *config, const struct mr_option *option,
                        unsigned entry)
{
    char text[MR_OPTION_VALUE_MAX];
    mr_option_value_text(text, option, mr_config_option_at(config, option, entry));
    if (mr_option_is_auto(option, text)) {
        return mr_json_text(text);
    }
    switch (option->kind) {
    case MR_OPTION_UINT:
    case MR_OPTION_BOOL:
    case MR_OPTION_LIST:
        return json_loads(text, JSON_DECODE_ANY, NULL); /* written alike in YAML and JSON */
    case MR_OPTION_FLOAT:
        return mr_json_real(strtod(text, NULL));
    default:
        return mr_cli_string(text);
    }
}

/* The object below `parent` that one part of a section's name stands for; made where it is not
 * there yet. */
static json_t *part_of(json_t *parent, const char *name, unsigned entry)
{
    const bool is_list = mr_option_in_list(name);
    json_t *part = json_object_get(parent, name);
    if (!part) {
        part = is_list ? json_array() : json_object();
        json_object_set_new(parent, name, part);
    }
    if (!is_list) {
        return part;
    }
    while (json_array_size(part) <= entry) {
        json_array_append_new(part, json_object());
    }
    return json_array_get(part, entry);
}

/* The object that the values of a section go into: "upload", or "tasks.round" inside an entry. */
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
static json_t *effective(const struct mr_hub_config *config)
{
    size_t count;
    const struct mr_option *rows = mr_options(&count);
    json_t *root = json_object();
    for (size_t i = 0; i < count; i++) {
        for (unsigned entry = 0; entry < mr_config_entries(config, rows[i].section); entry++) {
            json_object_set_new(section_of(root, rows[i].section, entry), rows[i].name,
                                value_of(config, &rows[i], entry));
        }
    }
    return root;
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
    if (cli->json) {
        json_t *values = effective(config);
        mr_cli_print(cli, values);
        json_decref(values);
    } else {
        mr_config_write_effective(cli->out, config);
    }
    mr_hub_config_free(config);
    return MR_EXIT_OK;
}
