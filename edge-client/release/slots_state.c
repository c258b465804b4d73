/* slots_state.c - state.json: written whole, read strictly. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/json_reader.h"
#include "base/json_text.h"
#include "edge-client/files/files.h"
#include "edge-client/release/slots_internal.h"
#include "edge-client/session/number_type.h"

#define STATE_BYTES_MAX 8192
#define VERSION         1

static const char *const names[] = {"a", "b", "next"};

/* --- writing --------------------------------------------------------------------------------- */

static json_t *hex(const uint8_t hash[MR_HASH_BYTES])
{
    char text[2 * MR_HASH_BYTES + 1];
    mr_hex_encode(text, hash, MR_HASH_BYTES);
    return mr_json_text(text);
}

static json_t *model_json(const struct mr_slot_model *model)
{
    if (!model->known) {
        return json_object();
    }
    json_t *object = json_pack("{s:o, s:o, s:I, s:I}", "model", hex(model->model), "manifest",
                               hex(model->manifest), "round", (json_int_t)model->version.round,
                               "step", (json_int_t)model->version.step);
    if (model->installed_as != MRE_F32) { /* a device that knows nothing of it reads all others */
        json_object_set_new(object, "installed_as",
                            mr_json_text(mr_number_name(model->installed_as)));
        json_object_set_new(object, "opened", hex(model->opened));
    }
    return object;
}

static char *state_text(const struct mr_slots *slots)
{
    json_t *refused = json_array();
    for (unsigned i = 0; i < slots->refused_count; i++) {
        json_array_append_new(refused, hex(slots->refused[i]));
    }
    json_t *object = json_pack(
        "{s:i, s:I, s:I, s:o, s:o, s:i, s:o, s:o, s:o}", "version", VERSION, "floor_round",
        (json_int_t)slots->floor.round, "floor_step", (json_int_t)slots->floor.step,
        "floor_manifest", hex(slots->floor_manifest), "active",
        mr_json_text(slots->active_known ? names[slots->active] : "none"), "trial", slots->trial,
        "refused", refused, "outcome",
        mr_json_text(slots->outcome_owed ? mr_release_outcome_name(slots->outcome) : "none"),
        "outcome_manifest", hex(slots->outcome_manifest));
    for (unsigned i = 0; i < 3; i++) {
        json_object_set_new(object, names[i], model_json(&slots->models[i]));
    }
    char *text = json_dumps(object, JSON_INDENT(1));
    json_decref(object);
    return text;
}

int mr_slots_save(const struct mr_slots *slots, struct mr_error *error)
{
    char path[MR_SLOTS_PATH_BYTES];
    char *text = state_text(slots);
    snprintf(path, sizeof path, "%s/state.json", slots->folder);
    const struct iovec whole = {text, text ? strlen(text) : 0};
    errno = ENOMEM;
    const int bad = !text || mr_file_renew(path, &whole, 1);
    free(text);
    if (bad) {
        return mr_error_set(error, "%s cannot be written: %s%s", path, strerror(errno),
                            mr_error_disk_hint(errno));
    }
    return 0;
}

/* --- reading --------------------------------------------------------------------------------- */

static void take_hash(struct mr_json_reader *reader, const char *name, uint8_t hash[MR_HASH_BYTES])
{
    char text[2 * MR_HASH_BYTES + 1] = "";
    mr_json_take_text(reader, name, text, sizeof text);
    if (!reader->failed && mr_hex_decode(hash, MR_HASH_BYTES, text) != 0) {
        mr_json_reader_fail(reader, "%s is no hash", name);
    }
}

static void take_version(struct mr_json_reader *reader, const char *round, const char *step,
                         struct mr_release_version *version)
{
    version->round = mr_json_take_integer(reader, round, 0, MR_ROUND_MAX);
    version->step = (uint32_t)mr_json_take_integer(reader, step, 0, UINT32_MAX);
}

