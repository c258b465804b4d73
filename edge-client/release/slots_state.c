/* slots_state.c - the state: two records in one file, written by turns, read strictly.
 *
 * A record that is overwritten where it stands takes one write and one sync of four KiB. A file
 * that takes another's place takes a new inode, two names and two commits of the filesystem's
 * journal. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <openssl/evp.h>
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

#define VERSION 3
#define RECORDS 2
/* JSON and spaces, SHA-256 of that in hex, a line's end. */
#define RECORD_BYTES ((size_t)4096)
#define CHECK_CHARS  (2 * MR_HASH_BYTES)
#define TEXT_BYTES   (RECORD_BYTES - CHECK_CHARS - 1)

static const char *const names[MR_SLOTS_COPIES] = {"a", "b", "c"};

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
        "{s:i, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:i, s:o, s:o, s:o}", "version", VERSION,
        "sequence", (json_int_t)slots->sequence, "floor_round", (json_int_t)slots->floor.round,
        "floor_step", (json_int_t)slots->floor.step, "floor_manifest", hex(slots->floor_manifest),
        "active", mr_json_text(names[slots->active]), "before", mr_json_text(names[slots->before]),
        "next", mr_json_text(names[slots->next]), "trial", slots->trial, "refused", refused,
        "outcome",
        mr_json_text(slots->outcome_owed ? mr_release_outcome_name(slots->outcome) : "none"),
        "outcome_manifest", hex(slots->outcome_manifest));
    for (unsigned i = 0; i < MR_SLOTS_COPIES; i++) {
        json_object_set_new(object, names[i], model_json(&slots->models[i]));
    }
    char *text = json_dumps(object, JSON_COMPACT);
    json_decref(object);
    return text;
}

static int check_of(char check[CHECK_CHARS + 1], const char *record)
{
    uint8_t hash[MR_HASH_BYTES];
    const bool made = EVP_Digest(record, TEXT_BYTES, hash, NULL, EVP_sha256(), NULL) == 1;
    mr_hex_encode(check, hash, made ? MR_HASH_BYTES : 0);
    return made ? 0 : -1;
}

static int make_record(char record[RECORD_BYTES], const struct mr_slots *slots)
{
    char check[CHECK_CHARS + 1];
    char *text = state_text(slots);
    const size_t length = text ? strlen(text) : 0;
    if (length == 0 || length > TEXT_BYTES) {
        free(text);
        errno = length ? EMSGSIZE : ENOMEM;
        return -1;
    }
    memset(record, ' ', RECORD_BYTES);
    memcpy(record, text, length);
    free(text);
    errno = ENOMEM;
    if (check_of(check, record) != 0) {
        return -1;
    }
    memcpy(record + TEXT_BYTES, check, CHECK_CHARS);
    record[RECORD_BYTES - 1] = '\n';
    return 0;
}

/* In the place of the older record; the newer one is not touched. The file begins with two alike.
 */
