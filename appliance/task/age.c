#include "appliance/task/age.h"

#include <jansson.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <fcntl.h>
#include <errno.h>

#include "appliance/storage/file_identity.h"
#include "appliance/storage/files.h"
#include "base/assert.h"
#include "base/bytes.h"
#include "base/json_text.h"

#define MACHINE_FILE "/etc/machine-id"
#define PATH_BYTES   (PATH_MAX + 16)
#define WORD_BYTES   17 /* 16 hex digits */

static void path_of(char path[PATH_BYTES], const char *folder, const char *name)
{
    snprintf(path, PATH_BYTES, "%s/%s", folder, name);
}

/* --- where a hub is -------------------------------------------------------------------------- */

static const struct {
    const char *name, *differs;
} witnesses[MR_WITNESSES] = {
    [MR_WITNESS_MACHINE] = {"machine", "it is on another machine (" MACHINE_FILE ")"},
    [MR_WITNESS_GENERATION] = {"generation",
                               "what identity.generation_file says is not what it said"},
};

/* What is empty says nothing. 0; 1 if there is none; -1. */
static int ask_witness(struct mr_age_place *place, unsigned witness, const char *file,
                       struct mr_error *error)
{
    uint8_t *bytes = NULL;
    size_t length = 0;
    const int found = mr_file_read(file, &bytes, &length, error);
    if (found != 0) {
        return found;
    }
    place->known[witness] = length > 0;
    SHA256(bytes, length, place->says[witness]);
    free(bytes);
    return 0;
}

int mr_age_place_read(struct mr_age_place *place, const char *generation_file,
                      struct mr_error *error)
{
    struct mr_error unused;
    *place = (struct mr_age_place){.known = {false}};
    (void)ask_witness(place, MR_WITNESS_MACHINE, MACHINE_FILE, &unused);
    if (*generation_file == '\0') {
        return 0;
    }
    const int asked = ask_witness(place, MR_WITNESS_GENERATION, generation_file, error);
    if (asked > 0) {
        mr_error_set(error, "%s does not exist", generation_file);
    }
    return asked == 0 ? 0 : mr_error_prefix(error, "identity.generation_file");
}

/* --- the file that names itself -------------------------------------------------------------- */

struct naming {
    const struct mr_age_place *place;
};

static json_t *word(uint64_t value)
{
    char text[WORD_BYTES];
    snprintf(text, sizeof text, "%016llx", (unsigned long long)value);
    return mr_json_text(text);
}

static int tell_identity(void *context, int fd, char *text, size_t room, struct mr_error *error)
{
    const struct naming *naming = context;
    struct mr_file_identity self;
    if (mr_file_identity_of(fd, &self, error) != 0) {
        return -1;
    }
    json_t *object =
        json_pack("{s:o, s:o, s:o, s:o}", "inode", word(self.inode), "born_s", word(self.born_s),
                  "born_ns", word(self.born_ns), "filesystem", word(self.filesystem));
    for (unsigned i = 0; i < MR_WITNESSES; i++) {
        char hex[2 * MR_HASH_BYTES + 1];
        mr_hex_encode(hex, naming->place->says[i], MR_HASH_BYTES);
        if (naming->place->known[i]) {
            json_object_set_new(object, witnesses[i].name, mr_json_text(hex));
        }
    }
    if (naming->place->counted) {
        json_object_set_new(object, "tpm", word(naming->place->count));
    }
    const size_t length = json_dumpb(object, text, room - 1, JSON_COMPACT);
    json_decref(object);
    MR_ASSERT(length > 0 && length < room);
    text[length] = '\0';
    return 0;
}

int mr_age_bind(const char *folder, const struct mr_age_place *place, struct mr_error *error)
{
    char path[PATH_BYTES];
    struct naming naming = {.place = place};
    path_of(path, folder, "identity");
    return mr_file_replace_told(path, tell_identity, &naming, error);
}

static bool read_word(const json_t *object, const char *name, uint64_t *value)
{
    const char *text = json_string_value(json_object_get(object, name));
    char *end = NULL;
    *value = text ? strtoull(text, &end, 16) : 0;
    return text && strlen(text) == WORD_BYTES - 1 && *end == '\0';
}

/* NULL where it is what it was; else by what it shows that it is none. */
static const char *compare(const json_t *said, const struct mr_file_identity *is,
                           const struct mr_age_place *place)
{
    struct mr_file_identity was;
    if (!read_word(said, "inode", &was.inode) || !read_word(said, "born_s", &was.born_s) ||
        !read_word(said, "born_ns", &was.born_ns) ||
        !read_word(said, "filesystem", &was.filesystem)) {
        return "its file identity is damaged";
    }
    if (!mr_file_identity_same(&was, is)) {
        return "its file identity is another file than the one that it names: the folder, or that "
               "file, was copied";
    }
    for (unsigned i = 0; i < MR_WITNESSES; i++) {
        const char *text = json_string_value(json_object_get(said, witnesses[i].name));
        uint8_t before[MR_HASH_BYTES];
        if (text && place->known[i] &&
            (mr_hex_decode(before, MR_HASH_BYTES, text) != 0 ||
             memcmp(before, place->says[i], MR_HASH_BYTES) != 0)) {
            return witnesses[i].differs;
        }
    }
    return NULL;
}

/* Where a counter is: NULL, or by what it shows that the folder has stayed behind. It may have been
 * killed between the one and the other (age_counter.h). */
static const char *compare_count(const json_t *said, const struct mr_age_place *place)
{
    uint64_t was;
    if (!place->counted) {
        return NULL;
    }
    if (!read_word(said, "tpm", &was)) {
        return place->count_is_new
                   ? NULL
                   : "the TPM has a counter for this hub, and the folder knows nothing of it: it "
                     "is "
                     "from before, or the counter is another hub's (identity.tpm_index)";
    }
    if (was < place->count) {
        return "the TPM has counted on since: the folder, its disk or the machine's was put back";
    }
    return was - place->count <= 1 ? NULL
                                   : "the TPM has not counted so far: it is another one, or was "
                                     "made anew";
}

/* 0; 1 if there is none; -1. */
static int identity_of(const char *path, struct mr_file_identity *identity, struct mr_error *error)
{
    const int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT ? 1 : mr_error_set(error, "%s: %s", path, strerror(errno));
    }
    const int result = mr_file_identity_of(fd, identity, error);
    close(fd);
    return result;
}

int mr_age_look(const char *folder, const struct mr_age_place *place, bool is_new,
                char why[MR_AGE_WHY_BYTES], struct mr_error *error)
{
    char path[PATH_BYTES];
    struct mr_file_identity is;
    uint8_t *bytes = NULL;
    size_t length = 0;
    path_of(path, folder, "identity");
    int found = identity_of(path, &is, error);
    if (found == 0) {
        found = mr_file_read(path, &bytes, &length, error);
    }
    if (found < 0) {
        return -1;
    }
    if (found > 0) {
        snprintf(why, MR_AGE_WHY_BYTES, "its file identity is missing");
        return is_new ? MR_AGE_OWN : MR_AGE_COPY;
    }
    json_t *said = json_loadb((const char *)bytes, length, JSON_REJECT_DUPLICATES, NULL);
    const char *behind = compare_count(said, place);
    const char *shows = compare(said, &is, place);
    json_decref(said);
    free(bytes);
    snprintf(why, MR_AGE_WHY_BYTES, "%s", behind ? behind : shows ? shows : "");
    return behind ? MR_AGE_BEHIND : shows ? MR_AGE_COPY : MR_AGE_OWN;
}
