/* headers.h - the newest headers of honest datagrams, in a file that the relay writes and the flood
 * reads: what somebody on the path would see. Torn entries do no harm, they are forged anyway. */
#ifndef MR_TEST_SYSTEM_NET_HEADERS_H
#define MR_TEST_SYSTEM_NET_HEADERS_H

#include <stdint.h>

#include "wire/datagram.h"

#define HEADERS_KEPT 256u

struct headers {
    volatile uint32_t written; /* in all; the newest is at (written - 1) % HEADERS_KEPT */
    uint8_t bytes[HEADERS_KEPT][MR_DATAGRAM_HEADER_BYTES];
};

#endif
