/* refusal.h - what a peer is told when it is not served: a code, words, and when to come back.
 *
 * Codes and their HTTP statuses are in wire/refusals.def. They are decoded once, where a body comes
 * in (mr_refusal_decode in wire/messages.h); the rest of the tree compares only the enum. */
#ifndef MR_WIRE_REFUSAL_H
#define MR_WIRE_REFUSAL_H

#include <stdint.h>

enum mr_refusal_code {
    MR_REFUSAL_NONE = 0,
#define MR_REFUSAL(name, status, code, sentence) MR_REFUSAL_##name,
#include "wire/refusals.def"
#undef MR_REFUSAL
    MR_REFUSAL_UNKNOWN, /* a newer hub's: only its name is known here */
};

#define MR_REFUSAL_NAME_MAX 39

struct mr_refusal {
    enum mr_refusal_code code;
    uint32_t retry_after_ms;            /* 0 = do not */
    char name[MR_REFUSAL_NAME_MAX + 1]; /* the code in words, also of an unknown one */
    char text[400];                     /* for people: printable ASCII without double quotes */
};

/* Fills the refusal and returns its code, so that callers can `return mr_refuse(…)`. */
enum mr_refusal_code mr_refuse(struct mr_refusal *refusal, enum mr_refusal_code code,
                               const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Makes text that may hold another party's words fit for a log line and for a refusal: printable
 * ASCII without double quotes, in place. */
void mr_plain_text(char *text);

/* The HTTP status and the name of a known code. */
int mr_refusal_status(enum mr_refusal_code code);
const char *mr_refusal_name(enum mr_refusal_code code);
/* The code of that name, MR_REFUSAL_UNKNOWN if there is none. */
enum mr_refusal_code mr_refusal_code_of(const char *name);

#endif
