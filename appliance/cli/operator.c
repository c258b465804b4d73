#include "appliance/cli/operator.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"

/* --- operator.json -------------------------------------------------------------------------- */

/* Copies a path, seen from the folder of `file`. */
static int take_path(char out[MR_OPERATOR_PATH_MAX], const char *file, const char *path)
{
    const char *slash = strrchr(file, '/');
    const int folder = path[0] == '/' || !slash ? 0 : (int)(slash - file + 1);
    const int length = snprintf(out, MR_OPERATOR_PATH_MAX, "%.*s%s", folder, file, path);
    return length < MR_OPERATOR_PATH_MAX ? 0 : -1;
}

/* Takes the entry of the hub with that index; the first entry for -1. */
static int take_hub(struct mr_operator *operator_, json_t *hubs, int64_t index,
                    struct mr_error *error)
{
    size_t i;
    json_t *entry;
    json_error_t why;
    json_array_foreach(hubs, i, entry) {
        const char *host, *name;
        int number, port;
        if (json_unpack_ex(entry, &why, JSON_STRICT, "{s:i, s?s, s:s, s:i}", "index", &number,
                           "name", &name, "host", &host, "port", &port) != 0) {
            return mr_error_set(error, "hubs[%zu]: %s", i, why.text);
        }
        if (number < 0 || number > 65535 || port < 1 || port > 65535 ||
            strlen(host) >= sizeof operator_->host) {
            return mr_error_set(error, "hubs[%zu]: index, port or host out of range", i);
        }
        if (index < 0 || index == number) {
            snprintf(operator_->host, sizeof operator_->host, "%s", host);
            operator_->endpoint.port = (uint16_t)port;
            operator_->endpoint.hub_index = (uint16_t)number;
            return 0;
        }
    }
    return index < 0 ? mr_error_set(error, "lists no hub")
                     : mr_error_set(error, "lists no hub with index %lld", (long long)index);
}

static int take_file(struct mr_operator *operator_, const char *path, int64_t index,
                     struct mr_error *error)
{
    json_error_t why;
    const char *ca, *certificate, *key;
    json_t *hubs;
    json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &why);
    if (!root) {
        return why.line < 0 ? mr_error_set(error, "%s", why.text) /* names the file itself */
                            : mr_error_set(error, "%s:%d: %s", path, why.line, why.text);
    }
    int bad = 0;
    if (json_unpack_ex(root, &why, JSON_STRICT, "{s:s, s:s, s:s, s:o}", "ca", &ca, "certificate",
                       &certificate, "key", &key, "hubs", &hubs) != 0) {
        bad = mr_error_set(error, "%s: %s", path, why.text);
    } else if (take_path(operator_->ca, path, ca) != 0 ||
               take_path(operator_->certificate, path, certificate) != 0 ||
               take_path(operator_->key, path, key) != 0) {
        bad = mr_error_set(error, "%s: a path is too long", path);
    } else if (take_hub(operator_, hubs, index, error) != 0) {
        bad = mr_error_prefix(error, "%s", path);
    }
    json_decref(root);
    return bad;
}

/* --- options -------------------------------------------------------------------------------- */

/* "host:port", "[v6]:port" */
static int take_host_port(struct mr_operator *operator_, const char *text)
{
    const char *colon = strrchr(text, ':');
    size_t length = colon ? (size_t)(colon - text) : 0;
    if (length == 0 || strlen(colon + 1) > 5 || colon[1] == '\0' ||
        strspn(colon + 1, "0123456789") != strlen(colon + 1)) {
        return -1;
    }
    const unsigned long port = strtoul(colon + 1, NULL, 10);
    if (length > 2 && text[0] == '[' && text[length - 1] == ']') {
        text++;
        length -= 2;
    }
    if (port < 1 || port > 65535 || length >= sizeof operator_->host) {
        return -1;
    }
    memcpy(operator_->host, text, length);
    operator_->host[length] = '\0';
    operator_->endpoint.port = (uint16_t)port;
    return 0;
}

static int take_options(struct mr_operator *operator_, const struct mr_cli *cli, uint64_t index)
{
    const struct {
        enum mr_cli_option_id option;
        char *path;
    } paths[] = {{MR_CLI_CA, operator_->ca},
                 {MR_CLI_CERT, operator_->certificate},
                 {MR_CLI_KEY, operator_->key}};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        const char *value = cli->values[paths[i].option];
        if (value) {
            snprintf(paths[i].path, MR_OPERATOR_PATH_MAX, "%s", value);
        }
        if (*paths[i].path == '\0') {
            return mr_cli_fail(cli, MR_EXIT_USAGE,
                               "%s is missing: give it, or name an operator.json with --config or "
                               "in MILLRACE_CONFIG",
                               mr_cli_options()[paths[i].option].word);
        }
    }
    const char *hub = cli->values[MR_CLI_HUB];
    if (hub && take_host_port(operator_, hub) != 0) {
        return mr_cli_fail(cli, MR_EXIT_USAGE, "--hub must be HOST:PORT, not '%s'", hub);
    }
    if (cli->values[MR_CLI_HUB_INDEX]) {
        operator_->endpoint.hub_index = (uint16_t)index;
    }
    if (operator_->endpoint.port == 0) {
        return mr_cli_fail(cli, MR_EXIT_USAGE,
                           "--hub is missing: give it, or name an operator.json with --config or "
                           "in MILLRACE_CONFIG");
    }
    return MR_EXIT_OK;
}

static int check_readable(const struct mr_operator *operator_, const struct mr_cli *cli)
{
    const char *const files[] = {operator_->ca, operator_->certificate, operator_->key};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        if (access(files[i], R_OK) != 0) {
            return mr_cli_fail(cli, MR_EXIT_INVALID, "cannot read %s: %s", files[i],
                               strerror(errno));
        }
    }
    return MR_EXIT_OK;
}

int mr_operator_init(struct mr_operator *operator_, const struct mr_cli *cli)
{
    struct mr_error error;
    uint64_t index = 0;
    const char *file = cli->values[MR_CLI_CONFIG];
    memset(operator_, 0, sizeof *operator_);
    if (!mr_cli_number(cli, MR_CLI_HUB_INDEX, 0, 65535, &index)) {
        return MR_EXIT_USAGE;
    }
    if (!file) {
        file = getenv("MILLRACE_CONFIG");
        file = file && *file == '\0' ? NULL : file; /* empty is as good as unset */
    }
    /* An address of its own needs no entry in the file: only the certificate comes from there. */
    const bool pick = cli->values[MR_CLI_HUB_INDEX] && !cli->values[MR_CLI_HUB];
    if (file && take_file(operator_, file, pick ? (int64_t)index : -1, &error) != 0) {
        return mr_cli_fail(cli, MR_EXIT_INVALID, "%s", error.text);
    }
    int bad = take_options(operator_, cli, index);
    if (bad == MR_EXIT_OK) {
        bad = check_readable(operator_, cli);
    }
    operator_->endpoint.host = operator_->host;
    operator_->endpoint.ca_file = operator_->ca;
    operator_->endpoint.certificate_file = operator_->certificate;
    operator_->endpoint.private_key_file = operator_->key;
    return bad;
}
