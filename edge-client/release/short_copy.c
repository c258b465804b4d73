#include "edge-client/release/short_copy.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "edge-client/session/delta_pull.h"
#include "edge-client/session/number_type.h"
#include "wire/tensor_parts.h"

#define NAME_BYTES     16
#define VALUES_AT_ONCE 1024u

static enum mre_number_type asked_for(const uint8_t *bytes, size_t length)
{
    char name[NAME_BYTES];
    enum mre_number_type type = MRE_F32;
    if (mr_safetensors_text(bytes, length, MR_INSTALLED_MEMBER, name, sizeof name) == 0) {
        (void)mr_number_named(&type, name); /* one of a later version: float32 does as well */
    }
    return type;
}

/* `data` may begin at any byte, `out` at an even one. */
static void shorten(uint8_t *out, const uint8_t *data, size_t count, enum mre_number_type type)
{
    float values[VALUES_AT_ONCE];
    for (size_t at = 0; at < count; at += VALUES_AT_ONCE) {
        const size_t some = count - at < VALUES_AT_ONCE ? count - at : VALUES_AT_ONCE;
        memcpy(values, data + at * sizeof *values, some * sizeof *values);
        mre_numbers_round(type, (uint16_t *)(void *)(out + 2 * at), values, some);
    }
}

static int write_copy(struct mr_slot_model *model, const char *to, const uint8_t *bytes,
                      const struct mr_safetensors *parsed, struct mr_error *error)
{
    size_t head = 0;
    char *header = mr_number_header(bytes, parsed->data_offset, model->installed_as, &head);
    const size_t length = head + 2 * parsed->count;
    uint8_t *copy = header ? mr_file_map_new(to, length, false) : NULL;
    int bad = -1;
    if (!header) {
        errno = ENOMEM;
    }
    if (copy) {
        memcpy(copy, header, head);
        shorten(copy + head, bytes + parsed->data_offset, parsed->count, model->installed_as);
        bad = EVP_Digest(copy, length, model->opened, NULL, EVP_sha256(), NULL) == 1 ? 0 : -1;
        bad = mr_file_map_end(copy, length) ? -1 : bad;
    }
    free(header);
    return bad ? mr_error_set(error, "%s cannot be written: %s%s", to, strerror(errno),
                              mr_error_disk_hint(errno))
               : 0;
}

int mr_short_copy(struct mr_slot_model *model, const char *from, const char *to,
                  const enum mre_number_type *wanted, struct mr_error *error)
{
    size_t length;
    struct mr_safetensors parsed;
    const uint8_t *bytes = mr_file_map(from, &length);
    if (!bytes) {
        return mr_error_set(error, "%s: %s; pull again", from, strerror(errno));
    }
    model->installed_as = wanted ? *wanted : asked_for(bytes, length);
    memcpy(model->opened, model->model, MR_HASH_BYTES);
    int bad = 0;
    if (model->installed_as != MRE_F32) {
        bad = mr_safetensors_parse(&parsed, bytes, length, error);
        if (!bad) {
            bad = write_copy(model, to, bytes, &parsed, error);
            mr_safetensors_fini(&parsed);
        }
    }
    munmap((void *)(uintptr_t)bytes, length);
    return bad;
}
