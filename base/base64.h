/* base64.h - RFC 4648 base64, standard alphabet, padded, one spelling per byte string. */
#ifndef MR_BASE_BASE64_H
#define MR_BASE_BASE64_H

#include <stddef.h>
#include <stdint.h>

#define MR_BASE64_LENGTH(bytes) (((bytes) + 2) / 3 * 4) /* characters, without NUL */
#define MR_BASE64_BYTES_MAX     130                     /* the longest string handled here */

/* Writes MR_BASE64_LENGTH(bytes) characters and a NUL. */
void mr_base64_encode(char *text, const uint8_t *data, size_t bytes);

/* Reads exactly `bytes` bytes from text[length]. 0, or -1 for another length, a character outside
 * the alphabet, white space, or padding bits that are not zero. */
int mr_base64_decode(uint8_t *data, size_t bytes, const char *text, size_t length);

#endif
