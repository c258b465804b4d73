/* safetensors_metadata.c - one text of a file's "__metadata__". */
#include <endian.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "wire/safetensors.h"

#define LENGTH_BYTES 8

int mr_safetensors_text(const uint8_t *bytes, size_t length, const char *name, char *out,
                        size_t room)
{
    uint64_t header_bytes = 0;
    if (length < LENGTH_BYTES) {
        return -1;
    }
    memcpy(&header_bytes, bytes, sizeof header_bytes);
    header_bytes = le64toh(header_bytes);
    if (header_bytes > MR_SAFETENSORS_HEADER_MAX || header_bytes > length - LENGTH_BYTES) {
        return -1;
    }
    json_t *header = json_loadb((const char *)bytes + LENGTH_BYTES, (size_t)header_bytes,
                                JSON_REJECT_DUPLICATES, NULL);
    const char *text =
        json_string_value(json_object_get(json_object_get(header, "__metadata__"), name));
    const int result = !header ? -1 : !text ? 1 : strlen(text) < room ? 0 : -1;
    if (result == 0) {
        memcpy(out, text, strlen(text) + 1);
    }
    json_decref(header);
    return result;
}
