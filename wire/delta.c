/* delta.c - reading and applying. Whatever the delta says, nothing is written beside the target and
 * no more memory is taken than the header allows. */
#include "wire/delta.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "wire/delta_add.h"
#include "wire/integer_code.h"
#include "wire/safetensors.h"

static int cut_short(struct mr_error *error)
{
    return mr_error_set(error, "the delta is cut short");
}

/* What one application holds. */
struct applying {
    const struct mr_delta_job *job;
    uint8_t *values; /* of the target */
    struct mr_safetensors base;
    struct mr_integer_reader reader;
    size_t filled, used;          /* of reader.room->values */
    float *group;                 /* of `sums`; at the target's values, or a buffer: */
    float *buffer;                /* malloc'd */
    uint8_t *signs;               /* a bit a lane */
    struct mr_integer_room *gaps; /* of `changes` */
};

/* --- sums ------------------------------------------------------------------------------------ */

/* The next integers of the sequence. */
static int fill_group(struct applying *applying, size_t count, float factor, struct mr_error *error)
{
    float *out = applying->group;
    while (count > 0) {
        if (applying->used == applying->filled) {
            const long read = mr_integer_read_more(&applying->reader, error);
            if (read <= 0) {
                return -1;
            }
            applying->filled = (size_t)read;
            applying->used = 0;
        }
        const size_t here = applying->filled - applying->used;
        const size_t take = here < count ? here : count;
        mr_delta_centre(out, applying->reader.room->values + applying->used, factor, take);
        applying->used += take;
        out += take;
        count -= take;
    }
    return 0;
}

static const uint8_t *base_values(const struct applying *applying)
{
    return applying->job->base + applying->base.data_offset;
}

/* Whether the vector is one group that has room where the target's values are to be. */
static bool fits_in_target(const struct applying *applying, const struct mr_delta_order *order)
{
    const struct mr_delta_job *job = applying->job;
    const size_t header_bytes = (size_t)(applying->values - job->target);
    const size_t bytes = (size_t)order->columns * order->block * sizeof(float);
    return order->group == order->columns && applying->base.trained == applying->base.count &&
           (uintptr_t)applying->values % sizeof(float) == 0 &&
           (uintptr_t)base_values(applying) % sizeof(float) == 0 &&
           header_bytes + bytes <= job->target_room;
}

/* Where the step's lanes are undone. The only step begins from the base's values: these may as well
 * be added to the update as the update to them. 0 or -1. */
static int take_place(struct applying *applying, const struct mr_delta_order *order, bool only,
                      struct mr_error *error)
{
    if (applying->buffer) {
        return 0;
    }
    if (only && fits_in_target(applying, order)) {
        applying->group = (float *)(void *)applying->values;
        return 0;
    }
    memcpy(applying->values, base_values(applying), 4 * applying->base.count);
    applying->buffer = malloc(MR_DELTA_GROUP_LANES * sizeof *applying->buffer);
    applying->group = applying->buffer;
    return applying->buffer ? 0 : mr_error_set(error, "out of memory for a delta");
}

static int apply_groups(struct applying *applying, const struct mr_delta_step *step,
                        const struct mr_delta_order *order, struct mr_error *error)
{
    const struct mr_delta_adding adding = {.base = &applying->base,
                                           .values = applying->values,
                                           .signs = applying->signs,
                                           .group = applying->group,
                                           .kernels = applying->job->kernels};
    for (uint32_t first = 0; first < order->columns; first += order->group) {
        const uint32_t left = order->columns - first;
        const size_t width = left < order->group ? left : order->group;
        if (fill_group(applying, width * order->block, step->factor, error) != 0) {
            return -1;
        }
        if (order->block > 1) {
            applying->job->kernels->hadamard(applying->group, width * order->block, order->block);
        }
        if (applying->group != applying->buffer) {
            /* The last integers were read: their room is free. */
            if (mr_delta_add_base(&adding, applying->job, applying->reader.room->values) != 0) {
                return mr_error_set(error, "the model that the delta is for cannot be read");
            }
        } else {
            /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): mr_delta_apply frees the buffer */
            mr_delta_add_group(&adding, order, first, width);
        }
    }
    return 0;
}

/* factor 4, rotation 1, lanes 4, key 16, counter 16 */
static int read_step(struct mr_delta_step *step, const struct applying *applying,
                     struct mr_error *error)
{
    const struct mr_integer_reader *reader = &applying->reader;
    const uint8_t *at = reader->bytes + reader->at;
    if (reader->length - reader->at < MR_DELTA_STEP_BYTES) {
        return cut_short(error);
    }
    const uint32_t factor = mr_be32_get(at);
    memcpy(&step->factor, &factor, sizeof step->factor);
    step->rotation_log2 = at[4];
    step->lanes = mr_be32_get(at + 5);
    memcpy(step->sign_key, at + 9, 16);
    memcpy(step->sign_counter, at + 25, 16);
    struct mr_layout layout;
    if (mr_layout_init(&layout, 16, applying->base.trained, step->rotation_log2,
                       MR_CHUNK_BYTES_DEFAULT) != 0 ||
        step->lanes != layout.lanes) {
        return mr_error_set(error, "the delta's step has lanes of another model");
    }
    return 0;
}

