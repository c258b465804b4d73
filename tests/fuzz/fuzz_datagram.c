/* fuzz_datagram.c - the header of a datagram and the payload of an ACK: what is accepted is written
 * again as the same bytes. */
#include "tests/fuzz/fuzz.h"
#include "wire/datagram.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mr_datagram datagram;
    struct mr_ack ack;
    if (mr_datagram_decode(&datagram, data, size) == MR_DATAGRAM_OK) {
        uint8_t header[MR_DATAGRAM_HEADER_BYTES];
        MR_ASSERT(size == (size_t)MR_DATAGRAM_OVERHEAD + datagram.length);
        mr_datagram_encode(header, &datagram);
        MR_ASSERT(memcmp(header, data, sizeof header) == 0);
    }
    if (mr_ack_decode(&ack, data, size) == 0) {
        uint8_t again[MR_ACK_BYTES];
        MR_ASSERT(size == sizeof again);
        mr_ack_encode(again, &ack);
        MR_ASSERT(memcmp(again, data, sizeof again) == 0);
    }
    return 0;
}
