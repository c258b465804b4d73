#include "appliance/round/drive/summary.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/round/drive/metrics_json.h"
#include "appliance/round/drive/noise_json.h"
#include "base/bytes.h"
#include "base/json_text.h"

bool mr_round_summary_ended(const struct mr_round_summary *summary)
{
    return strcmp(summary->state, "published") == 0 || strcmp(summary->state, "revealed") == 0 ||
           strcmp(summary->state, "void") == 0;
}

void mr_round_summary_take_terms(struct mr_round_summary *summary,
                                 const struct mr_round_terms *terms)
{
    summary->cohort_min = terms->announcement.cohort_min;
    summary->cohort_max = terms->announcement.cohort_max;
    summary->levels = terms->announcement.levels;
    summary->scale = terms->announcement.scale;
    summary->clip_norm = terms->announcement.clip_norm;
    summary->step_max = terms->announcement.step_max;
    summary->kind = terms->announcement.kind;
    summary->noise_kind = terms->announcement.noise_kind;
    summary->privacy = terms->announcement.privacy;
    memcpy(summary->announcement_hash, terms->hash, MR_HASH_BYTES);
    memcpy(summary->parent_hash, terms->announcement.model_hash, MR_HASH_BYTES);
}

/* --- as JSON --------------------------------------------------------------------------------- */

static void put_number(json_t *object, const char *name, uint64_t value)
{
    json_object_set_new(object, name, json_integer((json_int_t)value));
}

/* Nothing where it is not known. */
static void put_hash(json_t *object, const char *name, const uint8_t hash[MR_HASH_BYTES])
{
    static const uint8_t none[MR_HASH_BYTES];
    char hex[2 * MR_HASH_BYTES + 1];
    if (memcmp(hash, none, sizeof none) != 0) {
        mr_hex_encode(hex, hash, MR_HASH_BYTES);
        json_object_set_new(object, name, mr_json_text(hex));
    }
}

static void put_span(json_t *object, const char *name, uint64_t from_ms, uint64_t to_ms)
{
    if (from_ms && to_ms >= from_ms) {
        put_number(object, name, to_ms - from_ms);
    }
}

/* A lead knows the time before it has written down how the round ended: until then it has not. */
static uint64_t ended_ms(const struct mr_round_summary *summary)
{
    return summary->lead && !mr_round_summary_ended(summary) ? 0 : summary->ended_unix_ms;
}

static void put_whole(json_t *object, const struct mr_round_summary *summary)
{
    put_number(object, "closed_unix_ms", summary->closed_unix_ms);
    put_number(object, "ended_unix_ms", ended_ms(summary));
    put_number(object, summary->lead ? "unsound" : "bad_seeds",
               summary->lead ? summary->unsound : summary->bad_seeds);
    put_number(object, "cohort_min", summary->cohort_min);
    put_number(object, "cohort_max", summary->cohort_max);
    put_number(object, "levels", summary->levels);
    json_object_set_new(object, "scale", mr_json_real((double)summary->scale));
    json_object_set_new(object, "clip_norm", mr_json_real((double)summary->clip_norm));
    json_object_set_new(object, "step_max", mr_json_real((double)summary->step_max));
    json_t *noise = mr_round_noise_json(summary->noise_kind, &summary->privacy);
    if (noise) {
        json_object_set_new(object, "noise", noise);
    }
    put_hash(object, "announcement_hash", summary->announcement_hash);
    put_hash(object, "parent", summary->parent_hash);
    put_hash(object, "set_hash", summary->set_hash);
    if (summary->drawn) {
        json_object_set_new(object, "drawn", json_true());
    }
    if (summary->opened) {
        json_object_set_new(object, "opened", json_true());
    }
    if (summary->model_known) {
        json_object_set_new(object, "model_known", json_true());
    }
    if (summary->has_metrics) {
        json_object_set_new(object, "metrics", mr_round_metrics_json(&summary->metrics));
    }
    json_t *stages = mr_round_stages_json(&summary->stages);
    if (stages) {
        json_object_set_new(object, "stages_us", stages);
    }
}

json_t *mr_round_summary_json(const struct mr_round_summary *summary, const char *task, bool whole)
{
    json_t *object = json_object();
    put_number(object, "round", summary->round);
    if (task) {
        json_object_set_new(object, "task", mr_json_text(task));
    }
    json_object_set_new(object, "role", mr_json_text(summary->lead ? "lead" : "helper"));
    json_object_set_new(object, "kind", mr_json_text(mr_round_kind_name(summary->kind)));
    json_object_set_new(object, "state", mr_json_text(summary->state));
    put_number(object, "opened_unix_ms", summary->opened_unix_ms);
    put_number(object, "quorum", summary->quorum);
    put_number(object, "admitted", summary->admitted);
    put_number(object, "staged", summary->staged);
    put_number(object, "committed", summary->committed);
    put_number(object, "included", summary->included);
    if (!summary->lead && summary->included > 0) {
        put_number(object, "left_out", summary->left_out);
        put_number(object, "passed_over", summary->passed_over);
    }
    put_hash(object, "model_hash", summary->model_hash);
    if (strcmp(summary->state, "void") != 0) {
        put_span(object, "open_ms", summary->opened_unix_ms, summary->closed_unix_ms);
        put_span(object, "publish_ms", summary->closed_unix_ms, ended_ms(summary));
    } else {
        json_object_set_new(object, "reason", mr_json_text(summary->reason));
    }
    if (whole) {
        put_whole(object, summary);
    }
    return object;
}

