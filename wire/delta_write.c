/* delta_write.c - the other direction; the same inputs give the same bytes. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "wire/delta.h"
#include "wire/integer_code.h"

#define ROOM_FIRST ((size_t)1 << 16)

enum { WRITTEN = 0, TOO_LONG = 1, NO_MEMORY = -1 };

struct writing {
    struct mr_delta_out *out;
    size_t room, most;
    struct mr_integer_scratch *scratch;
    uint32_t *values; /* of the segment that is being filled */
    uint32_t *more;   /* of `changes`: the other segment */
    size_t count;
    int result;
};

/* Room for so many bytes more, as far as the delta may become that long. */
static uint8_t *reserve(struct writing *writing, size_t bytes)
{
    struct mr_delta_out *out = writing->out;
    if (writing->result != WRITTEN) {
        return NULL;
    }
    if (writing->room - out->length < bytes) {
        const size_t room = 2 * writing->room + bytes + ROOM_FIRST;
        uint8_t *grown = realloc(out->bytes, room);
        if (!grown) {
            writing->result = NO_MEMORY;
            return NULL;
        }
        out->bytes = grown;
        writing->room = room;
    }
    return out->bytes + out->length;
}

static void took(struct writing *writing, size_t bytes)
{
    writing->out->length += bytes;
    if (writing->out->length > writing->most) {
        writing->result = TOO_LONG;
    }
}

static void put_segment(struct writing *writing, const uint32_t *values, size_t count)
{
    uint8_t *at = reserve(writing, MR_INTEGER_SEGMENT_BYTES_MAX);
    if (at) {
        took(writing, mr_integer_write(at, values, count, writing->scratch));
    }
}

static void put_head(struct writing *writing, const struct mr_delta_writing *about,
                     enum mr_delta_kind kind)
{
    uint8_t *at = reserve(writing, MR_DELTA_HEAD_BYTES + (size_t)about->header_bytes);
    if (!at) {
        return;
    }
    memcpy(at, "MRDL", 4); /* NOLINT(bugprone-not-null-terminated-result): no text */
    mr_be16_put(at + 4, MR_DELTA_VERSION);
    memcpy(at + 6, about->base_hash, 32);
    memcpy(at + 38, about->target_hash, 32);
    mr_be64_put(at + 70, about->target_bytes);
    at[78] = (uint8_t)kind;
    mr_be32_put(at + 79, about->header_bytes);
    if (about->header_bytes) {
        memcpy(at + MR_DELTA_HEAD_BYTES, about->header, about->header_bytes);
    }
    took(writing, MR_DELTA_HEAD_BYTES + (size_t)about->header_bytes);
}

static void begin(struct writing *writing, struct mr_delta_out *out,
                  const struct mr_delta_writing *about, enum mr_delta_kind kind)
{
    *out = (struct mr_delta_out){.bytes = NULL};
    *writing = (struct writing){
        .out = out,
        .most = about->most,
        .scratch = malloc(sizeof *writing->scratch),
        .values = malloc(MR_INTEGER_SEGMENT * sizeof *writing->values),
        .more = malloc(MR_INTEGER_SEGMENT * sizeof *writing->more),
    };
    if (!writing->scratch || !writing->values || !writing->more) {
        writing->result = NO_MEMORY;
    }
    put_head(writing, about, kind);
}

static int end(struct writing *writing)
{
    free(writing->scratch);
    free(writing->values);
    free(writing->more);
    if (writing->result != WRITTEN) {
        free(writing->out->bytes);
        *writing->out = (struct mr_delta_out){.bytes = NULL};
    }
    return writing->result;
}

/* --- sums ------------------------------------------------------------------------------------ */

static void put_step(struct writing *writing, const struct mr_delta_step *step)
{
    uint32_t factor;
    uint8_t *at = reserve(writing, MR_DELTA_STEP_BYTES);
    if (!at) {
        return;
    }
    memcpy(&factor, &step->factor, sizeof factor);
    mr_be32_put(at, factor);
    at[4] = step->rotation_log2;
    mr_be32_put(at + 5, step->lanes);
    memcpy(at + 9, step->sign_key, 16);
    memcpy(at + 25, step->sign_counter, 16);
    took(writing, MR_DELTA_STEP_BYTES);
}

static void put_row(struct writing *writing, const struct mr_delta_source *source, uint32_t lane,
                    uint32_t count)
{
    while (count > 0 && writing->result == WRITTEN) {
        const size_t left = MR_INTEGER_SEGMENT - writing->count;
        const uint32_t take = count < left ? count : (uint32_t)left;
        int32_t *into = (int32_t *)writing->values + writing->count;
        source->lanes(source->context, into, lane, take);
        for (uint32_t i = 0; i < take; i++) {
            writing->values[writing->count + i] = mr_zigzag(into[i]);
        }
        writing->count += take;
        lane += take;
        count -= take;
        if (writing->count == MR_INTEGER_SEGMENT) {
            put_segment(writing, writing->values, writing->count);
            writing->count = 0;
        }
    }
}

static void put_lanes(struct writing *writing, const struct mr_delta_source *source)
{
    const struct mr_delta_step *step = &source->step;
    const struct mr_delta_order order = mr_delta_order_of(step->lanes, step->rotation_log2);
    for (uint32_t first = 0; first < order.columns; first += order.group) {
        const uint32_t left = order.columns - first;
        const uint32_t width = left < order.group ? left : order.group;
        for (uint32_t place = 0; place < order.block && writing->result == WRITTEN; place++) {
            put_row(writing, source, place * order.columns + first, width);
        }
    }
    if (writing->count > 0) {
        put_segment(writing, writing->values, writing->count);
        writing->count = 0;
    }
}

