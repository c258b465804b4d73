#include "edge-client/session/number_type.h"

#include <endian.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/half.h"
#include "base/json_text.h"

#define ALIGNMENT    64 /* of a file's data */
#define F32_INFINITY 0x7f800000u
#define F16_LARGEST  0x7bffu
#define F16_INFINITY 0x7c00u
#define BF16_LARGEST 0x7f7fu
/* 2^-14, the smallest normal number of F16, as a float32. */
#define F16_NORMAL 0x38800000u

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Without the lowest `places` bits, to the nearest, ties to even. */
static uint32_t rounded(uint32_t bits, unsigned places)
{
    return (bits + (1u << (places - 1)) - 1 + (bits >> places & 1)) >> places;
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* `magnitude` is finite. */
static uint32_t half_of(uint32_t magnitude)
{
    if (magnitude < F16_NORMAL) { /* steps of 2^-24 are those of float32 from 0.5 on */
        return bits_of(float_of(magnitude) + 0.5f) - bits_of(0.5f);
    }
    return least(rounded(magnitude - (112u << 23), 13), F16_LARGEST);
}

uint16_t mr_number_short(enum mre_number_type type, float value)
{
    const uint32_t bits = bits_of(value), sign = bits >> 16 & 0x8000u;
    const uint32_t magnitude = bits & 0x7fffffffu;
    uint32_t number;
    if (magnitude > F32_INFINITY) {
        number = type == MRE_F16 ? 0x7e00u : 0x7fc0u; /* NaN */
    } else if (magnitude == F32_INFINITY) {
        number = type == MRE_F16 ? F16_INFINITY : magnitude >> 16;
    } else {
        number = type == MRE_F16 ? half_of(magnitude) : least(rounded(magnitude, 16), BF16_LARGEST);
    }
    return (uint16_t)(sign | number);
}

float mr_number_float(enum mre_number_type type, uint16_t number)
{
    return float_of(type == MRE_BF16 ? (uint32_t)number << 16 : mr_half_widen(number));
}

void mre_numbers_round(enum mre_number_type type, uint16_t *numbers, const float *values,
                       size_t count)
{
    for (size_t i = 0; i < count; i++) {
        numbers[i] = mr_number_short(type, values[i]);
    }
}

void mre_numbers_widen(enum mre_number_type type, float *values, const uint16_t *numbers,
                       size_t count)
{
    for (size_t i = 0; i < count; i++) {
        values[i] = mr_number_float(type, numbers[i]);
    }
}

const char *mr_number_name(enum mre_number_type type)
{
    static const char *const names[] = {"float32", "float16", "bfloat16"};
    return (unsigned)type < sizeof names / sizeof *names ? names[type] : NULL;
}

const char *mr_number_code(enum mre_number_type type)
{
    static const char *const codes[] = {"F32", "F16", "BF16"};
    return (unsigned)type < sizeof codes / sizeof *codes ? codes[type] : NULL;
}

bool mr_number_named(enum mre_number_type *type, const char *name)
{
    const char *known;
    for (unsigned i = 0; name && (known = mr_number_name((enum mre_number_type)i)); i++) {
        if (strcmp(name, known) == 0) {
            *type = (enum mre_number_type)i;
            return true;
        }
    }
    return false;
}

char *mr_number_header(const uint8_t *bytes, size_t data_offset, enum mre_number_type type,
                       size_t *length)
{
    json_t *root = json_loadb((const char *)bytes + 8, data_offset - 8, 0, NULL);
    const char *name;
    json_t *tensor;
    json_object_foreach(root, name, tensor) {
        json_t *offsets = json_object_get(tensor, "data_offsets"); /* none: the texts */
        for (size_t i = 0; i < json_array_size(offsets); i++) {
            const json_int_t at = json_integer_value(json_array_get(offsets, i));
            json_array_set_new(offsets, i, json_integer(at / 2));
            json_object_set_new(tensor, "dtype", mr_json_text(mr_number_code(type)));
        }
    }
    const size_t text = json_dumpb(root, NULL, 0, JSON_COMPACT);
    *length = (8 + text + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    char *header = text ? malloc(*length) : NULL;
    if (header) {
        const uint64_t rest = htole64(*length - 8);
        memcpy(header, &rest, sizeof rest);
        memset(header + 8, ' ', *length - 8);
        json_dumpb(root, header + 8, text, JSON_COMPACT);
    }
    json_decref(root);
    return header;
}
