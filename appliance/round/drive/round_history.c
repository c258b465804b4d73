#include "appliance/round/drive/round_history.h"

#include <stdlib.h>

int mr_round_history_init(struct mr_round_history *history, const struct mr_store *store,
                          struct mr_error *error)
{
    history->count = 0;
    history->list = calloc(MR_ROUND_HISTORY_MAX, sizeof *history->list);
    if (!history->list) {
        return mr_error_set(error, "out of memory for the list of rounds");
    }
    const int count = mr_round_record_list(store, history->list, MR_ROUND_HISTORY_MAX, error);
    history->count = count > 0 ? (unsigned)count : 0;
    return count < 0 ? -1 : 0;
}

void mr_round_history_fini(struct mr_round_history *history)
{
    free(history->list);
    *history = (struct mr_round_history){.count = 0};
}

static struct mr_round_summary *at(const struct mr_round_history *history, unsigned i)
{
    return &history->list[i % MR_ROUND_HISTORY_MAX];
}

static unsigned kept(const struct mr_round_history *history)
{
    return history->count < MR_ROUND_HISTORY_MAX ? history->count : MR_ROUND_HISTORY_MAX;
}

struct mr_round_summary *mr_round_history_current(struct mr_round_history *history, uint64_t round)
{
    if (!history->count || at(history, history->count - 1)->round != round) {
        *at(history, history->count++) = (struct mr_round_summary){.round = round};
    }
    return at(history, history->count - 1);
}

unsigned mr_round_history_list(const struct mr_round_history *history,
                               struct mr_round_summary *list, unsigned list_max)
{
    const unsigned count = kept(history) < list_max ? kept(history) : list_max;
    for (unsigned i = 0; i < count; i++) {
        list[i] = *at(history, history->count - count + i);
    }
    return count;
}

const struct mr_round_summary *mr_round_history_find(const struct mr_round_history *history,
                                                     uint64_t round)
{
    for (unsigned i = 1; i <= kept(history); i++) {
        if (at(history, history->count - i)->round == round) {
            return at(history, history->count - i);
        }
    }
    return NULL;
}

const struct mr_round_summary *mr_round_history_opened(const struct mr_round_history *history,
                                                       uint64_t before)
{
    for (unsigned i = 1; i <= kept(history); i++) {
        const struct mr_round_summary *summary = at(history, history->count - i);
        if (summary->round < before && summary->has_metrics) {
            return summary;
        }
    }
    return NULL;
}

const struct mr_round_summary *mr_round_history_trained(const struct mr_round_history *history)
{
    const struct mr_round_summary *summary = mr_round_history_opened(history, UINT64_MAX);
    while (summary && summary->kind == MR_ROUND_EVALUATION) {
        summary = mr_round_history_opened(history, summary->round);
    }
    return summary;
}

unsigned mr_round_history_models(const struct mr_round_history *history)
{
    unsigned count = 0;
    for (unsigned i = 1; i <= kept(history); i++) {
        const struct mr_round_summary *summary = at(history, history->count - i);
        if (summary->kind == MR_ROUND_EVALUATION) {
            break;
        }
        count += summary->has_metrics;
    }
    return count;
}

const struct mr_norm_memory *mr_round_history_norms(const struct mr_round_history *history,
                                                    uint64_t before)
{
    static const struct mr_norm_memory nothing = {.devices = 0};
    const struct mr_round_summary *opened = mr_round_history_opened(history, before);
    return opened ? &opened->metrics.memory : &nothing;
}

unsigned mr_round_history_steps(const struct mr_round_history *history, uint64_t before,
                                struct mr_past_step *steps, unsigned most)
{
    unsigned count = 0;
    for (unsigned i = 1; i <= kept(history) && count < most; i++) {
        const struct mr_round_summary *summary = at(history, history->count - i);
        if (summary->round < before && summary->has_metrics &&
            summary->kind != MR_ROUND_EVALUATION) {
            steps[count++] = (struct mr_past_step){summary->metrics.step, summary->included};
        }
    }
    return count;
}

unsigned mr_round_history_draw_voids(const struct mr_round_history *history)
{
    unsigned count = 0;
    for (unsigned i = 1; i <= kept(history); i++) {
        const struct mr_round_summary *summary = at(history, history->count - i);
        if (summary->has_metrics) {
            break;
        }
        count += summary->drawn;
    }
    return count;
}
