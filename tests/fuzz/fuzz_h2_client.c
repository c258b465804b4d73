/* fuzz_h2_client.c - what a hub can send to a device, to another hub or to the command: answers to
 * one request after the other. No answer is longer than was allowed. */
#include "transport/h2_exchange.h"
#include "tests/fuzz/h2_feed.h"

#define ANSWER_MAX 4096

struct asker {
    nghttp2_session *session;
    struct mr_h2_exchange exchange;
    unsigned asked;
};

static void ask(struct asker *asker)
{
    static const uint8_t body[300] = {'{'};
    const int with_body = asker->asked++ % 2;
    const struct mr_h2_request question = {
        .method = with_body ? "POST" : "GET",
        .path = "/v1/tasks/default/rounds/current",
        .content_type = with_body ? "application/json" : NULL,
        .body = body,
        .length = with_body ? sizeof body : 0,
        .answer_max = ANSWER_MAX,
    };
    (void)mr_h2_exchange_begin(asker->session, &asker->exchange, "h", &question);
}

static void look(const struct asker *asker)
{
    const struct mr_h2_exchange *exchange = &asker->exchange;
    MR_ASSERT(exchange->answer.length <= ANSWER_MAX);
    if (exchange->state == MR_H2_EXCHANGE_ANSWERED) {
        MR_ASSERT(exchange->answer.body[exchange->answer.length] == 0);
    }
    if (exchange->state == MR_H2_EXCHANGE_FAILED) {
        MR_ASSERT(exchange->reason && exchange->reason[0] != '\0');
    }
}

/* Takes an answer that is whole, and asks again. */
static void aside(void *context, uint8_t flags)
{
    struct asker *asker = context;
    struct mr_h2_response response;
    (void)flags;
    look(asker);
    if (asker->exchange.state == MR_H2_EXCHANGE_ANSWERED) {
        mr_h2_exchange_take(&asker->exchange, &response);
        MR_ASSERT(asker->exchange.state == MR_H2_EXCHANGE_NONE);
        mr_h2_response_fini(&response);
    }
    if (asker->asked < 8) {
        ask(asker);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct asker asker = {.asked = 0};
    struct fuzz_input input = {data, size};
    MR_ASSERT(mr_h2_exchange_session(&asker.session, &asker.exchange) == 0);
    ask(&asker);
    if (h2_drain(asker.session)) {
        h2_feed(asker.session, &input, aside, &asker);
    }
    look(&asker);
    nghttp2_session_del(asker.session);
    mr_h2_exchange_fini(&asker.exchange);
    return 0;
}
