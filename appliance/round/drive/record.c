#include "appliance/round/drive/record.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"

static json_t *hex(const uint8_t *bytes, size_t count)
{
    char text[2 * MR_SIGNATURE_BYTES + 1];
    mr_hex_encode(text, bytes, count);
    return json_string(text);
}

static json_t *mean(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *included_json(const struct mr_record *record)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < record->included_count; i++) {
        const struct mr_included *entry = &record->included[i];
        json_t *object =
            json_pack("{s:o, s:I}", "client_id", hex(entry->client_id, MR_CLIENT_ID_BYTES),
                      "attempt", (json_int_t)entry->attempt);
        if (object && record->upload_ids) {
            uint8_t id[8];
            mr_be64_put(id, record->upload_ids[i]);
            json_object_set_new(object, "upload_id", hex(id, sizeof id));
        }
        json_array_append_new(list, object);
    }
    return list;
}

static json_t *metrics_json(const struct mr_round_metrics *metrics)
{
    return json_pack("{s:I, s:o, s:o, s:o, s:o}", "weight", (json_int_t)metrics->weight,
                     "examples_mean", mean(metrics->examples_mean), "loss_mean",
                     mean(metrics->loss_mean), "drift_mean", mean(metrics->drift_mean),
                     "clipped_mean", mean(metrics->clipped_mean));
}

static json_t *signatures_json(const struct mr_record *record)
{
    static const uint8_t unknown[MR_SIGNATURE_BYTES];
    const struct mr_announcement *announcement = &record->terms->announcement;
    json_t *list = json_array();
    for (unsigned i = 0; record->signatures && i < announcement->hub_count; i++) {
        if (memcmp(record->signatures[i], unknown, sizeof unknown) != 0) {
            json_array_append_new(
                list, json_pack("{s:I, s:o}", "hub", (json_int_t)announcement->hubs[i].index,
                                "signature", hex(record->signatures[i], MR_SIGNATURE_BYTES)));
        }
    }
    return list;
}

/* What both texts say. */
static json_t *common(const struct mr_record *record)
{
    const struct mr_announcement *announcement = &record->terms->announcement;
    json_t *object =
        json_pack("{s:I, s:o, s:o, s:I}", "round", (json_int_t)announcement->round,
                  "announcement_hash", hex(record->terms->hash, MR_HASH_BYTES), "parent",
                  hex(announcement->model_hash, MR_HASH_BYTES), "included_count",
                  (json_int_t)(record->set_hash ? record->included_count : 0));
    if (record->set_hash) {
        json_object_set_new(object, "set_hash", hex(record->set_hash, MR_HASH_BYTES));
    }
    if (record->model_hash) {
        json_object_set_new(object, "model_hash", hex(record->model_hash, MR_HASH_BYTES));
    }
    if (record->metrics) {
        json_object_set_new(object, "metrics", metrics_json(record->metrics));
    }
    return object;
}

static char *text_of(json_t *object)
{
    char *text = json_dumps(object, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
    MR_ASSERT(text);
    json_decref(object);
    return text;
}

static void set_number(json_t *object, const char *name, uint64_t value)
{
    json_object_set_new(object, name, json_integer((json_int_t)value));
}

static void add_summary(json_t *object, const struct mr_round_summary *summary)
{
    json_object_set_new(object, "role", json_string(summary->lead ? "lead" : "helper"));
    set_number(object, "opened_unix_ms", summary->opened_unix_ms);
    set_number(object, "closed_unix_ms", summary->closed_unix_ms);
    set_number(object, "ended_unix_ms", summary->ended_unix_ms);
    set_number(object, "quorum", summary->quorum);
    set_number(object, "cohort_min", summary->cohort_min);
    set_number(object, "cohort_max", summary->cohort_max);
    set_number(object, "admitted_count", summary->admitted);
    set_number(object, "committed_count", summary->committed);
}

char *mr_record_round(const struct mr_record *record)
{
    const struct mr_round_terms *terms = record->terms;
    json_t *object = common(record);
    if (record->task) {
        json_object_set_new(object, "task", json_string(record->task));
    }
    if (record->summary) {
        add_summary(object, record->summary);
    }
    json_object_set_new(object, "state", json_string(record->state));
    json_object_set_new(object, "ring_bits", json_integer(terms->announcement.ring_bits));
    json_object_set_new(object, "dimension", json_integer(terms->layout.dimension));
    json_object_set_new(object, "share_bytes", json_integer((json_int_t)terms->layout.share_bytes));
    /* Nobody is included in a void round. */
    json_object_set_new(object, "included",
                        record->set_hash ? included_json(record) : json_array());
    if (!record->set_hash) {
        json_object_set_new(object, "committed", included_json(record));
    }
    if (record->reason) {
        json_object_set_new(object, "reason", json_string(record->reason));
    }
    return text_of(object);
}

char *mr_record_manifest(const struct mr_record *record)
{
    json_t *object = common(record);
    json_object_set_new(object, "signatures", signatures_json(record));
    return text_of(object);
}

int mr_record_end(struct mr_lead_end *end, const char *text)
{
    json_t *object = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    const char *state = json_string_value(json_object_get(object, "state"));
    const char *hash = json_string_value(json_object_get(object, "model_hash"));
    const char *reason = json_string_value(json_object_get(object, "reason"));
    *end = (struct mr_lead_end){.published = false};
    if (state && strcmp(state, "published") == 0) {
        end->published = hash && mr_hex_decode(end->model_hash, MR_HASH_BYTES, hash) == 0;
    } else if (state && strcmp(state, "void") == 0) {
        end->voided = true;
        snprintf(end->reason, sizeof end->reason, "%s", reason ? reason : "");
    }
    json_decref(object);
    return end->published || end->voided ? 0 : -1;
}

static int read_upload(struct mr_included *included, uint64_t *upload_id, const json_t *entry)
{
    const char *client = json_string_value(json_object_get(entry, "client_id"));
    const char *id = json_string_value(json_object_get(entry, "upload_id"));
    const json_t *attempt = json_object_get(entry, "attempt");
    uint8_t bytes[8];
    if (!client || !id || !json_is_integer(attempt) ||
        mr_hex_decode(included->client_id, MR_CLIENT_ID_BYTES, client) != 0 ||
        mr_hex_decode(bytes, sizeof bytes, id) != 0) {
        return -1;
    }
    included->attempt = (uint32_t)json_integer_value(attempt);
    *upload_id = mr_be64_get(bytes);
    return 0;
}

int mr_record_uploads(struct mr_record_uploads *uploads, const char *text)
{
    json_t *object = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    const json_t *list =
        json_object_get(object, json_object_get(object, "set_hash") ? "included" : "committed");
    const size_t count = json_array_size(list);
    *uploads = (struct mr_record_uploads){
        .included = calloc(count + 1, sizeof *uploads->included),
        .upload_ids = calloc(count + 1, sizeof *uploads->upload_ids),
    };
    int result = json_is_array(list) && uploads->included && uploads->upload_ids ? 0 : -1;
    for (size_t i = 0; i < count && result == 0; i++) {
        result =
            read_upload(&uploads->included[i], &uploads->upload_ids[i], json_array_get(list, i));
        uploads->count++;
    }
    json_decref(object);
    return result;
}

void mr_record_uploads_fini(struct mr_record_uploads *uploads)
{
    free(uploads->included);
    free(uploads->upload_ids);
    *uploads = (struct mr_record_uploads){.count = 0};
}