/* Begins it with the number of its steps. */
static void begin_sums(struct writing *writing, struct mr_delta_out *out,
                       const struct mr_delta_writing *about, unsigned steps)
{
    MR_ASSERT(steps >= 1 && steps <= MR_DELTA_STEPS_MAX);
    begin(writing, out, about, MR_DELTA_SUMS);
    uint8_t *at = reserve(writing, 1);
    if (at) {
        *at = (uint8_t)steps;
        took(writing, 1);
    }
}

int mr_delta_write_sums(struct mr_delta_out *out, const struct mr_delta_writing *about,
                        const struct mr_delta_source *sources, unsigned count)
{
    struct writing writing;
    begin_sums(&writing, out, about, count);
    for (unsigned i = 0; i < count; i++) {
        put_step(&writing, &sources[i].step);
        put_lanes(&writing, &sources[i]);
    }
    return end(&writing);
}

unsigned mr_delta_steps(const uint8_t *bytes, size_t length)
{
    struct mr_delta_head head;
    if (mr_delta_head_read(&head, bytes, length, NULL) != 0 || head.kind != MR_DELTA_SUMS ||
        head.body >= length) {
        return 0;
    }
    return bytes[head.body];
}

/* A step's last segment ends with it: what stands behind another step is what would stand alone. */
int mr_delta_join(struct mr_delta_out *out, const struct mr_delta_writing *about,
                  const struct mr_delta_part *parts, unsigned count)
{
    struct writing writing;
    unsigned steps = 0;
    for (unsigned i = 0; i < count; i++) {
        steps += mr_delta_steps(parts[i].bytes, parts[i].length);
    }
    begin_sums(&writing, out, about, steps);
    for (unsigned i = 0; i < count; i++) {
        struct mr_delta_head head;
        const int bad = mr_delta_head_read(&head, parts[i].bytes, parts[i].length, NULL);
        MR_ASSERT(bad == 0);
        const size_t from = head.body + 1, bytes = parts[i].length - from;
        uint8_t *at = reserve(&writing, bytes);
        if (at) {
            memcpy(at, parts[i].bytes + from, bytes);
            took(&writing, bytes);
        }
    }
    return end(&writing);
}

/* --- changes --------------------------------------------------------------------------------- */

static uint32_t bits_at(const uint8_t *values, size_t i)
{
    uint32_t bits;
    memcpy(&bits, values + 4 * i, sizeof bits);
    return bits;
}

/* What is coded of a change. */
static uint32_t change_of(uint32_t from, uint32_t to)
{
    return mr_zigzag((int32_t)(mr_delta_rank(to) - mr_delta_rank(from)));
}

/* Values that are looked at, one behind the other, and one of so many runs of them. */
#define LOOKED_AT 64u
#define RUNS      17u

size_t mr_delta_changes_estimate(const uint8_t *base, const uint8_t *target, size_t count)
{
    uint32_t counts[MR_INTEGER_TOKENS] = {0}, changes = 0;
    double bits = 0;
    for (size_t i = 0; i < count;
         i += i % LOOKED_AT < LOOKED_AT - 1 ? 1 : 1 + (RUNS - 1) * LOOKED_AT) {
        const uint32_t from = bits_at(base, i), to = bits_at(target, i);
        if (from != to) {
            const struct mr_integer_token token = mr_integer_token_of(change_of(from, to));
            counts[token.token]++;
            bits += token.bits;
            changes++;
        }
    }
    for (unsigned i = 0; i < MR_INTEGER_TOKENS; i++) {
        bits += counts[i] ? counts[i] * log2((double)changes / counts[i]) : 0;
    }
    return (size_t)(bits / 8 * RUNS);
}

static uint32_t count_changes(const uint8_t *base, const uint8_t *target, size_t count)
{
    uint32_t changes = 0;
    for (size_t i = 0; i < count; i++) {
        changes += bits_at(base, i) != bits_at(target, i);
    }
    return changes;
}

static void put_pair(struct writing *writing)
{
    if (writing->count > 0) {
        put_segment(writing, writing->values, writing->count);
        put_segment(writing, writing->more, writing->count);
        writing->count = 0;
    }
}

int mr_delta_write_changes(struct mr_delta_out *out, const struct mr_delta_writing *about,
                           const uint8_t *base, const uint8_t *target, size_t count)
{
    struct writing writing;
    begin(&writing, out, about, MR_DELTA_CHANGES);
    uint8_t *at = reserve(&writing, 4);
    if (at) {
        mr_be32_put(at, count_changes(base, target, count));
        took(&writing, 4);
    }
    size_t next = 0;
    for (size_t i = 0; i < count && writing.result == WRITTEN; i++) {
        const uint32_t from = bits_at(base, i), to = bits_at(target, i);
        if (from != to) {
            writing.values[writing.count] = (uint32_t)(i - next);
            writing.more[writing.count++] = change_of(from, to);
            next = i + 1;
        }
        if (writing.count == MR_INTEGER_SEGMENT) {
            put_pair(&writing);
        }
    }
    put_pair(&writing);
    return end(&writing);
}
