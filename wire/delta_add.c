/* delta_add.c - the same operations in the same order as the hub's: flip_signs, axpy. */
#include "wire/delta_add.h"

#include <string.h>

#include "wire/integer_code.h"
#include "wire/tensor_parts.h"

typedef uint32_t four_codes __attribute__((vector_size(16)));
typedef int32_t four_numbers __attribute__((vector_size(16)));
typedef float four_lanes __attribute__((vector_size(16)));

void mr_delta_centre(float *out, const uint32_t *from, float factor, size_t count)
{
    size_t i = 0;
    for (; i + 4 <= count; i += 4) {
        four_codes code;
        memcpy(&code, from + i, sizeof code);
        const four_numbers number = (four_numbers)(code >> 1 ^ (0u - (code & 1u)));
        const four_lanes lane = __builtin_convertvector(number, four_lanes) * factor;
        memcpy(out + i, &lane, sizeof lane);
    }
    for (; i < count; i++) {
        out[i] = (float)mr_unzigzag(from[i]) * factor;
    }
}

/* value[lane] += the update of that lane, its sign turned where the stream says so: the same
 * operations as flip_signs and axpy of the whole vector. */
static void add_values(const uint8_t *signs, uint8_t *restrict values, const float *restrict row,
                       size_t lane, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const size_t at = lane + i;
        uint32_t bits;
        float update, value;
        memcpy(&bits, row + i, sizeof bits);
        if (signs) { /* the turned sign is no branch: each second one is */
            bits ^= (uint32_t)(signs[at / 8] >> (at % 8)) << 31;
        }
        memcpy(&update, &bits, sizeof update);
        memcpy(&value, values + 4 * i, sizeof value);
        value += update;
        memcpy(values + 4 * i, &value, sizeof value);
    }
}

/* The same of a row whose signs are turned already, at the kernels' speed where a foreign header
 * ends on a float's boundary. */
static void add_turned(const struct mr_delta_adding *adding, uint8_t *values, const float *row,
                       size_t count)
{
    if ((uintptr_t)values % sizeof(float) == 0) {
        adding->kernels->axpy((float *)(void *)values, 1.0f, row, count);
    } else {
        add_values(NULL, values, row, 0, count);
    }
}

/* Lanes behind the last value are padding. `signs`: NULL where they are turned already. */
static void add_row(const struct mr_delta_adding *adding, const uint8_t *signs, const float *row,
                    size_t lane, size_t count)
{
    const struct mr_safetensors *base = adding->base;
    const size_t end = lane + count < base->trained ? lane + count : base->trained;
    while (lane < end) {
        const struct mr_tensor_span *span = mr_tensor_parts_span(base, lane);
        const size_t skipped = lane - span->first, rest = span->count - skipped;
        const size_t run = end - lane < rest ? end - lane : rest;
        uint8_t *values = adding->values + 4 * (span->at + skipped);
        if (signs) {
            add_values(signs, values, row, lane, run);
        } else {
            add_turned(adding, values, row, run);
        }
        row += run;
        lane += run;
    }
}

void mr_delta_add_group(const struct mr_delta_adding *adding, const struct mr_delta_order *order,
                        uint32_t first, size_t width)
{
    float *group = adding->group;
    const uint8_t *signs = adding->signs;
    if (width == order->columns) {
        const size_t lanes = width * order->block;
        if (signs) {
            adding->kernels->flip_signs(group, signs, lanes);
        }
        add_row(adding, NULL, group, 0, lanes);
        return;
    }
    for (size_t place = 0; place < order->block; place++) {
        add_row(adding, signs, group + place * width, place * order->columns + first, width);
    }
}

/* Lanes that are turned and added while they are in the nearest cache; whole bytes of signs. */
#define PIECE ((size_t)4096)

static void add_pieces(const struct mr_delta_adding *adding, const float *values, size_t first,
                       size_t count)
{
    for (size_t at = 0; at < count; at += PIECE) {
        const size_t here = count - at < PIECE ? count - at : PIECE;
        float *lanes = adding->group + first + at;
        if (adding->signs) {
            adding->kernels->flip_signs(lanes, adding->signs + (first + at) / 8, here);
        }
        adding->kernels->axpy(lanes, 1.0f, values + at, here);
    }
}

int mr_delta_add_base(const struct mr_delta_adding *adding, const struct mr_delta_job *job,
                      void *piece)
{
    const size_t count = adding->base->count, offset = adding->base->data_offset;
    if (!job->base_read) {
        add_pieces(adding, (const float *)(const void *)(job->base + offset), 0, count);
        return 0;
    }
    for (size_t at = 0; at < count; at += MR_INTEGER_SEGMENT) {
        const size_t here = count - at < MR_INTEGER_SEGMENT ? count - at : MR_INTEGER_SEGMENT;
        const size_t from = offset + at * sizeof(float);
        if (job->base_read(job->base_context, piece, from, here * sizeof(float)) != 0) {
            return -1;
        }
        add_pieces(adding, piece, at, here);
    }
    return 0;
}