static int write_record(const char *path, char *record, uint64_t sequence)
{
    if (sequence == 1) {
        const struct iovec both[RECORDS] = {{record, RECORD_BYTES}, {record, RECORD_BYTES}};
        return mr_file_renew(path, both, RECORDS);
    }
    const off_t at = (off_t)(sequence % RECORDS * RECORD_BYTES);
    const int fd = mr_fd_above_standard(open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
    const int bad = fd < 0 || lseek(fd, at, SEEK_SET) != at ||
                    mr_fd_write_all(fd, record, RECORD_BYTES) || fdatasync(fd);
    const int why = errno;
    if (fd >= 0) {
        close(fd);
    }
    errno = why;
    return bad ? -1 : 0;
}

int mr_slots_save(struct mr_slots *slots, struct mr_error *error)
{
    char path[MR_SLOTS_PATH_BYTES], record[RECORD_BYTES];
    snprintf(path, sizeof path, "%s/state", slots->folder);
    slots->sequence++;
    if (make_record(record, slots) != 0 || write_record(path, record, slots->sequence) != 0) {
        slots->sequence--; /* the same place again: the other record is the last good one */
        return mr_error_set(error, "%s cannot be written: %s%s", path, strerror(errno),
                            mr_error_disk_hint(errno));
    }
    slots->unsaved = false;
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
    for (unsigned i = 0; i < MR_SLOTS_COPIES && !reader->failed; i++) {
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

static void take_places(struct mr_slots *slots, struct mr_json_reader *reader)
{
    slots->active = mr_json_take_choice(reader, "active", names, MR_SLOTS_COPIES);
    slots->before = mr_json_take_choice(reader, "before", names, MR_SLOTS_COPIES);
    slots->next = mr_json_take_choice(reader, "next", names, MR_SLOTS_COPIES);
    const unsigned places = 1u << slots->active | 1u << slots->before | 1u << slots->next;
    if (!reader->failed && places != (1u << MR_SLOTS_COPIES) - 1) {
        mr_json_reader_fail(reader, "a copy has two places");
    }
}

static int parse(struct mr_slots *slots, const char *text, struct mr_error *error)
{
    struct mr_json_reader reader;
    mr_json_reader_open(&reader, text, TEXT_BYTES, error);
    mr_json_take_integer(&reader, "version", VERSION, VERSION);
    slots->sequence = mr_json_take_integer(&reader, "sequence", 1, INT64_MAX - 1);
    take_version(&reader, "floor_round", "floor_step", &slots->floor);
    take_hash(&reader, "floor_manifest", slots->floor_manifest);
    take_places(slots, &reader);
    slots->trial = mr_json_take_integer(&reader, "trial", 0, 1) == 1;
    take_outcome(slots, &reader);
    take_refused(slots, &reader);
    take_models(slots, &reader);
    const bool needed = slots->trial || slots->models[slots->before].known;
    if (!reader.failed && needed && !slots->models[slots->active].known) {
        mr_json_reader_fail(&reader, "the active copy is not described");
    }
    return mr_json_reader_close(&reader);
}

/* What a whole record says of its layout. Nothing else of it is read where that is another one. */
static int version_of(const char *record)
{
    json_t *object = json_loadb(record, TEXT_BYTES, 0, NULL);
    const json_int_t version = json_integer_value(json_object_get(object, "version"));
    json_decref(object);
    return version > 0 && version <= INT_MAX ? (int)version : 0;
}

static bool holds(const char *record)
{
    char check[CHECK_CHARS + 1];
    return check_of(check, record) == 0 && memcmp(record + TEXT_BYTES, check, CHECK_CHARS) == 0;
}

static int is_of_version(const struct mr_slots *slots, int version, struct mr_error *error)
{
    return mr_error_set(error,
                        "%s/state is of version %d, and this millrace-edge reads version %d: the "
                        "one that wrote it still does. To go on with this one, remove %s; it "
                        "forgets which releases were seen, so that an older one may be installed, "
                        "and the application has no model until the next install",
                        slots->folder, version, VERSION, slots->folder);
}

static int is_damaged(const struct mr_slots *slots, struct mr_error *error)
{
    return mr_error_prefix(error,
                           "%s/state is damaged, and with it which versions were seen: remove %s "
                           "only where an older model may be installed again",
                           slots->folder, slots->folder);
}

/* The newest record that holds. One that does not was being written when the device stopped: what
 * the other one says is so, since nobody was told of more. */
static int take_newest(struct mr_slots *slots, const char *text, size_t length,
                       struct mr_error *error)
{
    const struct mr_slots fresh = *slots;
    bool found = false;
    mr_error_set(error, "no record is whole");
    for (size_t i = 0; i < RECORDS && (i + 1) * RECORD_BYTES <= length; i++) {
        const char *record = text + i * RECORD_BYTES;
        if (!holds(record)) {
            continue;
        }
        struct mr_slots one = fresh;
        if (version_of(record) != VERSION) {
            return is_of_version(slots, version_of(record), error);
        }
        if (parse(&one, record, error) != 0) {
            return is_damaged(slots, error);
        }
        if (!found || one.sequence > slots->sequence) {
            *slots = one;
        }
        found = true;
    }
    return found ? 0 : is_damaged(slots, error);
}

int mr_slots_load(struct mr_slots *slots, struct mr_error *error)
{
    char path[MR_SLOTS_PATH_BYTES], first[MR_SLOTS_PATH_BYTES];
    size_t length;
    snprintf(path, sizeof path, "%s/state", slots->folder);
    snprintf(first, sizeof first, "%s/state.json", slots->folder);
    if (access(path, F_OK) != 0 && errno == ENOENT) {
        return access(first, F_OK) == 0 ? is_of_version(slots, 1, error) : 0;
    }
    char *text = mr_file_text(path, RECORDS * RECORD_BYTES, &length, error);
    const int bad = text ? take_newest(slots, text, length, error) : is_damaged(slots, error);
    free(text);
    return bad;
}
