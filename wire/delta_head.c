/* delta_head.c - what stands at the front of a delta, and the order of its integers. */
#include <string.h>

#include "base/bytes.h"
#include "wire/delta.h"
#include "wire/safetensors.h"

#define VERSION MR_DELTA_VERSION

static const uint8_t magic[4] = {'M', 'R', 'D', 'L'};

static int cut_short(struct mr_error *error)
{
    return mr_error_set(error, "the delta is cut short");
}

/* magic 4, version 2, base 32, target 32, size 8, kind 1, header bytes 4 */
int mr_delta_head_read(struct mr_delta_head *head, const uint8_t *bytes, size_t length,
                       struct mr_error *error)
{
    *head = (struct mr_delta_head){.header = NULL};
    if (length < MR_DELTA_HEAD_BYTES) {
        return cut_short(error);
    }
    if (memcmp(bytes, magic, sizeof magic) != 0 || mr_be16_get(bytes + 4) != VERSION) {
        return mr_error_set(error, "this is no delta of version %d", VERSION);
    }
    memcpy(head->base_hash, bytes + 6, 32);
    memcpy(head->target_hash, bytes + 38, 32);
    head->target_bytes = mr_be64_get(bytes + 70);
    const uint8_t kind = bytes[78];
    head->header_bytes = mr_be32_get(bytes + 79);
    if (kind != MR_DELTA_SUMS && kind != MR_DELTA_CHANGES) {
        return mr_error_set(error, "the delta is of kind %u, which is unknown", kind);
    }
    head->kind = kind;
    if (head->header_bytes > MR_SAFETENSORS_HEADER_MAX + 8) {
        return mr_error_set(error, "the delta's header has %u bytes", head->header_bytes);
    }
    if (length - MR_DELTA_HEAD_BYTES < head->header_bytes) {
        return cut_short(error);
    }
    head->header = head->header_bytes ? bytes + MR_DELTA_HEAD_BYTES : NULL;
    head->body = MR_DELTA_HEAD_BYTES + head->header_bytes;
    return 0;
}

struct mr_delta_order mr_delta_order_of(uint32_t lanes, uint8_t rotation_log2)
{
    struct mr_delta_order order = {.block = 1u << rotation_log2};
    order.columns = lanes / order.block;
    order.group = MR_DELTA_GROUP_LANES / order.block;
    if (order.group > order.columns) {
        order.group = order.columns;
    }
    return order;
}
