#include "tests/unit/wire/wire_vectors_case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"

json_t *case_get(const json_t *object, const char *name)
{
    json_t *value = json_object_get(object, name);
    if (!value) {
        fprintf(stderr, "case has no \"%s\"\n", name);
    }
    MR_ASSERT(value);
    return value;
}

void case_hex_exact(uint8_t *out, size_t bytes, const json_t *value)
{
    MR_ASSERT(json_is_string(value));
    MR_ASSERT(mr_hex_decode(out, bytes, json_string_value(value)) == 0);
}

uint8_t *case_hex_any(size_t *length, const json_t *value)
{
    MR_ASSERT(json_is_string(value));
    *length = json_string_length(value) / 2;
    uint8_t *out = malloc(*length + 1);
    MR_ASSERT(out);
    case_hex_exact(out, *length, value);
    return out;
}

json_t *case_to_hex(const void *data, size_t bytes)
{
    char *text = malloc(2 * bytes + 1);
    MR_ASSERT(text);
    mr_hex_encode(text, data, bytes);
    json_t *value = json_string(text);
    free(text);
    return value;
}

void case_put_hex(struct test_case *c, const char *name, const void *data, size_t bytes)
{
    json_object_set_new(c->out, name, case_to_hex(data, bytes));
}

uint32_t case_float_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

void *case_aligned(size_t bytes)
{
    void *p = aligned_alloc(64, (bytes + 63) / 64 * 64);
    MR_ASSERT(p);
    return p;
}

struct mr_key_scope case_scope_of(const struct test_case *c, const struct test_client *client,
                                  unsigned hub)
{
    return (struct mr_key_scope){c->terms.announcement.task, c->terms.hash, client->id,
                                 c->terms.announcement.hubs[hub].index, client->attempt};
}
