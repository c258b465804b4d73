/* audit_message.c - the JSON body of a proof. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/base64.h"
#include "base/json_reader.h"
#include "base/json_text.h"
#include "wire/audit.h"
#include "wire/messages.h"

static json_t *binary(const uint8_t *bytes, size_t length)
{
    char text[MR_BASE64_LENGTH(MR_BASE64_BYTES_MAX) + 1];
    mr_base64_encode(text, bytes, length);
    return mr_json_text(text);
}

/* NULL in: out of memory. */
static json_t *list_of(const uint8_t *bytes, size_t each, unsigned count)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < count; i++) {
        if (json_array_append_new(list, binary(bytes + i * each, each)) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

char *mr_audit_proof_encode(const struct mr_audit_proof *proof)
{
    uint8_t commitments[MR_HUBS_MAX * MR_COMMITMENT_BYTES];
    MR_ASSERT(proof->commitment_count <= MR_HUBS_MAX && proof->path_count <= MR_AUDIT_PATH_MAX);
    for (unsigned i = 0; i < proof->commitment_count; i++) {
        mr_commitment_encode(commitments + (size_t)i * MR_COMMITMENT_BYTES, &proof->commitments[i]);
    }
    json_t *object =
        json_pack("{s:i, s:I, s:I, s:o, s:o, s:o}", "hub", (int)proof->hub_index, "index",
                  (json_int_t)proof->index, "count", (json_int_t)proof->count, "salt",
                  binary(proof->salt, MR_AUDIT_SALT_BYTES), "path",
                  list_of(proof->path[0], MR_HASH_BYTES, proof->path_count), "commitments",
                  list_of(commitments, MR_COMMITMENT_BYTES, proof->commitment_count));
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    return text;
}

/* How many there were. */
static unsigned take_list(struct mr_json_reader *reader, const char *name, uint8_t *out,
                          size_t each, size_t low, size_t high)
{
    json_t *list = mr_json_take_array(reader, name, low, high);
    const unsigned count = (unsigned)json_array_size(list);
    for (unsigned i = 0; i < count; i++) {
        const char *text = json_string_value(json_array_get(list, i));
        if (!text || mr_base64_decode(out + i * each, each, text, strlen(text)) != 0) {
            mr_json_reader_fail(reader, "%s[%u] must be %zu bytes in base64", name, i, each);
            break;
        }
    }
    json_decref(list);
    return count;
}

int mr_audit_proof_decode(struct mr_audit_proof *proof, const char *text, size_t length,
                          struct mr_error *error)
{
    uint8_t commitments[MR_HUBS_MAX * MR_COMMITMENT_BYTES] = {0};
    struct mr_json_reader reader = {.error = error};
    memset(proof, 0, sizeof *proof);
    if (length > MR_MESSAGE_MAX) {
        mr_json_reader_fail(&reader, "the body has %zu bytes: at most %d are taken", length,
                            MR_MESSAGE_MAX);
    } else {
        mr_json_reader_open(&reader, text, length, error);
    }
    proof->hub_index = (uint16_t)mr_json_take_integer(&reader, "hub", 0, UINT16_MAX);
    proof->index = (uint32_t)mr_json_take_integer(&reader, "index", 0, UINT32_MAX - 1);
    proof->count = (uint32_t)mr_json_take_integer(&reader, "count", 1, UINT32_MAX);
    mr_json_take_binary(&reader, "salt", proof->salt, MR_AUDIT_SALT_BYTES);
    proof->path_count =
        take_list(&reader, "path", proof->path[0], MR_HASH_BYTES, 0, MR_AUDIT_PATH_MAX);
    proof->commitment_count =
        take_list(&reader, "commitments", commitments, MR_COMMITMENT_BYTES, 2, MR_HUBS_MAX);
    for (unsigned i = 0; i < proof->commitment_count; i++) {
        mr_commitment_decode(&proof->commitments[i], commitments + (size_t)i * MR_COMMITMENT_BYTES);
    }
    return mr_json_reader_close(&reader);
}
