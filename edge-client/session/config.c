/* config.c - device.json: {"task", "device": {certificate, key, ca, revocation}, "hubs": [{index,
 * name, host, port, public_key}], "data_dir", "transport", "accept", "training_seed"}. Strict: an
 * unknown member is an error. Relative paths are relative to the file's folder. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge-client/files/files.h"
#include "edge-client/session/number_type.h"
#include "edge-client/session/outcome.h"
#include "base/error.h"
#include "wire/announcement.h"
#include "wire/key_chain.h"
#include "wire/task.h"

#define CONFIG_BYTES_MAX (1 << 20)
#define KEEP_MS_MAX      86400000

struct mre_config {
    struct mre_options options;
    struct mre_hub hubs[MRE_HUBS_MAX];
    json_t *root;   /* owns the strings that are not paths */
    char *accept;   /* as text */
    char *paths[5]; /* certificate, key, ca, revocation, data_dir: made relative to the file */
    unsigned path_count;
};

struct reader {
    struct mre_config *config;
    const char *file;
    struct mr_error error;
};

/* --- members --------------------------------------------------------------------------------- */

static int known(struct reader *r, json_t *object, const char *where, const char *const *names)
{
    const char *key;
    json_t *value;
    if (!json_is_object(object)) {
        return mr_error_set(&r->error, "%s must be an object", where);
    }
    json_object_foreach(object, key, value) {
        unsigned i = 0;
        while (names[i] && strcmp(names[i], key) != 0) {
            i++;
        }
        if (!names[i]) {
            return mr_error_set(&r->error, "%s: unknown member \"%s\"", where, key);
        }
    }
    return 0;
}

static const char *text_of(struct reader *r, json_t *object, const char *where, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    if (!text || !*text) {
        mr_error_set(&r->error, "%s.%s: a text is needed", where, name);
        return NULL;
    }
    return text;
}

/* Sets *out to the path, seen from the file's folder. */
static int path_of(struct reader *r, json_t *object, const char *where, const char *name,
                   const char **out)
{
    const char *text = text_of(r, object, where, name);
    char *path = NULL;
    if (!text) {
        return -1;
    }
    const char *slash = strrchr(r->file, '/');
    int folder = text[0] == '/' || !slash ? 0 : (int)(slash - r->file + 1);
    if (asprintf(&path, "%.*s%s", folder, r->file, text) < 0) {
        return mr_error_set(&r->error, "out of memory");
    }
    r->config->paths[r->config->path_count++] = path;
    *out = path;
    return 0;
}

static int number_of(struct reader *r, json_t *object, const char *where, const char *name,
                     json_int_t low, uint16_t *out)
{
    json_t *value = json_object_get(object, name);
    json_int_t v = json_integer_value(value);
    if (!json_is_integer(value) || v < low || v > UINT16_MAX) {
        return mr_error_set(&r->error, "%s.%s: a whole number %d..65535 is needed", where, name,
                            (int)low);
    }
    *out = (uint16_t)v;
    return 0;
}

/* --- sections -------------------------------------------------------------------------------- */

