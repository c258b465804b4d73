/* acceptance.h - which terms of a round an operator, or a device's owner, accepts.
 *
 * A range is written "any", "A" (exactly), "A..B", "A.." or "..B", both ends included. What is
 * accepted of `training` is "any", or a JSON object: the keys that may stand in the announced one,
 * each with a range as text for a number, a list of the values that it may have, or the one value.
 * Pure. */
#ifndef MR_WIRE_ACCEPTANCE_H
#define MR_WIRE_ACCEPTANCE_H

#include <stdint.h>

#include "base/error.h"
#include "wire/announcement.h"

/* Of a deadline, more or less: clocks differ, and a proposal takes its time. */
#define MR_ACCEPTED_DEADLINE_SLACK_MS 5000

enum mr_accepted {
#define X(enumerator, name, value) MR_ACCEPTED_##enumerator,
#include "wire/accepted.def"
#undef X
    MR_ACCEPTED_COUNT,
};

struct mr_range {
    double least, most; /* finite; or 0 and INFINITY */
};

struct mr_acceptance {
    struct mr_range ranges[MR_ACCEPTED_COUNT];
    const char *training; /* mr_training_rule_check; the caller's; NULL: any */
};

/* 0, or -1 for a text that is no range of numbers from 0 on, or whose ends are the wrong way round.
 */
int mr_range_parse(struct mr_range *range, const char *text);

/* 0, or -1 with an error of the form "must be …". */
int mr_training_rule_check(const char *rule, struct mr_error *error);

/* Everything that can be announced. */
void mr_acceptance_init(struct mr_acceptance *acceptance);
const char *mr_accepted_name(enum mr_accepted which);

/* 0, or -1 with an error that names the first option that does not hold, the announced value and
 * what is accepted. `left_ms`: until the deadline; UINT64_MAX: not known, and not judged. */
int mr_acceptance_check(const struct mr_acceptance *acceptance,
                        const struct mr_announcement *announcement, uint64_t left_ms,
                        struct mr_error *error);

#endif
