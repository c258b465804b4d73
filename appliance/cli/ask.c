#include "appliance/cli/ask.h"

#include <stdlib.h>
#include <string.h>

#include "wire/messages.h"
#include "base/json_text.h"

#define ANSWER_BYTES_MAX (64u << 20)
#define MODEL_BYTES_MAX  ((size_t)8 << 30)
/* For a model each way, and for the hub's work on it. */
#define MODEL_WAIT_MS 300000u

/* Notes why a call failed below HTTP; its exit code. The text names the hub already. */
static int below_http(struct mr_ask *ask, int failure, const struct mr_error *error)
{
    mr_error_set(&ask->error, "%s%s", error->text,
                 failure == MR_H2_UNREACHABLE ? "; is it running, and is the address right?" : "");
    return failure == MR_H2_REFUSED ? MR_EXIT_REFUSED : MR_EXIT_UNREACHABLE;
}

int mr_ask_reconnect(struct mr_ask *ask)
{
    struct mr_error error = {""};
    mr_h2_client_close(ask->client);
    ask->client = NULL;
    ask->refusal.code = MR_REFUSAL_NONE;
    const int failure =
        mr_h2_client_open(&ask->client, &ask->operator_.endpoint, ask->timeout_ms, &error);
    if (failure == MR_H2_OK) {
        return MR_EXIT_OK;
    }
    ask->client = NULL;
    return below_http(ask, failure, &error);
}

int mr_ask_run(const struct mr_cli *cli, int (*body)(struct mr_ask *ask, void *context),
               void *context)
{
    struct mr_ask ask = {.cli = cli};
    uint64_t timeout_ms = 0;
    if (!mr_cli_number(cli, MR_CLI_TIMEOUT_MS, 1, 3600000, &timeout_ms)) {
        return MR_EXIT_USAGE;
    }
    ask.timeout_ms = (unsigned)timeout_ms;
    int code = mr_operator_init(&ask.operator_, cli);
    if (code != MR_EXIT_OK) {
        return code;
    }
    code = mr_ask_reconnect(&ask);
    if (code == MR_EXIT_OK) {
        code = body(&ask, context);
    } else {
        mr_cli_fail(cli, code, "%s", ask.error.text);
    }
    mr_h2_client_close(ask.client);
    return code;
}

/* An answer that is no 2xx: the hub's own words where it sent some. */
static int refused(struct mr_ask *ask, const char *method, const char *path,
                   const struct mr_h2_response *response)
{
    const char *body = response->body ? (const char *)response->body : "";
    if (mr_refusal_decode(&ask->refusal, body, response->length, NULL) == 0) {
        mr_error_set(&ask->error, "the hub refused: %s (%s)", ask->refusal.text, ask->refusal.name);
    } else {
        ask->refusal.code = MR_REFUSAL_NONE;
        mr_error_set(&ask->error, "the hub answered %s %s with status %d", method, path,
                     response->status);
    }
    return MR_EXIT_REFUSED;
}

static json_t *answer_of(const struct mr_h2_response *response)
{
    const char *text = response->body ? (const char *)response->body : "";
    json_t *json = json_loadb(text, response->length, JSON_DECODE_ANY, NULL);
    return json ? json : mr_json_text_n(text, response->length);
}

static int ask_below(struct mr_ask *ask, struct mr_h2_request *request,
                     struct mr_h2_response *response)
{
    struct mr_error error = {""};
    ask->refusal.code = MR_REFUSAL_NONE;
    request->timeout_ms += ask->timeout_ms;
    const int failure = mr_h2_client_request(ask->client, request, response, &error);
    if (failure == MR_H2_OK) {
        return MR_EXIT_OK;
    }
    mr_h2_client_close(ask->client);
    ask->client = NULL; /* it is of no use any more */
    return below_http(ask, failure, &error);
}

static int ask_once(struct mr_ask *ask, const char *method, const char *path, const json_t *body,
                    unsigned wait_ms, json_t **answer)
{
    struct mr_h2_response response = {0};
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    *answer = NULL;
    struct mr_h2_request request = {.method = method,
                                    .path = path,
                                    .content_type = text ? "application/json" : NULL,
                                    .body = text,
                                    .length = text ? strlen(text) : 0,
                                    .answer_max = ANSWER_BYTES_MAX,
                                    .timeout_ms = wait_ms};
    int code = ask_below(ask, &request, &response);
    free(text);
    if (code != MR_EXIT_OK) {
        return code;
    }
    if (response.status < 200 || response.status > 299) {
        code = refused(ask, method, path, &response);
    } else {
        *answer = answer_of(&response);
        if (!*answer) {
            mr_error_set(&ask->error, "the hub's answer to %s %s is no text", method, path);
            code = MR_EXIT_FAILED;
        }
    }
    mr_h2_response_fini(&response);
    return code;
}

int mr_ask_quietly(struct mr_ask *ask, const char *path, unsigned wait_ms, json_t **answer)
{
    return ask_once(ask, "GET", path, NULL, wait_ms, answer);
}

int mr_ask(struct mr_ask *ask, const char *method, const char *path, const json_t *body,
           unsigned wait_ms, json_t **answer)
{
    const int code = ask_once(ask, method, path, body, wait_ms, answer);
    return code == MR_EXIT_OK ? code : mr_cli_fail(ask->cli, code, "%s", ask->error.text);
}

int mr_ask_bytes(struct mr_ask *ask, const char *path, const uint8_t *sent, size_t length,
                 struct mr_h2_response *answer)
{
    const char *method = sent ? "POST" : "GET";
    struct mr_h2_request request = {.method = method,
                                    .path = path,
                                    .content_type = sent ? "application/octet-stream" : NULL,
                                    .body = sent,
                                    .length = length,
                                    .answer_max = MODEL_BYTES_MAX,
                                    .timeout_ms = MODEL_WAIT_MS};
    int code = ask_below(ask, &request, answer);
    if (code == MR_EXIT_OK && (answer->status < 200 || answer->status > 299)) {
        code = refused(ask, method, path, answer);
        mr_h2_response_fini(answer);
    }
    return code == MR_EXIT_OK ? code : mr_cli_fail(ask->cli, code, "%s", ask->error.text);
}