static int take_hubs(struct reader *r, json_t *array)
{
    static const char *const names[] = {"index", "name", "host", "port", "public_key", NULL};
    size_t count = json_array_size(array);
    if (!json_is_array(array) || count < 2 || count > MRE_HUBS_MAX) {
        return mr_error_set(&r->error, "hubs: a list of 2 to %d hubs is needed, the lead first",
                            MRE_HUBS_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        char where[16];
        json_t *object = json_array_get(array, i);
        struct mre_hub *hub = &r->config->hubs[i];
        snprintf(where, sizeof where, "hubs[%zu]", i);
        if (known(r, object, where, names) ||
            number_of(r, object, where, "index", 0, &hub->index) ||
            number_of(r, object, where, "port", 1, &hub->port) ||
            !(hub->name = text_of(r, object, where, "name")) ||
            !(hub->host = text_of(r, object, where, "host")) ||
            !(hub->public_key = text_of(r, object, where, "public_key"))) {
            return -1;
        }
    }
    r->config->options.hubs = r->config->hubs;
    r->config->options.hub_count = (unsigned)count;
    return 0;
}

static int take_transport(struct reader *r, json_t *value)
{
    static const char *const names[] = {"auto", "udp", "http2"};
    const char *text = json_string_value(value);
    if (!value) {
        return 0;
    }
    for (unsigned i = 0; text && i < 3; i++) {
        if (strcmp(text, names[i]) == 0) {
            r->config->options.transport = (enum mre_transport)i;
            return 0;
        }
    }
    return mr_error_set(&r->error, "transport must be auto, udp or http2");
}

/* What may stand in it is said when the client is opened. */
static int take_accept(struct reader *r, const json_t *value)
{
    if (!value) {
        return 0;
    }
    if (!json_is_object(value)) {
        return mr_error_set(&r->error, "accept must be an object");
    }
    r->config->accept = json_dumps(value, JSON_COMPACT);
    r->config->options.accept = r->config->accept;
    return r->config->accept ? 0 : mr_error_set(&r->error, "out of memory");
}

/* A whole number from `low` to `high`; 0: it is left out. `what` says what belongs there. */
static int take_number(struct reader *r, const char *name, json_int_t low, json_int_t high,
                       uint64_t *number, const char *what)
{
    json_t *value = json_object_get(r->config->root, name);
    const json_int_t said = json_integer_value(value);
    *number = (uint64_t)said;
    return value && (!json_is_integer(value) || said < low || said > high)
               ? mr_error_set(&r->error, "%s: %s", name, what)
               : 0;
}

static int take_numbers(struct reader *r)
{
    uint64_t threshold = 0, statement = 0;
    const int bad =
        take_number(r, "training_seed", 1, MR_ROUND_MAX, &r->config->options.training_seed,
                    "a whole number from 1 to 2^53 - 1 is needed, or none at all outside "
                    "experiments") ||
        take_number(r, "release_threshold", 2, MRE_HUBS_MAX, &threshold,
                    "2 to the number of hubs, or leave it out") ||
        take_number(r, "key_statement", 0, MR_KEY_CHAIN_MAX, &statement,
                    "the number of the statement of next keys that the keys of hubs are from, or "
                    "leave it out");
    r->config->options.release_threshold = (unsigned)threshold;
    r->config->options.key_statement = (unsigned)statement;
    return bad;
}

static int take_keep(struct reader *r, json_t *value)
{
    const json_int_t ms = json_integer_value(value);
    if (value && (!json_is_integer(value) || ms < 1 || ms > KEEP_MS_MAX)) {
        return mr_error_set(&r->error,
                            "keep_ms: for how long a connection to a hub may rest and is used "
                            "again, 1 to %d milliseconds, or leave it out (600000)",
                            KEEP_MS_MAX);
    }
    r->config->options.keep_ms = (unsigned)ms;
    return 0;
}

static int take_number_type(struct reader *r, json_t *value)
{
    return !value || mr_number_named(&r->config->options.number_type, json_string_value(value))
               ? 0
               : mr_error_set(&r->error, "number_type must be float32, float16 or bfloat16");
}

static int take_task(struct reader *r, json_t *root)
{
    const char *name = json_string_value(json_object_get(root, "task"));
    if (!mr_task_name_valid(name)) {
        return mr_error_set(&r->error,
                            "task: the name of the task that this device takes part in is needed, "
                            "as its hubs call it: 1 to %d of [a-z0-9-], such as \"task\": "
                            "\"default\"",
                            MR_TASK_NAME_MAX);
    }
    r->config->options.task = name;
    return 0;
}

static int take_root(struct reader *r)
{
    static const char *const names[] = {
        "task",          "device",  "hubs",          "data_dir",
        "transport",     "accept",  "training_seed", "release_threshold",
        "key_statement", "keep_ms", "number_type",   NULL};
    static const char *const device_names[] = {"certificate", "key", "ca", "revocation", NULL};
    struct mre_options *options = &r->config->options;
    json_t *root = r->config->root;
    json_t *device = json_object_get(root, "device");
    return known(r, root, "the file", names) || take_task(r, root) ||
                   known(r, device, "device", device_names) ||
                   path_of(r, device, "device", "certificate", &options->certificate_file) ||
                   path_of(r, device, "device", "key", &options->private_key_file) ||
                   path_of(r, device, "device", "ca", &options->ca_file) ||
                   (json_object_get(device, "revocation") &&
                    path_of(r, device, "device", "revocation", &options->revocation_file)) ||
                   path_of(r, root, "the file", "data_dir", &options->data_dir) ||
                   take_hubs(r, json_object_get(root, "hubs")) ||
                   take_transport(r, json_object_get(root, "transport")) ||
                   take_accept(r, json_object_get(root, "accept")) || take_numbers(r) ||
                   take_keep(r, json_object_get(root, "keep_ms")) ||
                   take_number_type(r, json_object_get(root, "number_type"))
               ? -1
               : 0;
}

/* --- the file -------------------------------------------------------------------------------- */

enum mre_result mre_config_load(struct mre_config **config, const char *path,
                                struct mre_outcome *outcome)
{
    json_error_t why;
    *config = NULL;
    memset(outcome, 0, sizeof *outcome);
    struct reader r = {.config = calloc(1, sizeof **config), .file = path};
    if (!r.config) {
        return mr_outcome_set(outcome, MRE_FAILED, "out of memory");
    }
    size_t length;
    char *text = mr_file_text(path, CONFIG_BYTES_MAX, &length, &r.error);
    int bad = text ? 0 : -1;
    if (text) {
        r.config->root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &why);
        bad = r.config->root ? take_root(&r)
                             : mr_error_set(&r.error, "line %d: %s", why.line, why.text);
    }
    free(text);
    if (bad) {
        mre_config_free(r.config);
        return mr_outcome_set(outcome, MRE_BAD_CONFIG, "%s: %s (layout: docs/edge-client.md)", path,
                              r.error.text);
    }
    *config = r.config;
    return MRE_OK;
}

struct mre_options *mre_config_options(struct mre_config *config)
{
    return &config->options;
}

void mre_config_free(struct mre_config *config)
{
    if (!config) {
        return;
    }
    for (unsigned i = 0; i < config->path_count; i++) {
        free(config->paths[i]);
    }
    json_decref(config->root);
    free(config->accept);
    free(config);
}
