/* refusal.h - a typed "no" of the round's cores; the control plane turns it into an answer. */
#ifndef MR_WIRE_REFUSAL_H
#define MR_WIRE_REFUSAL_H

#include <stdint.h>

enum mr_verdict_code {
    MR_VERDICT_OK = 0,
#define MR_REFUSAL(name, status, code, sentence) MR_VERDICT_##name,
#include "wire/refusals.def"
#undef MR_REFUSAL
};

struct mr_verdict {
    enum mr_verdict_code code;
    uint32_t retry_after_ms; /* 0 = do not */
    char text[300];
};

/* Fills the verdict and returns its code, so that callers can `return mr_verdict_set(…)`. */
enum mr_verdict_code mr_verdict_set(struct mr_verdict *verdict, enum mr_verdict_code code,
                                    const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Makes text that may hold another party's words fit for a log line and for a refusal: printable
 * ASCII without double quotes, in place. */
void mr_plain_text(char *text);

int mr_verdict_status(enum mr_verdict_code code);
const char *mr_verdict_name(enum mr_verdict_code code);

#endif