static void take_opened(struct mr_json_reader *reader, struct mr_slot_model *model)
{
    static const char *const types[] = {"float16", "bfloat16"};
    memcpy(model->opened, model->model, MR_HASH_BYTES);
    if (!reader->failed && json_object_get(reader->object, "installed_as")) {
        model->installed_as =
            (enum mre_number_type)(MRE_F16 + mr_json_take_choice(reader, "installed_as", types, 2));
        take_hash(reader, "opened", model->opened);
    }
}

static int take_model(struct mr_slot_model *model, json_t *value, struct mr_error *error)
{
    struct mr_json_reader reader;
    *model = (struct mr_slot_model){.known = json_object_size(value) > 0};
    mr_json_reader_wrap(&reader, json_incref(value), error);
    if (model->known) {
        take_hash(&reader, "model", model->model);
        take_hash(&reader, "manifest", model->manifest);
        take_version(&reader, "round", "step", &model->version);
        take_opened(&reader, model);
    }
    return mr_json_reader_close(&reader);
}

static void take_refused(struct mr_slots *slots, struct mr_json_reader *reader)
{
    json_t *list = mr_json_take_array(reader, "refused", 0, MR_SLOTS_REFUSED_MAX);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));
        if (!text || mr_hex_decode(slots->refused[slots->refused_count++], MR_HASH_BYTES, text)) {
            mr_json_reader_fail(reader, "refused has what is no hash");
            break;
        }
    }
    json_decref(list);
}

static void take_outcome(struct mr_slots *slots, struct mr_json_reader *reader)
{
    static const char *const names_of[] = {"kept", "went-back", "failed", "none"};
    const unsigned which = mr_json_take_choice(reader, "outcome", names_of, 4);
    take_hash(reader, "outcome_manifest", slots->outcome_manifest);
    slots->outcome_owed = which < MR_RELEASE_OUTCOMES;
    slots->outcome = slots->outcome_owed ? (enum mr_release_outcome)which : MR_RELEASE_KEPT;
}

static void take_models(struct mr_slots *slots, struct mr_json_reader *reader)
{
    for (unsigned i = 0; i < 3 && !reader->failed; i++) {
        json_t *value = json_object_get(reader->object, names[i]);
        if (!json_is_object(value)) {
            mr_json_reader_fail(reader, "%s is missing", names[i]);
        } else if (take_model(&slots->models[i], value, reader->error) != 0) {
            reader->failed = true;
        } else {
            json_object_del(reader->object, names[i]);
        }
    }
}

int mr_slots_parse(struct mr_slots *slots, const char *text, size_t length, struct mr_error *error)
{
    static const char *const active[] = {"a", "b", "none"};
    struct mr_json_reader reader;
    mr_json_reader_open(&reader, text, length, error);
    mr_json_take_integer(&reader, "version", VERSION, VERSION);
    take_version(&reader, "floor_round", "floor_step", &slots->floor);
    take_hash(&reader, "floor_manifest", slots->floor_manifest);
    const unsigned which = mr_json_take_choice(&reader, "active", active, 3);
    slots->active_known = which < 2;
    slots->active = which == 1 ? MR_SLOT_B : MR_SLOT_A;
    slots->trial = mr_json_take_integer(&reader, "trial", 0, 1) == 1;
    take_outcome(slots, &reader);
    take_refused(slots, &reader);
    take_models(slots, &reader);
    if (mr_json_reader_close(&reader) != 0) {
        return -1;
    }
    return slots->active_known && !slots->models[slots->active].known
               ? mr_error_set(error, "the active copy is not described")
               : 0;
}

int mr_slots_load(struct mr_slots *slots, struct mr_error *error)
{
    char path[MR_SLOTS_PATH_BYTES];
    size_t length;
    snprintf(path, sizeof path, "%s/state.json", slots->folder);
    if (access(path, F_OK) != 0 && errno == ENOENT) {
        return 0;
    }
    char *text = mr_file_text(path, STATE_BYTES_MAX, &length, error);
    const int bad = !text || mr_slots_parse(slots, text, length, error) != 0;
    free(text);
    return bad ? mr_error_prefix(error,
                                 "%s is damaged, and with it which versions were seen: remove %s "
                                 "only where an older model may be installed again",
                                 path, slots->folder)
               : 0;
}
