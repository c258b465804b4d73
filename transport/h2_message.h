/* h2_message.h - one HTTP/2 request and its answer, as whole messages: what a client sends and
 * gets. No I/O. */
#ifndef MR_TRANSPORT_H2_MESSAGE_H
#define MR_TRANSPORT_H2_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How long an announced round still takes uploads, in milliseconds from the answer on: a decimal
 * number in a header, beside an announcement whose signed deadline is a time of the hubs' clocks.
 */
#define MR_H2_TIME_LEFT "millrace-time-left-ms"

/* Beside a hub's answer about the newest release: the number of the newest statement of next keys
 * that it has, 0 for none, so that nobody asks for statements that are not there. Decimal. */
#define MR_H2_NEXT_KEY "millrace-next-key"

/* A word of one hub to another beside a question or an answer, which is its owner's to read. */
#define MR_H2_WORD       "millrace-standing"
#define MR_H2_WORD_BYTES 400 /* the NUL counted; a longer one is as good as absent */

/* Memory for an answer's body that the asker has at hand, from malloc; zero: none. */
struct mr_h2_room {
    uint8_t *bytes;
    size_t size; /* without a NUL behind them */
};

/* What a client asks, and how long it waits. Everything pointed at is the caller's and must stay
 * until the request has ended. */
struct mr_h2_request {
    const char *method;
    const char *path;         /* with its query */
    const char *content_type; /* NULL: no body */
    const void *body;
    size_t length;    /* of the body, bytes */
    const char *word; /* MR_H2_WORD; NULL or "": none */
    /* Of a GET: so many bytes of the answer, from there on; 0: all of it. The answer is 206 then.
     */
    uint64_t range_first;
    size_t range_bytes;
    size_t answer_max;   /* an answer whose body has more bytes is a failure */
    unsigned timeout_ms; /* to the whole answer */
    /* For a body or an answer that may be large on a path that may be slow: a timeout in which it
     * moved (MR_H2_PROGRESS_BYTES) is followed by another, until so much time is over in all. 0:
     * there is one timeout only. */
    unsigned whole_ms;
    /* > 0: as soon as it can be read from the wait ends, with MR_H2_BROKEN; 0: the endpoint's. */
    int wake_fd;
    struct mr_h2_room *room; /* taken over for the answer's body, and zero then; NULL: none */
};

struct mr_h2_response {
    int status;
    uint8_t *body; /* malloc'd, NUL behind it; mr_h2_response_fini frees (wiping nothing) */
    size_t length;
    size_t room;           /* of `body`, without the NUL: at least `length` */
    int64_t date_unix_s;   /* the server's clock when it answered (`date`); 0: it did not say */
    bool has_time_left;    /* … */
    uint64_t time_left_ms; /* MR_H2_TIME_LEFT of a round's announcement */
    bool has_next_key;     /* … */
    uint64_t next_key;     /* MR_H2_NEXT_KEY */
    char word[MR_H2_WORD_BYTES]; /* MR_H2_WORD; "": none */
};
/* Frees the body and zeroes the struct; one that is zero already is allowed. */
void mr_h2_response_fini(struct mr_h2_response *response);

#endif
