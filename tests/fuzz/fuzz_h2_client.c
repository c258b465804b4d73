/* fuzz_h2_client.c - what a hub can send to a device, to another hub or to the command: answers to
 * several requests at once, some of which nobody waits for any more. No answer is longer than was
 * allowed, and none goes to another's request. */
#include "transport/h2_exchange.h"
#include "tests/fuzz/h2_feed.h"

#define ANSWER_MAX 4096
#define ASKED_MAX  8

struct asker {
    nghttp2_session *session;
    struct mr_h2_exchange exchanges[ASKED_MAX];
    unsigned asked;
};

static void ask(struct asker *asker)
{
    static const uint8_t body[300] = {'{'};
    const int with_body = asker->asked % 2;
    const size_t size = asker->asked % 3 * (ANSWER_MAX / 4);
    struct mr_h2_room room = {size ? malloc(size + 1) : NULL, size};
    MR_ASSERT(room.bytes || size == 0);
    const struct mr_h2_request question = {
        .method = with_body ? "POST" : "GET",
        .path = "/v1/tasks/default/rounds/current",
        .content_type = with_body ? "application/json" : NULL,
        .body = body,
        .length = with_body ? sizeof body : 0,
        .answer_max = ANSWER_MAX,
        .room = &room,
    };
    (void)mr_h2_exchange_begin(asker->session, &asker->exchanges[asker->asked++], "h", &question);
}

static void look(const struct mr_h2_exchange *exchange)
{
    MR_ASSERT(exchange->answer.length <= ANSWER_MAX);
    if (exchange->state == MR_H2_EXCHANGE_ANSWERED) {
        MR_ASSERT(exchange->answer.body[exchange->answer.length] == 0);
    }
    if (exchange->state == MR_H2_EXCHANGE_FAILED) {
        MR_ASSERT(exchange->reason && exchange->reason[0] != '\0');
    }
}

/* As a request that has ended, or was too late: its memory may be another's from now on. */
static void end(struct asker *asker, struct mr_h2_exchange *exchange)
{
    struct mr_h2_response response = {0};
    mr_h2_exchange_abandon(asker->session, exchange);
    if (exchange->state == MR_H2_EXCHANGE_ANSWERED) {
        mr_h2_exchange_take(exchange, &response);
        MR_ASSERT(exchange->state == MR_H2_EXCHANGE_NONE);
    }
    mr_h2_response_fini(&response);
    mr_h2_exchange_fini(exchange);
}

/* Takes answers that are whole, gives one up now and then, and asks again. */
static void aside(void *context, uint8_t flags)
{
    struct asker *asker = context;
    for (unsigned i = 0; i < asker->asked; i++) {
        struct mr_h2_exchange *exchange = &asker->exchanges[i];
        look(exchange);
        if (exchange->state == MR_H2_EXCHANGE_ANSWERED || flags % (2 * ASKED_MAX) == i) {
            end(asker, exchange);
            MR_ASSERT(exchange->answer.length == 0);
        }
    }
    if (asker->asked < ASKED_MAX) {
        ask(asker);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct asker asker = {.asked = 0};
    struct fuzz_input input = {data, size};
    MR_ASSERT(mr_h2_exchange_session(&asker.session) == 0);
    ask(&asker);
    if (h2_drain(asker.session)) {
        h2_feed(asker.session, &input, aside, &asker);
    }
    for (unsigned i = 0; i < asker.asked; i++) {
        look(&asker.exchanges[i]);
    }
    nghttp2_session_del(asker.session);
    for (unsigned i = 0; i < asker.asked; i++) {
        mr_h2_exchange_fini(&asker.exchanges[i]);
    }
    return 0;
}
