/* stream_store.h - copies past the caches (x86-64).
 *
 * An ordinary store would first read the line that it overwrites, and push keys
 * and packets out for bytes that are not read before thousands of other packets have come. Measured
 * (4,096 sessions, slots far larger than the caches): 1,408-byte chunks to random places at 11 to
 * 19 GB/s instead of 4. */
#ifndef MR_UPLOAD_STREAM_STORE_H
#define MR_UPLOAD_STREAM_STORE_H

#include <stdint.h>

/* `from` and `to` do not overlap; `from` is aligned to 64 bytes. Where `to` is not, an ordinary
 * copy. Whoever tells others of the bytes fences first (_mm_sfence). */
void mr_stream_sse(uint8_t *to, const uint8_t *from, uint32_t bytes);
/* For CPUs with AVX-512. */
void mr_stream_avx512(uint8_t *to, const uint8_t *from, uint32_t bytes);

#endif
