/* ask.c - requests to the hubs, as the wire format wants them made, and waiting for what they say.
 */
#include <stdio.h>
#include <time.h>

#include "federation.h"

#define ASK_MS    40000
#define BUSY_MS   60000 /* a hub that is busy for longer is stuck */
#define AWAIT_MS  60000
#define POLL_MS   50 /* operators' requests are limited */
#define TURNS_MAX 4  /* long polls of half a minute */

static void pause_ms(uint32_t ms)
{
    const struct timespec time = {ms / 1000, (long)(ms % 1000) * 1000000};
    nanosleep(&time, NULL);
}

struct mr_h2_endpoint federation_endpoint(const struct federation *federation,
                                          struct federation_paths *paths, const char *stem,
                                          unsigned hub)
{
    snprintf(paths->ca, sizeof paths->ca, "%s/pki/ca.pem", federation->dir);
    snprintf(paths->certificate, sizeof paths->certificate, "%s/pki/%s.pem", federation->dir, stem);
    snprintf(paths->key, sizeof paths->key, "%s/pki/%s.key", federation->dir, stem);
    return (struct mr_h2_endpoint){.host = "127.0.0.1",
                                   .port = federation->ports[hub],
                                   .hub_index = (uint16_t)hub,
                                   .ca_file = paths->ca,
                                   .certificate_file = paths->certificate,
                                   .private_key_file = paths->key};
}

struct mr_h2_client *federation_client(struct federation *federation, const char *stem,
                                       unsigned hub)
{
    struct federation_paths paths;
    struct mr_h2_client *client;
    struct mr_error error = {.text = ""};
    const struct mr_h2_endpoint endpoint = federation_endpoint(federation, &paths, stem, hub);
    if (mr_h2_client_open(&client, &endpoint, ASK_MS, &error) != MR_H2_OK) {
        fail_msg("%s", error.text);
    }
    return client;
}

/* How long the answer asks its peer to wait before the same request; 0: it is an answer. */
static uint32_t come_back_after_ms(const struct mr_h2_response *response)
{
    struct mr_refusal refusal;
    struct mr_error error;
    if (response->status < 400 ||
        mr_refusal_decode(&refusal, (char *)response->body, response->length, &error) != 0 ||
        (refusal.code != MR_REFUSAL_BUSY && refusal.code != MR_REFUSAL_RATE_LIMITED)) {
        return 0;
    }
    return refusal.retry_after_ms;
}

/* Shares, seeds, and what hubs ask each other but for voids, are octets. */
static const char *type_of(const char *path, const void *body)
{
    const bool octets = strstr(path, "/share") || strstr(path, "/seed") ||
                        (strstr(path, "/peer/") && !strstr(path, "/void"));
    return !body ? NULL : octets ? "application/octet-stream" : "application/json";
}

int federation_ask(struct mr_h2_client *client, const char *method, const char *path,
                   const void *body, size_t length, struct mr_h2_response *response)
{
    struct mr_error error = {.text = ""};
    for (uint32_t waited_ms = 0;;) {
        if (mr_h2_client_request(client,
                                 &(struct mr_h2_request){.method = method,
                                                         .path = path,
                                                         .content_type = type_of(path, body),
                                                         .body = body,
                                                         .length = length,
                                                         .answer_max = 1 << 20,
                                                         .timeout_ms = ASK_MS},
                                 response, &error) != MR_H2_OK) {
            fail_msg("%s %s: %s", method, path, error.text);
        }
        const uint32_t after_ms = come_back_after_ms(response);
        if (after_ms == 0 || waited_ms >= BUSY_MS) {
            return response->status;
        }
        mr_h2_response_fini(response);
        pause_ms(after_ms);
        waited_ms += after_ms;
    }
}

int federation_json(struct federation *federation, const char *stem, unsigned hub,
                    const char *method, const char *path, const char *body, json_t **answer)
{
    struct mr_h2_response response;
    struct mr_h2_client *client = federation_client(federation, stem, hub);
    const int status =
        federation_ask(client, method, path, body, body ? strlen(body) : 0, &response);
    *answer = json_loadb((char *)response.body, response.length, 0, NULL);
    mr_h2_response_fini(&response);
    mr_h2_client_close(client);
    return status;
}

void federation_refused(struct federation *federation, const struct federation_request *request,
                        const char *code)
{
    struct mr_h2_response response;
    struct mr_refusal refusal;
    struct mr_error error = {.text = ""};
    struct mr_h2_client *client = federation_client(federation, request->stem, request->hub);
    const int status = federation_ask(client, request->method, request->path, request->body,
                                      request->length, &response);
    if (mr_refusal_decode(&refusal, (char *)response.body, response.length, &error) != 0) {
        fail_msg("%s %s: status %d, expected refusal %s", request->method, request->path, status,
                 code);
    }
    assert_string_equal(refusal.name, code);
    assert_int_equal(status, mr_refusal_status(refusal.code));
    mr_h2_response_fini(&response);
    mr_h2_client_close(client);
}

uint64_t federation_open_round(struct federation *federation, const char *overrides)
{
    json_t *answer;
    const int status = federation_json(federation, "operator", 0, "POST",
                                       "/v1/tasks/default/admin/rounds", overrides, &answer);
    assert_int_equal(status, 200);
    const uint64_t round = (uint64_t)json_integer_value(json_object_get(answer, "round"));
    json_decref(answer);
    return round;
}

static bool has_ended(const json_t *round)
{
    const char *state = json_string_value(json_object_get(round, "state"));
    return state && (strcmp(state, "published") == 0 || strcmp(state, "void") == 0);
}

json_t *federation_await(struct federation *federation, uint64_t round)
{
    char path[120];
    json_t *answer = NULL;
    snprintf(path, sizeof path, "/v1/tasks/default/admin/rounds/%llu?wait_ms=30000",
             (unsigned long long)round);
    for (unsigned i = 0; i < TURNS_MAX && !has_ended(answer); i++) {
        json_decref(answer);
        assert_int_equal(federation_json(federation, "operator", 0, "GET", path, NULL, &answer),
                         200);
    }
    return answer;
}

void federation_expect(struct federation *federation, uint64_t round, const char *state,
                       const char *why)
{
    json_t *outcome = federation_await(federation, round);
    const char *reason = json_string_value(json_object_get(outcome, "reason"));
    assert_string_equal(json_string_value(json_object_get(outcome, "state")), state);
    if (why && (!reason || !strstr(reason, why))) {
        fail_msg("%s because of '%s', not of '%s'", state, reason ? reason : "nothing", why);
    }
    json_decref(outcome);
}

/* --- metrics --------------------------------------------------------------------------------- */

bool federation_has_metric(struct federation *federation, unsigned hub, const char *sample)
{
    char line[160];
    struct mr_h2_response response;
    struct mr_h2_client *client = federation_client(federation, "operator", hub);
    assert_int_equal(federation_ask(client, "GET", "/metrics", NULL, 0, &response), 200);
    const int length = snprintf(line, sizeof line, "\n%s\n", sample);
    const bool has = memmem(response.body, response.length, line, (size_t)length) != NULL;
    mr_h2_response_fini(&response);
    mr_h2_client_close(client);
    return has;
}

void federation_await_metric(struct federation *federation, unsigned hub, const char *sample)
{
    for (unsigned i = 0; i < AWAIT_MS / POLL_MS; i++) {
        if (federation_has_metric(federation, hub, sample)) {
            return;
        }
        pause_ms(POLL_MS);
    }
    fail_msg("hub %u: its metrics never have the line '%s'", hub, sample);
}
