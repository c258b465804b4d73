#include "appliance/round/drive/record.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/json_text.h"

static json_t *hex(const uint8_t *bytes, size_t count)
{
    char text[2 * MR_SIGNATURE_BYTES + 1];
    mr_hex_encode(text, bytes, count);
    return mr_json_text(text);
}

static json_t *uploads_json(const struct mr_record *record)
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

static void copy_or_clear(uint8_t to[MR_HASH_BYTES], const uint8_t *hash)
{
    memset(to, 0, MR_HASH_BYTES);
    if (hash) {
        memcpy(to, hash, MR_HASH_BYTES);
    }
}

/* What both texts say: the round's summary as it is once the record's round has ended. */
static json_t *common(const struct mr_record *record)
{
    const struct mr_announcement *announcement = &record->terms->announcement;
    struct mr_round_summary summary = {.round = 0};
    if (record->summary) {
        summary = *record->summary;
    }
    summary.round = announcement->round;
    summary.included = record->set_hash ? record->included_count : 0;
    summary.opened = record->opened;
    summary.model_known = record->model_known;
    summary.levels = announcement->levels;
    summary.scale = announcement->scale;
    summary.clip_norm = announcement->clip_norm;
    summary.step_max = announcement->step_max;
    summary.kind = announcement->kind;
    summary.noise_kind = announcement->noise_kind;
    summary.privacy = announcement->privacy;
    memcpy(summary.announcement_hash, record->terms->hash, MR_HASH_BYTES);
    memcpy(summary.parent_hash, announcement->model_hash, MR_HASH_BYTES);
    snprintf(summary.state, sizeof summary.state, "%s", record->state);
    snprintf(summary.reason, sizeof summary.reason, "%s", record->reason ? record->reason : "");
    copy_or_clear(summary.set_hash, record->set_hash);
    copy_or_clear(summary.model_hash, record->model_hash);
    summary.has_metrics = false;
    if (record->metrics) {
        summary.has_metrics = true;
        summary.metrics = *record->metrics;
    }
    return mr_round_summary_json(&summary, record->task, true);
}

static char *text_of(json_t *object)
{
    char *text = json_dumps(object, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
    MR_ASSERT(text);
    json_decref(object);
    return text;
}

char *mr_record_round(const struct mr_record *record)
{
    const struct mr_round_terms *terms = record->terms;
    json_t *object = common(record);
    json_object_set_new(object, "ring_bits", json_integer(terms->announcement.ring_bits));
    json_object_set_new(object, "rotation_log2", json_integer(terms->announcement.rotation_log2));
    json_object_set_new(object, "dimension", json_integer(terms->layout.dimension));
    json_object_set_new(object, "share_bytes", json_integer((json_int_t)terms->layout.share_bytes));
    json_object_set_new(object, "uploads", uploads_json(record));
    return text_of(object);
}

/* The round's terms as they were signed. */
static json_t *announcement_json(const struct mr_announcement *announcement)
{
    uint8_t bytes[MR_ANNOUNCEMENT_MAX];
    char text[2 * MR_ANNOUNCEMENT_MAX + 1];
    mr_hex_encode(text, bytes, mr_announcement_encode(bytes, announcement));
    return mr_json_text(text);
}

char *mr_record_manifest(const struct mr_record *record)
{
    json_t *object = common(record);
    json_object_set_new(object, "announcement", announcement_json(&record->terms->announcement));
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
    const json_t *list = json_object_get(object, "uploads");
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
