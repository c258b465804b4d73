/* bytes.h - integers to and from network byte order, at any alignment; bytes read from the front;
 * hex. */
#ifndef MR_BASE_BYTES_H
#define MR_BASE_BYTES_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t mr_be16_get(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return be16toh(v);
}

static inline uint32_t mr_be32_get(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return be32toh(v);
}

static inline uint64_t mr_be64_get(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return be64toh(v);
}

static inline void mr_be16_put(uint8_t *p, uint16_t v)
{
    v = htobe16(v);
    memcpy(p, &v, sizeof v);
}

static inline void mr_be32_put(uint8_t *p, uint32_t v)
{
    v = htobe32(v);
    memcpy(p, &v, sizeof v);
}

static inline void mr_be64_put(uint8_t *p, uint64_t v)
{
    v = htobe64(v);
    memcpy(p, &v, sizeof v);
}

/* What is left of bytes that are read from the front. */
struct mr_rest {
    const uint8_t *at;
    size_t left;
};

/* The next `bytes`; NULL, and nothing is taken: there are not so many. */
static inline const uint8_t *mr_rest_take(struct mr_rest *rest, size_t bytes)
{
    const uint8_t *at = rest->at;
    if (rest->left < bytes) {
        return NULL;
    }
    rest->at += bytes;
    rest->left -= bytes;
    return at;
}

/* Writes 2 * bytes lower-case hex digits and a NUL; `hex` holds 2 * bytes + 1. */
void mr_hex_encode(char *hex, const uint8_t *data, size_t bytes);

/* Reads exactly 2 * bytes hex digits followed by NUL. Returns 0, or -1 for anything else. */
int mr_hex_decode(uint8_t *data, size_t bytes, const char *hex);

#endif
