/* accept_terms.h - whether this hub's operator accepts the terms of a round (tasks.accept), and
 * steps from model to model as the announcement says. */
#ifndef MR_ROUND_DRIVE_ACCEPT_TERMS_H
#define MR_ROUND_DRIVE_ACCEPT_TERMS_H

#include <stdbool.h>

#include "appliance/config/hub_config.h"
#include "appliance/round/drive/round_history.h"
#include "wire/refusal.h"

/* What the answer goes by. */
struct mr_accept_question {
    const struct mr_config_accept *accept; /* NULL: everything is accepted */
    const struct mr_announcement *announcement;
    uint32_t lanes;
    uint64_t left_ms;                  /* until the deadline, by this hub's clock */
    const struct mr_config_round *own; /* whose server optimiser has to be the announced one */
    const struct mr_round_history *history;
};

/* False with the refusal filled: it names the option, the announced value and what is accepted. */
bool mr_accept_terms(const struct mr_accept_question *question, struct mr_refusal *refusal);

#endif