static int apply_step(struct applying *applying, bool only, struct mr_error *error)
{
    struct mr_delta_step step = {.lanes = 0};
    if (read_step(&step, applying, error) != 0) {
        return -1;
    }
    const struct mr_delta_order order = mr_delta_order_of(step.lanes, step.rotation_log2);
    if (take_place(applying, &order, only, error) != 0) {
        return -1;
    }
    applying->reader.at += MR_DELTA_STEP_BYTES;
    applying->reader.left = step.lanes;
    applying->filled = applying->used = 0;
    free(applying->signs);
    applying->signs = NULL;
    if (step.rotation_log2 > 0) {
        struct mr_mask_stream stream;
        applying->signs = malloc(step.lanes / 8);
        if (!applying->signs) {
            return mr_error_set(error, "out of memory for a delta");
        }
        mr_mask_stream_init(&stream, step.sign_key, step.sign_counter);
        applying->job->kernels->mask_expand(applying->signs, &stream, 0, step.lanes / 8);
    }
    return apply_groups(applying, &step, &order, error);
}

static int apply_sums(struct applying *applying, struct mr_error *error)
{
    struct mr_integer_reader *reader = &applying->reader;
    if (reader->at >= reader->length) {
        return cut_short(error);
    }
    const unsigned steps = reader->bytes[reader->at++];
    if (steps == 0 || steps > MR_DELTA_STEPS_MAX) {
        return mr_error_set(error, "the delta has %u steps; 1 to %d are possible", steps,
                            MR_DELTA_STEPS_MAX);
    }
    for (unsigned i = 0; i < steps; i++) {
        if (apply_step(applying, steps == 1, error) != 0) {
            return mr_error_prefix(error, "step %u", i);
        }
    }
    return 0;
}

/* --- changes --------------------------------------------------------------------------------- */

static void change(uint8_t *value, uint32_t code)
{
    uint32_t bits;
    memcpy(&bits, value, sizeof bits);
    bits = mr_delta_rank(mr_delta_rank(bits) + (uint32_t)mr_unzigzag(code));
    memcpy(value, &bits, sizeof bits);
}

/* A segment of gaps, then one of changes: as many. */
static int apply_changes(struct applying *applying, struct mr_error *error)
{
    struct mr_integer_reader *reader = &applying->reader;
    if (reader->length - reader->at < 4) {
        return cut_short(error);
    }
    uint64_t left = mr_be32_get(reader->bytes + reader->at), at = 0;
    struct mr_integer_room *changes = reader->room;
    reader->at += 4;
    memcpy(applying->values, base_values(applying), 4 * applying->base.count);
    while (left > 0) {
        reader->left = left;
        reader->room = applying->gaps;
        const long gaps = mr_integer_read(reader, error);
        reader->left = left;
        reader->room = changes;
        if (gaps < 0 || mr_integer_read(reader, error) < 0) {
            return -1;
        }
        for (long i = 0; i < gaps; i++) {
            at += applying->gaps->values[i];
            if (at >= applying->base.count) {
                return mr_error_set(error, "the delta changes a value beyond the model's last");
            }
            change(applying->values + 4 * at, changes->values[i]);
            at++;
        }
        left -= (uint64_t)gaps;
    }
    return 0;
}

/* --- all of it ------------------------------------------------------------------------------- */

/* The header, and where the values are to be. */
static int begin(struct applying *applying, const struct mr_delta_head *head,
                 struct mr_error *error)
{
    const struct mr_delta_job *job = applying->job;
    struct mr_safetensors *base = &applying->base;
    if (mr_safetensors_parse(base, job->base, job->base_bytes, error) != 0) {
        return mr_error_prefix(error, "the model that the delta is for");
    }
    const size_t header_bytes = head->header ? head->header_bytes : base->data_offset;
    if (head->target_bytes != header_bytes + 4 * base->count) {
        return mr_error_set(error, "the delta is for a model of another size");
    }
    memcpy(job->target, head->header ? head->header : job->base, header_bytes);
    applying->values = job->target + header_bytes;
    return 0;
}

int mr_delta_apply(const struct mr_delta_job *job, struct mr_error *error)
{
    struct mr_delta_head head;
    struct applying applying = {.job = job};
    if (mr_delta_head_read(&head, job->delta, job->delta_bytes, error) != 0) {
        return -1;
    }
    if (begin(&applying, &head, error) != 0) {
        mr_safetensors_fini(&applying.base);
        return -1;
    }
    applying.reader = (struct mr_integer_reader){
        .bytes = job->delta,
        .length = job->delta_bytes,
        .at = head.body,
        .room = malloc(sizeof *applying.reader.room),
        .kernels = job->kernels,
    };
    struct mr_integer_room *room = applying.reader.room;
    const bool sums = head.kind == MR_DELTA_SUMS;
    applying.gaps = sums ? NULL : malloc(sizeof *applying.gaps);
    int result = -1;
    if (!room || (!sums && !applying.gaps)) {
        mr_error_set(error, "out of memory for a delta");
    } else {
        result = sums ? apply_sums(&applying, error) : apply_changes(&applying, error);
    }
    if (result == 0 && applying.reader.at != job->delta_bytes) {
        result = mr_error_set(error, "bytes follow the delta's end");
    }
    free(room);
    free(applying.gaps);
    free(applying.buffer);
    free(applying.signs);
    mr_safetensors_fini(&applying.base);
    return result;
}
