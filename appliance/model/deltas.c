#include "appliance/model/deltas.h"

#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/model/delta_build.h"
#include "appliance/model/deltas_internal.h"
#include "base/assert.h"
#include "base/bytes.h"

/* --- making ---------------------------------------------------------------------------------- */

static const char *why_none(const struct mr_delta_kept *kept)
{
    return kept->result < 0 ? kept->error.text
                            : "no delta between these models is smaller than the model";
}

static void answer(struct mr_delta_kept *kept, const struct mr_delta_waiting *waiting)
{
    if (!kept->out.bytes) {
        waiting->fn(waiting->context, waiting->token, NULL, why_none(kept));
        return;
    }
    kept->lent++;
    waiting->fn(waiting->context, waiting->token, kept, NULL);
}

static void answer_all(struct mr_delta_kept *kept)
{
    kept->lent++; /* an answer may be over at once */
    for (size_t i = 0; i < kept->waiting_count; i++) {
        answer(kept, &kept->waiting[i]);
    }
    kept->waiting_count = 0;
    mr_delta_kept_return(kept);
}

static void make_work(void *context)
{
    struct mr_delta_kept *kept = context;
    kept->result = mr_delta_build(&kept->out, &kept->wish, &kept->error);
    if (kept->result == 0) {
        uint8_t hash[MR_HASH_BYTES];
        SHA256(kept->out.bytes, kept->out.length, hash);
        mr_hex_encode(kept->tag, hash, sizeof hash);
    }
}

static void make_done(void *context)
{
    struct mr_delta_kept *kept = context;
    struct mr_deltas *deltas = kept->deltas;
    const int result = kept->result; /* whoever is answered may give it back */
    mr_store_return(deltas->config.store, kept->base);
    if (kept->target) {
        mr_store_return(deltas->config.store, kept->target);
    }
    mr_made_model_drop(kept->made);
    kept->made = NULL;
    mr_deltas_return_parts(kept);
    deltas->report.made += kept->result == 0;
    deltas->report.none += kept->result > 0;
    deltas->report.failed += kept->result < 0;
    mr_deltas_make_room(deltas, kept->out.length);
    kept->making = false;
    deltas->bytes += kept->out.length;
    answer_all(kept);
    /* What is larger than all that may be kept was made for those who waited. A failure may pass.
     */
    for (unsigned i = 0; i < deltas->kept_count; i++) {
        if (deltas->kept[i] == kept && (deltas->bytes > deltas->config.bytes_max || result < 0)) {
            mr_deltas_forget(deltas, i);
            return;
        }
    }
}

static int wait_for(struct mr_delta_kept *kept, const struct mr_delta_waiting *waiting)
{
    if (kept->waiting_count == kept->waiting_room) {
        const size_t room = kept->waiting_room ? 2 * kept->waiting_room : 8;
        struct mr_delta_waiting *list = realloc(kept->waiting, room * sizeof *list);
        if (!list) {
            return -1;
        }
        kept->waiting = list;
        kept->waiting_room = room;
    }
    kept->waiting[kept->waiting_count++] = *waiting;
    return 0;
}

/* From a model that the store has. NULL with a reason: it is not here, or there is no memory. */
static struct mr_delta_kept *begin_from(struct mr_deltas *deltas, const uint8_t *base,
                                        const uint8_t *target, struct mr_error *error)
{
    bool busy;
    struct mr_delta_kept *kept = calloc(1, sizeof *kept);
    if (!kept) {
        mr_error_set(error, "out of memory");
        return NULL;
    }
    kept->base = mr_store_lend(deltas->config.store, base, &busy, error);
    if (!kept->base) {
        free(kept);
        return NULL;
    }
    kept->deltas = deltas;
    kept->making = true;
    kept->wish =
        (struct mr_delta_wish){.store = deltas->config.store, .kernels = deltas->config.kernels};
    memcpy(kept->wish.base_hash, base, MR_HASH_BYTES);
    memcpy(kept->wish.target_hash, target, MR_HASH_BYTES);
    kept->wish.base = mr_model_bytes(kept->base, &kept->wish.base_bytes);
    return kept;
}

