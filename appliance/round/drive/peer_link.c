#include "appliance/round/drive/peer_link.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "appliance/round/drive/wall_clock.h"
#include "appliance/runtime/job.h"
#include "base/assert.h"

struct mr_peer_link {
    struct mr_peer_link_config config;
    mr_peer_answered_fn answered;
    void *context;
    struct mr_job_thread *thread; /* NULL once stopped */
    atomic_bool stopping;
    int wake_fd; /* an eventfd, readable once it is stopping: what is under way ends at once */
    struct mr_h2_client *client; /* the thread's own; NULL: not connected */
    bool clock_known;            /* the loop's */
    int64_t clock_ahead_ms;
};

/* A question on its way: its own copy of the body, then the answer. */
struct exchange {
    struct mr_peer_link *link;
    struct mr_h2_endpoint endpoint; /* as it was when the question was asked */
    struct mr_peer_question question;
    uint8_t *body;
    char word[MR_H2_WORD_BYTES];
    struct mr_h2_response response;
    struct mr_error error;
    int failure;                    /* enum mr_h2_failure */
    uint64_t asked_ms, answered_ms; /* by this hub's wall clock */
};

static const char *const paths[] = {
    [MR_PEER_FREEZE] = "/freeze", [MR_PEER_OPEN] = "/open", [MR_PEER_REVEAL] = "/reveal",
    [MR_PEER_VOID] = "/void",     [MR_PEER_DRAW] = "/draw",
};

/* NULL: it has no body. */
static const char *content_type_of(enum mr_peer_step step)
{
    return step == MR_PEER_STAND  ? NULL
           : step == MR_PEER_VOID ? "application/json"
                                  : "application/octet-stream";
}

static int send_once(struct exchange *exchange, bool *fresh)
{
    struct mr_peer_link *link = exchange->link;
    const struct mr_peer_question *question = &exchange->question;
    const unsigned timeout_ms = question->timeout_ms;
    char path[80 + MR_TASK_NAME_MAX];
    *fresh = !link->client;
    if (*fresh) {
        const int failure =
            mr_h2_client_open(&link->client, &exchange->endpoint, timeout_ms, &exchange->error);
        if (failure != MR_H2_OK) {
            link->client = NULL;
            return failure;
        }
    }
    if (question->step == MR_PEER_STAND) {
        snprintf(path, sizeof path, "/v1/tasks/%s/peer/standing", link->config.task);
    } else if (question->step == MR_PEER_PROPOSE) {
        snprintf(path, sizeof path, "/v1/tasks/%s/peer/rounds", link->config.task);
    } else {
        snprintf(path, sizeof path, "/v1/tasks/%s/peer/rounds/%" PRIu64 "%s", link->config.task,
                 question->round, paths[question->step]);
    }
    const struct mr_h2_request request = {
        .method = question->step == MR_PEER_STAND ? "GET" : "POST",
        .path = path,
        .content_type = content_type_of(question->step),
        .word = exchange->word,
        .body = exchange->body,
        .length = question->length,
        .answer_max = question->answer_bytes_max,
        .timeout_ms = timeout_ms,
    };
    exchange->asked_ms = mr_round_unix_ms();
    const int failure =
        mr_h2_client_request(link->client, &request, &exchange->response, &exchange->error);
    exchange->answered_ms = mr_round_unix_ms();
    if (failure != MR_H2_OK) {
        mr_h2_client_close(link->client);
        link->client = NULL;
    }
    return failure;
}

/* A kept connection may have been closed by the other side in the meantime: once more then. */
static void work(void *context)
{
    struct exchange *exchange = context;
    bool fresh = true;
    if (atomic_load(&exchange->link->stopping)) {
        mr_error_set(&exchange->error, "the hub is stopping");
        return;
    }
    exchange->failure = send_once(exchange, &fresh);
    if (exchange->failure == MR_H2_BROKEN && !fresh && !atomic_load(&exchange->link->stopping)) {
        exchange->failure = send_once(exchange, &fresh);
    }
}

/* Its clock showed that second at some time between question and answer; a question that took long
 * tells only what is beyond doubt. */
static void take_clock(struct mr_peer_link *link, const struct exchange *exchange)
{
    const int64_t from_ms = exchange->response.date_unix_s * 1000, until_ms = from_ms + 1000;
    const int64_t asked_ms = (int64_t)exchange->asked_ms;
    const int64_t answered_ms = (int64_t)exchange->answered_ms;
    if (from_ms == 0) {
        return;
    }
    link->clock_known = true;
    link->clock_ahead_ms = from_ms > answered_ms ? from_ms - answered_ms
                           : until_ms < asked_ms ? until_ms - asked_ms
                                                 : 0;
}

bool mr_peer_link_clock(const struct mr_peer_link *link, int64_t *ahead_ms)
{
    *ahead_ms = link->clock_ahead_ms;
    return link->clock_known;
}

static void done(void *context)
{
    struct exchange *exchange = context;
    struct mr_peer_link *link = exchange->link;
    take_clock(link, exchange);
    const struct mr_peer_answer answer = {
        .round = exchange->question.round,
        .peer = link->config.peer,
        .step = exchange->question.step,
        .status = exchange->response.status,
        .body = exchange->response.body,
        .length = exchange->response.length,
        .text = exchange->error.text,
        .word = exchange->response.word,
        .unacceptable = exchange->failure == MR_H2_REFUSED,
    };
    link->answered(link->context, &answer);
    mr_h2_response_fini(&exchange->response);
    free(exchange->body);
    free(exchange);
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
    link->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (link->wake_fd < 0) {
        mr_error_set(error, "the link to hub %u: %s (file descriptors: see `ulimit -n`)",
                     config->endpoint.hub_index, strerror(errno));
        free(link);
        return -1;
    }
    snprintf(name, sizeof name, "peer-%u", config->endpoint.hub_index);
    if (mr_job_thread_open(&link->thread, loop, name, error) != 0) {
        close(link->wake_fd);
        free(link);
        return -1;
    }
    *out = link;
    return 0;
}

void mr_peer_link_set_endpoint(struct mr_peer_link *link, const struct mr_h2_endpoint *endpoint)
{
    link->config.endpoint = *endpoint;
}

void mr_peer_link_halt(struct mr_peer_link *link)
{
    const uint64_t one = 1;
    atomic_store(&link->stopping, true);
    (void)!write(link->wake_fd, &one, sizeof one);
}

void mr_peer_link_stop(struct mr_peer_link *link)
{
    mr_peer_link_halt(link);
    mr_job_thread_close(link->thread);
    link->thread = NULL;
    mr_h2_client_close(link->client);
    link->client = NULL;
}

void mr_peer_link_close(struct mr_peer_link *link)
{
    if (link) {
        MR_ASSERT(!link->thread);
        close(link->wake_fd);
        free(link);
    }
}

void mr_peer_link_ask(struct mr_peer_link *link, const struct mr_peer_question *question)
{
    struct exchange *exchange = calloc(1, sizeof *exchange);
    uint8_t *copy = malloc(question->length ? question->length : 1);
    MR_ASSERT(exchange && copy && link->thread);
    if (question->length) {
        memcpy(copy, question->body, question->length);
    }
    *exchange = (struct exchange){
        .link = link, .endpoint = link->config.endpoint, .question = *question, .body = copy};
    exchange->endpoint.wake_fd = link->wake_fd;
    exchange->question.body = copy;
    snprintf(exchange->word, sizeof exchange->word, "%s", question->word ? question->word : "");
    mr_job_run(link->thread, work, done, exchange);
}
