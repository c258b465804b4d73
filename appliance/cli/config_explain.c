/* config_explain.c - config explain: what a key of hub.yaml is, from the table of options. */
#include <string.h>

#include "appliance/cli/cli.h"
#include "appliance/config/nearest.h"
#include "appliance/config/options.h"
#include "base/json_text.h"

#define KEY_BYTES 96
#define KEYS_MAX  256

static const char *key_of(const struct mr_option *option, char key[KEY_BYTES])
{
    snprintf(key, KEY_BYTES, "%s%s%s", option->section, *option->section != '\0' ? "." : "",
             option->name);
    return key;
}

/* What a value may be, in words. */
static json_t *values_of(const struct mr_option *option)
{
    const char *or_auto = mr_option_takes_auto(option) ? "auto, or " : "";
    switch (option->kind) {
    case MR_OPTION_UINT:
        return json_sprintf("%s%llu to %llu", or_auto, (unsigned long long)option->min,
                            (unsigned long long)option->max);
    case MR_OPTION_FLOAT:
        return json_sprintf("%sa number above 0", or_auto);
    case MR_OPTION_BOOL:
        return json_string("true|false");
    case MR_OPTION_CHOICE:
        return mr_json_text(option->choices);
    case MR_OPTION_ADDRESS:
        return json_string("numeric address");
    case MR_OPTION_FILE:
        return json_string("file");
    case MR_OPTION_SECRET:
        return json_string("file, mode 0600");
    case MR_OPTION_FOLDER:
        return json_string("folder");
    case MR_OPTION_RANGE:
        return json_sprintf("any%s%s, a number, or a range such as 2..10, 2.. or ..10",
                            option->choices ? ", " : "", option->choices ? option->choices : "");
    case MR_OPTION_LIST:
        return json_string("list of numbers");
    default:
        return json_sprintf("text of up to %llu bytes", (unsigned long long)option->max);
    }
}

static json_t *row_of(const struct mr_option *option)
{
    char key[KEY_BYTES];
    const char *otherwise = option->otherwise ? option->otherwise : "required";
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "key", mr_json_text(key_of(option, key)),
                     "default", mr_json_text(*otherwise != '\0' ? otherwise : "empty"), "values",
                     values_of(option), "change",
                     mr_json_text(option->change == MR_OPTION_LIVE ? "SIGHUP" : "restart"), "text",
                     mr_json_text(option->text));
}

static int unknown_key(const struct mr_cli *cli)
{
    static const char hint[] = "`millrace config explain` lists all keys";
    size_t count;
    const struct mr_option *rows = mr_options(&count);
    char keys[KEYS_MAX][KEY_BYTES];
    const char *words[KEYS_MAX];
    for (size_t i = 0; i < count && i < KEYS_MAX; i++) {
        words[i] = key_of(&rows[i], keys[i]);
    }
    const char *meant = mr_nearest_word(cli->argument, words, count < KEYS_MAX ? count : KEYS_MAX);
    return meant ? mr_cli_fail(cli, MR_EXIT_USAGE, "no key '%s'; did you mean '%s'? %s",
                               cli->argument, meant, hint)
                 : mr_cli_fail(cli, MR_EXIT_USAGE, "no key '%s': %s", cli->argument, hint);
}

int mr_command_config_explain(struct mr_cli *cli)
{
    size_t count;
    const struct mr_option *rows = mr_options(&count);
    json_t *found = NULL, *keys = json_array();
    for (size_t i = 0; i < count; i++) {
        char key[KEY_BYTES];
        json_t *row = row_of(&rows[i]);
        if (cli->argument && strcmp(key_of(&rows[i], key), cli->argument) == 0) {
            found = row;
        }
        json_array_append_new(keys, row);
    }
    int code = MR_EXIT_OK;
    if (cli->argument && !found) {
        code = unknown_key(cli);
    } else if (cli->json && !found) {
        json_t *whole = json_pack("{s:O}", "keys", keys);
        mr_cli_print(cli, whole);
        json_decref(whole);
    } else {
        mr_cli_print(cli, found ? found : keys);
    }
    json_decref(keys);
    return code;
}