/* Both models, for as long as it takes. NULL with a reason: one of them is not here. */
static struct mr_delta_kept *begin(struct mr_deltas *deltas, const uint8_t *base,
                                   const uint8_t *target, struct mr_error *error)
{
    bool busy;
    struct mr_delta_kept *kept = begin_from(deltas, base, target, error);
    if (!kept) {
        return NULL;
    }
    kept->target = mr_store_lend(deltas->config.store, target, &busy, error);
    if (!kept->target) {
        mr_store_return(deltas->config.store, kept->base);
        free(kept);
        return NULL;
    }
    kept->wish.target = mr_model_bytes(kept->target, &kept->wish.target_bytes);
    mr_deltas_lend_parts(deltas, kept);
    return kept;
}

static void make(struct mr_deltas *deltas, struct mr_delta_kept *kept)
{
    kept->used = ++deltas->asked;
    deltas->kept[deltas->kept_count++] = kept;
    mr_job_run(deltas->config.jobs, make_work, make_done, kept);
}

void mr_deltas_make_ahead(struct mr_deltas *deltas, struct mr_made_model *made)
{
    const uint8_t *base = made->terms.announcement.model_hash;
    const uint8_t *target = made->answer.model_hash;
    mr_deltas_make_room(deltas, 0);
    if (deltas->halted || deltas->kept_count == MR_DELTAS_KEPT_MAX ||
        mr_deltas_find(deltas, base, target) || memcmp(base, target, MR_HASH_BYTES) == 0) {
        return;
    }
    struct mr_delta_kept *kept = begin_from(deltas, base, target, &(struct mr_error){.text = ""});
    if (!kept) {
        return; /* then it is made when somebody asks */
    }
    mr_made_model_hold(made);
    kept->made = made;
    kept->ahead = true;
    kept->wish.made = made;
    kept->wish.target = made->answer.model;
    kept->wish.target_bytes = made->answer.model_bytes;
    make(deltas, kept);
}

/* Whether it may be sent: what was made ahead, only once the store has the model it leads to. */
static bool is_there(struct mr_deltas *deltas, struct mr_delta_kept *kept, struct mr_error *error)
{
    bool busy;
    if (kept->ahead) {
        struct mr_model *target =
            mr_store_lend(deltas->config.store, kept->wish.target_hash, &busy, error);
        if (!target) {
            return false;
        }
        mr_store_return(deltas->config.store, target);
        kept->ahead = false;
    }
    return true;
}

void mr_deltas_ask(struct mr_deltas *deltas, const uint8_t base[MR_HASH_BYTES],
                   const uint8_t target[MR_HASH_BYTES], mr_delta_answer_fn fn, void *context,
                   void *token)
{
    const struct mr_delta_waiting waiting = {fn, context, token};
    struct mr_error error = {.text = "the hub stops"};
    struct mr_delta_kept *kept = mr_deltas_find(deltas, base, target);
    deltas->report.asked++;
    if (kept && !is_there(deltas, kept, &error)) {
        fn(context, token, NULL, error.text);
        return;
    }
    if (kept && !kept->making) {
        kept->used = ++deltas->asked;
        answer(kept, &waiting);
        return;
    }
    if (!kept && !deltas->halted) {
        mr_deltas_make_room(deltas, 0);
        kept = deltas->kept_count < MR_DELTAS_KEPT_MAX ? begin(deltas, base, target, &error) : NULL;
        if (kept) {
            make(deltas, kept);
        }
    }
    if (!kept || wait_for(kept, &waiting) != 0) {
        fn(context, token, NULL, kept ? "out of memory" : error.text);
        return;
    }
    kept->used = ++deltas->asked;
}

/* --- opening and closing --------------------------------------------------------------------- */

struct mr_deltas *mr_deltas_open(const struct mr_deltas_config *config)
{
    struct mr_deltas *deltas = calloc(1, sizeof *deltas);
    if (deltas) {
        deltas->config = *config;
    }
    return deltas;
}

void mr_deltas_halt(struct mr_deltas *deltas)
{
    deltas->halted = true;
}

void mr_deltas_close(struct mr_deltas *deltas)
{
    if (!deltas) {
        return;
    }
    while (deltas->kept_count > 0) {
        MR_ASSERT(!deltas->kept[0]->making);
        mr_deltas_forget(deltas, 0);
    }
    free(deltas);
}

void mr_deltas_report(const struct mr_deltas *deltas, struct mr_deltas_report *report)
{
    *report = deltas->report;
    report->bytes = deltas->bytes;
}
