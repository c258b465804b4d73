#include "appliance/round/drive/reveal.h"

#include <stdlib.h>

void mr_reveal_prepare(struct mr_reveal *reveal, const struct mr_round_history *history,
                       struct mr_error *error)
{
    const struct mr_announcement *announcement = &reveal->terms->announcement;
    struct mr_store *store = reveal->context->store;
    reveal->memory = *mr_round_history_norms(history, announcement->round);
    reveal->made = mr_made_model_new(reveal->terms);
    reveal->parent = mr_store_borrow(store, announcement->model_hash, error);
}

void mr_reveal_return_parent(struct mr_reveal *reveal)
{
    if (reveal->parent) {
        mr_store_return(reveal->context->store, reveal->parent);
    }
    reveal->parent = NULL;
}

int mr_reveal_make(const struct mr_reveal *reveal, struct mr_error *error)
{
    struct mr_next_model_question question = {
        .terms = reveal->terms,
        .results = reveal->results,
        .included_count = reveal->included_count,
        .memory = reveal->memory,
        .mark_parts = reveal->mark_parts,
        .kernels = reveal->context->kernels,
    };
    if (!reveal->parent || !reveal->made) {
        return MR_NEXT_MODEL_FAILED;
    }
    uint8_t *state;
    question.parent = mr_model_bytes(reveal->parent, &question.parent_bytes);
    if (mr_store_read_state(reveal->context->store, question.parent, question.parent_bytes, &state,
                            &question.state_bytes, error) != 0) {
        return MR_NEXT_MODEL_FAILED;
    }
    question.state = state;
    const int result = mr_next_model(&reveal->made->answer, &question, error);
    free(state);
    return result;
}

static int store_model(struct mr_store *store, const struct mr_next_model_answer *answer,
                       struct mr_record *record, struct mr_error *error)
{
    if (answer->state && mr_store_write_state(store, answer->state_hash, answer->state,
                                              answer->state_bytes, error) != 0) {
        return -1;
    }
    char *manifest = mr_record_manifest(record);
    const int written = mr_store_write_model(store, answer->model_hash, answer->model,
                                             answer->model_bytes, manifest, error);
    free(manifest);
    if (written < 0 || mr_store_write_current(store, answer->model_hash, error) != 0) {
        return -1;
    }
    record->model_known = written > 0;
    return 0;
}

int mr_reveal_store(struct mr_store *store, const struct mr_next_model_answer *answer,
                    struct mr_record *record, struct mr_error *error)
{
    const struct mr_announcement *announcement = &record->terms->announcement;
    if (!mr_announcement_trains(announcement)) {
        record->model_known = true; /* it is where the round began */
    } else if (store_model(store, answer, record, error) != 0) {
        return -1;
    }
    char *text = mr_record_round(record);
    const int result = mr_store_write_round(store, announcement->round, text, answer->sum,
                                            (size_t)record->terms->layout.share_bytes, error);
    free(text);
    return result;
}