/* --- from a record --------------------------------------------------------------------------- */

static uint64_t number(const json_t *object, const char *name)
{
    const json_int_t value = json_integer_value(json_object_get(object, name));
    return value > 0 ? (uint64_t)value : 0;
}

static void text_member(char *out, size_t bytes, const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    snprintf(out, bytes, "%s", text ? text : "");
}

static void hash_member(uint8_t out[MR_HASH_BYTES], const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    if (!text || mr_hex_decode(out, MR_HASH_BYTES, text) != 0) {
        memset(out, 0, MR_HASH_BYTES);
    }
}

static void metrics_member(struct mr_round_summary *summary, const json_t *object)
{
    const json_t *metrics = json_object_get(object, "metrics");
    summary->has_metrics = json_is_object(metrics);
    mr_round_metrics_from_json(&summary->metrics, metrics);
}

static float real(const json_t *object, const char *name)
{
    return (float)json_number_value(json_object_get(object, name));
}

/* A record from before there were kinds is of a round that trained. */
static uint8_t kind_member(const json_t *object)
{
    const char *name = json_string_value(json_object_get(object, "kind"));
    uint8_t kind = MR_ROUND_EVALUATION;
    while (kind > MR_ROUND_TRAINING && (!name || strcmp(name, mr_round_kind_name(kind)) != 0)) {
        kind--;
    }
    return kind;
}

static int take(struct mr_round_summary *summary, const json_t *object, uint64_t round)
{
    const char *role = json_string_value(json_object_get(object, "role"));
    *summary = (struct mr_round_summary){
        .round = round,
        .lead = role && strcmp(role, "lead") == 0,
        .opened_unix_ms = number(object, "opened_unix_ms"),
        .closed_unix_ms = number(object, "closed_unix_ms"),
        .ended_unix_ms = number(object, "ended_unix_ms"),
        .quorum = (uint32_t)number(object, "quorum"),
        .cohort_min = (uint32_t)number(object, "cohort_min"),
        .cohort_max = (uint32_t)number(object, "cohort_max"),
        .admitted = (uint32_t)number(object, "admitted"),
        .staged = (uint32_t)number(object, "staged"),
        .committed = (uint32_t)number(object, "committed"),
        .included = (uint32_t)number(object, "included"),
        .unsound = (uint32_t)number(object, "unsound"),
        .bad_seeds = (uint32_t)number(object, "bad_seeds"),
        .left_out = (uint32_t)number(object, "left_out"),
        .passed_over = (uint32_t)number(object, "passed_over"),
        .drawn = json_is_true(json_object_get(object, "drawn")),
        .opened = json_is_true(json_object_get(object, "opened")),
        .model_known = json_is_true(json_object_get(object, "model_known")),
        .levels = (uint8_t)number(object, "levels"),
        .scale = real(object, "scale"),
        .clip_norm = real(object, "clip_norm"),
        .step_max = real(object, "step_max"),
    };
    summary->kind = kind_member(object);
    text_member(summary->state, sizeof summary->state, object, "state");
    text_member(summary->reason, sizeof summary->reason, object, "reason");
    hash_member(summary->announcement_hash, object, "announcement_hash");
    hash_member(summary->parent_hash, object, "parent");
    hash_member(summary->set_hash, object, "set_hash");
    hash_member(summary->model_hash, object, "model_hash");
    metrics_member(summary, object);
    mr_round_stages_from_json(&summary->stages, json_object_get(object, "stages_us"));
    summary->noise_kind =
        (uint8_t)mr_round_noise_from_json(&summary->privacy, json_object_get(object, "noise"));
    return mr_round_summary_ended(summary) && number(object, "round") == round ? 0 : 1;
}

int mr_round_record_read(const struct mr_store *store, uint64_t round,
                         struct mr_round_summary *summary, struct mr_error *error)
{
    char *text = NULL;
    const int found = mr_store_read_round(store, round, &text, error);
    if (found != 0) {
        return found;
    }
    json_t *object = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    const int taken = take(summary, object, round);
    json_decref(object);
    free(text);
    return taken;
}

static void reverse(struct mr_round_summary *list, unsigned count)
{
    for (unsigned i = 0; i < count / 2; i++) {
        const struct mr_round_summary one = list[i];
        list[i] = list[count - 1 - i];
        list[count - 1 - i] = one;
    }
}

int mr_round_record_list(const struct mr_store *store, struct mr_round_summary *list,
                         unsigned list_max, struct mr_error *error)
{
    uint8_t hash[MR_HASH_BYTES];
    const uint64_t newest = mr_store_signed_round(store, hash);
    unsigned count = 0;
    for (uint64_t back = 0; back < newest && back < MR_ROUND_HISTORY_MAX && count < list_max;
         back++) {
        const int found = mr_round_record_read(store, newest - back, &list[count], error);
        if (found < 0) {
            return -1;
        }
        count += found == 0;
    }
    reverse(list, count);
    return (int)count;
}
