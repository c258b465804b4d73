#include "appliance/round/drive/peer_link.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/runtime/job.h"
#include "base/assert.h"

struct mr_peer_link {
    struct mr_peer_link_config config;
    mr_peer_answered_fn answered;
    void *context;
    struct mr_job_thread *thread; /* NULL once stopped */
    atomic_bool stopping;
    struct mr_h2_client *client; /* the thread's own; NULL: not connected */
};

struct question {
    struct mr_peer_link *link;
    uint64_t round;
    enum mr_peer_step step;
    uint8_t *body;
    size_t length, body_max;
    struct mr_h2_response response;
    struct mr_error error;
};

static const char *const paths[] = {
    [MR_PEER_FREEZE] = "/freeze",
    [MR_PEER_OPEN] = "/open",
    [MR_PEER_REVEAL] = "/reveal",
    [MR_PEER_VOID] = "/void",
};

static int send_once(struct question *question, bool *fresh)
{
    struct mr_peer_link *link = question->link;
    const unsigned timeout_ms = link->config.timeout_ms;
    char path[80 + MR_TASK_NAME_MAX];
    *fresh = !link->client;
    if (*fresh) {
        const int failure =
            mr_h2_client_open(&link->client, &link->config.endpoint, timeout_ms, &question->error);
        if (failure != MR_H2_OK) {
            link->client = NULL;
            return failure;
        }
    }
    if (question->step == MR_PEER_PROPOSE) {
        snprintf(path, sizeof path, "/v1/tasks/%s/peer/rounds", link->config.task);
    } else {
        snprintf(path, sizeof path, "/v1/tasks/%s/peer/rounds/%" PRIu64 "%s", link->config.task,
                 question->round, paths[question->step]);
    }
    const char *type =
        question->step == MR_PEER_VOID ? "application/json" : "application/octet-stream";
    const int failure =
        mr_h2_client_request(link->client, "POST", path, type, question->body, question->length,
                             question->body_max, timeout_ms, &question->response, &question->error);
    if (failure != MR_H2_OK) {
        mr_h2_client_close(link->client);
        link->client = NULL;
    }
    return failure;
}

/* A kept connection may have been closed by the other side in the meantime: once more then. */
static void work(void *context)
{
    struct question *question = context;
    bool fresh = true;
    if (atomic_load(&question->link->stopping)) {
        mr_error_set(&question->error, "the hub is stopping");
        return;
    }
    if (send_once(question, &fresh) == MR_H2_BROKEN && !fresh) {
        send_once(question, &fresh);
    }
}

static void done(void *context)
{
    struct question *question = context;
    struct mr_peer_link *link = question->link;
    const struct mr_peer_answer answer = {
        .round = question->round,
        .peer = link->config.peer,
        .step = question->step,
        .status = question->response.status,
        .body = question->response.body,
        .length = question->response.length,
        .text = question->error.text,
    };
    link->answered(link->context, &answer);
    mr_h2_response_fini(&question->response);
    free(question->body);
    free(question);
}

int mr_peer_link_open(struct mr_peer_link **out, struct mr_loop *loop,
                      const struct mr_peer_link_config *config, mr_peer_answered_fn answered,
                      void *context, struct mr_error *error)
{
    struct mr_peer_link *link = calloc(1, sizeof *link);
    char name[16];
    if (!link) {
        return mr_error_set(error, "out of memory");
    }
    link->config = *config;
    link->answered = answered;
    link->context = context;
    snprintf(name, sizeof name, "peer-%u", config->endpoint.hub_index);
    if (mr_job_thread_open(&link->thread, loop, name, error) != 0) {
        free(link);
        return -1;
    }
    *out = link;
    return 0;
}

void mr_peer_link_stop(struct mr_peer_link *link)
{
    atomic_store(&link->stopping, true);
    mr_job_thread_close(link->thread);
    link->thread = NULL;
    mr_h2_client_close(link->client);
    link->client = NULL;
}

void mr_peer_link_close(struct mr_peer_link *link)
{
    if (link) {
        MR_ASSERT(!link->thread);
        free(link);
    }
}

void mr_peer_link_ask(struct mr_peer_link *link, uint64_t round, enum mr_peer_step step,
                      const uint8_t *body, size_t length, size_t body_max)
{
    struct question *question = calloc(1, sizeof *question);
    uint8_t *copy = malloc(length ? length : 1);
    MR_ASSERT(question && copy && link->thread);
    memcpy(copy, body, length);
    *question = (struct question){.link = link,
                                  .round = round,
                                  .step = step,
                                  .body = copy,
                                  .length = length,
                                  .body_max = body_max};
    mr_job_run(link->thread, work, done, question);
}
