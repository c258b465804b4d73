#include "wire/datagram.h"

#include <string.h>

#include "base/bytes.h"

/* Offsets in the header. */
enum {
    AT_MAGIC = 0,
    AT_VERSION = 2,
    AT_TYPE = 3,
    AT_FLAGS = 4,
    AT_LENGTH = 6,
    AT_UPLOAD_ID = 8,
    AT_ROUND = 16,
    AT_ATTEMPT = 24,
    AT_CHUNK = 28,
};

void mr_datagram_encode(uint8_t header[MR_DATAGRAM_HEADER_BYTES],
                        const struct mr_datagram *datagram)
{
    mr_be16_put(header + AT_MAGIC, MR_DATAGRAM_MAGIC);
    header[AT_VERSION] = MR_DATAGRAM_VERSION;
    header[AT_TYPE] = datagram->type;
    mr_be16_put(header + AT_FLAGS, 0);
    mr_be16_put(header + AT_LENGTH, datagram->length);
    mr_be64_put(header + AT_UPLOAD_ID, datagram->upload_id);
    mr_be64_put(header + AT_ROUND, datagram->round);
    mr_be32_put(header + AT_ATTEMPT, datagram->attempt);
    mr_be32_put(header + AT_CHUNK, datagram->chunk);
}

enum mr_datagram_verdict mr_datagram_decode(struct mr_datagram *datagram, const uint8_t *bytes,
                                            size_t total)
{
    if (total < MR_DATAGRAM_OVERHEAD) {
        return MR_DATAGRAM_TRUNCATED;
    }
    if (mr_be16_get(bytes + AT_MAGIC) != MR_DATAGRAM_MAGIC) {
        return MR_DATAGRAM_BAD_MAGIC;
    }
    if (bytes[AT_VERSION] != MR_DATAGRAM_VERSION) {
        return MR_DATAGRAM_BAD_VERSION;
    }
    uint8_t type = bytes[AT_TYPE];
    if (type != MR_DATAGRAM_CHUNK && type != MR_DATAGRAM_ACK) {
        return MR_DATAGRAM_BAD_TYPE;
    }
    if (mr_be16_get(bytes + AT_FLAGS) != 0) {
        return MR_DATAGRAM_BAD_FLAGS;
    }
    uint16_t length = mr_be16_get(bytes + AT_LENGTH);
    if (total < MR_DATAGRAM_OVERHEAD + (size_t)length) {
        return MR_DATAGRAM_TRUNCATED;
    }
    if (total > MR_DATAGRAM_OVERHEAD + (size_t)length) {
        return MR_DATAGRAM_OVERSIZED;
    }
    datagram->type = type;
    datagram->length = length;
    datagram->upload_id = mr_be64_get(bytes + AT_UPLOAD_ID);
    datagram->round = mr_be64_get(bytes + AT_ROUND);
    datagram->attempt = mr_be32_get(bytes + AT_ATTEMPT);
    datagram->chunk = mr_be32_get(bytes + AT_CHUNK);
    return MR_DATAGRAM_OK;
}

void mr_ack_encode(uint8_t out[MR_ACK_BYTES], const struct mr_ack *ack)
{
    out[0] = ack->state;
    out[1] = ack->reason;
    mr_be16_put(out + 2, 0);
    mr_be32_put(out + 4, ack->received);
    mr_be32_put(out + 8, ack->window);
    mr_be32_put(out + 12, ack->base);
    memcpy(out + 16, ack->bitmap, MR_ACK_BITMAP_BYTES);
}

int mr_ack_decode(struct mr_ack *ack, const uint8_t *bytes, size_t length)
{
    if (length != MR_ACK_BYTES) {
        return -1;
    }
    if (bytes[0] < MR_UPLOAD_RECEIVING || bytes[0] > MR_UPLOAD_REFUSED) {
        return -1;
    }
    if (bytes[1] > MR_REASON_UNSOUND || mr_be16_get(bytes + 2) != 0) {
        return -1;
    }
    ack->state = bytes[0];
    ack->reason = bytes[1];
    ack->received = mr_be32_get(bytes + 4);
    ack->window = mr_be32_get(bytes + 8);
    ack->base = mr_be32_get(bytes + 12);
    memcpy(ack->bitmap, bytes + 16, MR_ACK_BITMAP_BYTES);
    return 0;
}
