#include "appliance/cli/ask.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "wire/messages.h"

#define ANSWER_BYTES_MAX (64u << 20)

/* The exit code of a failure below HTTP, its text written. */
static int below_http(const struct mr_ask *ask, int failure, const struct mr_error *error)
{
    const int code = failure == MR_H2_REFUSED ? MR_EXIT_REFUSED : MR_EXIT_UNREACHABLE;
    return mr_cli_fail(ask->cli, code, "hub %u at %s:%u: %s", ask->operator_.endpoint.hub_index,
                       ask->operator_.host, ask->operator_.endpoint.port, error->text);
}

int mr_ask_open(struct mr_ask *ask, const struct mr_cli *cli)
{
    struct mr_error error = {""};
    uint64_t timeout_ms = 0;
    memset(ask, 0, sizeof *ask);
    ask->cli = cli;
    if (!mr_cli_number(cli, MR_CLI_TIMEOUT_MS, 1, 3600000, &timeout_ms)) {
        return MR_EXIT_USAGE;
    }
    ask->timeout_ms = (unsigned)timeout_ms;
    const int bad = mr_operator_init(&ask->operator_, cli);
    if (bad != MR_EXIT_OK) {
        return bad;
    }
    const int failure =
        mr_h2_client_open(&ask->client, &ask->operator_.endpoint, ask->timeout_ms, &error);
    return failure == MR_H2_OK ? MR_EXIT_OK : below_http(ask, failure, &error);
}

void mr_ask_close(struct mr_ask *ask)
{
    mr_h2_client_close(ask->client);
}

/* An answer that is no 2xx: the hub's own words where it sent some. */
static int refused(const struct mr_ask *ask, const char *method, const char *path,
                   const struct mr_h2_response *response)
{
    struct mr_refusal refusal;
    if (mr_refusal_decode(&refusal, (const char *)response->body, response->length, NULL) == 0) {
        return mr_cli_fail(ask->cli, MR_EXIT_REFUSED, "the hub refused: %s (%s)", refusal.text,
                           refusal.name);
    }
    return mr_cli_fail(ask->cli, MR_EXIT_REFUSED, "the hub answered %s %s with status %d", method,
                       path, response->status);
}

static json_t *answer_of(const struct mr_h2_response *response)
{
    const char *text = response->body ? (const char *)response->body : "";
    json_t *json = json_loadb(text, response->length, JSON_DECODE_ANY, NULL);
    return json ? json : json_stringn(text, response->length);
}

int mr_ask(struct mr_ask *ask, const char *method, const char *path, const json_t *body,
           unsigned wait_ms, json_t **answer)
{
    struct mr_error error = {""};
    struct mr_h2_response response = {0};
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    *answer = NULL;
    const int failure = mr_h2_client_request(
        ask->client, method, path, text ? "application/json" : NULL, text, text ? strlen(text) : 0,
        ANSWER_BYTES_MAX, ask->timeout_ms + wait_ms, &response, &error);
    free(text);
    if (failure != MR_H2_OK) {
        return below_http(ask, failure, &error);
    }
    int code = MR_EXIT_OK;
    if (response.status < 200 || response.status > 299) {
        code = refused(ask, method, path, &response);
    } else {
        *answer = answer_of(&response);
        if (!*answer) {
            code = mr_cli_fail(ask->cli, MR_EXIT_FAILED, "the answer to %s is no text", path);
        }
    }
    mr_h2_response_fini(&response);
    return code;
}
