/* h2_feed.h - the fuzzer's bytes as HTTP/2 input: raw, or cut into frames whose lengths are right,
 * so that a mutation changes one frame and not where all later ones begin. */
#ifndef MR_TESTS_FUZZ_H2_FEED_H
#define MR_TESTS_FUZZ_H2_FEED_H

#include <nghttp2/nghttp2.h>

#include "tests/fuzz/fuzz.h"

/* A frame type that HTTP/2 does not have: the target does something of its own. */
typedef void (*h2_aside_fn)(void *context, uint8_t flags);
#define H2_ASIDE 0xff

/* First byte: odd for raw. A frame is type u8, flags u8, stream u8, length u8 (from 0xf0 on times
 * 128), payload. After each piece what the session has to say is drawn and thrown away. */
void h2_feed(nghttp2_session *session, struct fuzz_input *input, h2_aside_fn aside, void *context);

/* Draws what the session has to say; false when it has ended. */
int h2_drain(nghttp2_session *session);

#endif
