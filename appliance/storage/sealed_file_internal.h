/* sealed_file_internal.h - what writing and reading sealed files share (sealed_*.c only). */
#ifndef MR_STORAGE_SEALED_FILE_INTERNAL_H
#define MR_STORAGE_SEALED_FILE_INTERNAL_H

#include "appliance/storage/journal_seal.h"
#include "appliance/storage/sealed_file.h"

#define SEALED_HEAD_BYTES  MR_JOURNAL_HEAD_BYTES
#define SEALED_MAGIC_BYTES 8
#define SEALED_UNTIL_AT    SEALED_MAGIC_BYTES
#define SEALED_SALT_AT     (SEALED_UNTIL_AT + 8)
#define SEALED_KEY_LABEL   "millrace sealed file"

/* Secret bytes of one unit; grows. */
struct sealed_buffer {
    uint8_t *bytes;
    size_t capacity;
};

/* What was there is wiped. 0, or -1 without memory. */
int mr_sealed_buffer_reserve(struct sealed_buffer *buffer, size_t bytes, struct mr_error *error);
void mr_sealed_buffer_free(struct sealed_buffer *buffer);

/* -1, with errno's text. */
int mr_sealed_failed(const char *what, struct mr_error *error);

/* 0; 1 if it is no whole beginning; -1. */
int mr_sealed_head_read(int fd, uint8_t head[SEALED_HEAD_BYTES], struct mr_error *error);

#endif
