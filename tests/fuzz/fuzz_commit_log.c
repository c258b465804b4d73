/* fuzz_commit_log.c - a generation of the lead's commit log: what is accepted is written again as
 * the same bytes. First byte: odd for bytes as they come, even for bytes that get their checksum
 * (or a search would end there). */
#include <endian.h>
#include <stdlib.h>

#include <isa-l/crc64.h>

#include "appliance/round/drive/lead_log.h"
#include "tests/fuzz/fuzz.h"

#define CRC_BYTES 8

static void check(const struct mr_commit_read *read, const uint8_t *bytes, size_t length)
{
    MR_ASSERT(mr_commit_state_bytes(&read->state) == length);
    MR_ASSERT(read->state.included_count <= read->terms.announcement.cohort_max);
    MR_ASSERT(read->state.share_bytes == 0 ||
              read->state.share_bytes == read->terms.layout.share_bytes);
    uint8_t *again = malloc(length);
    MR_ASSERT(again);
    mr_commit_state_encode(again, &read->state);
    MR_ASSERT(memcmp(again, bytes, length) == 0);
    free(again);
}

static void parse(const uint8_t *bytes, size_t length)
{
    struct mr_commit_read read;
    struct mr_error error = {.text = ""};
    const uint8_t *content;
    size_t content_length;
    uint64_t generation;
    if (mr_commit_log_parse(bytes, length, &mr_lead_log_form, &generation, &content,
                            &content_length, &error) != 0) {
        MR_ASSERT(error.text[0] != '\0');
        return;
    }
    MR_ASSERT(content >= bytes && content + content_length <= bytes + length);
    if (mr_commit_state_parse(&read, content, content_length, &error) != 0) {
        MR_ASSERT(error.text[0] != '\0' && !read.included);
        return;
    }
    check(&read, content, content_length);
    mr_commit_read_fini(&read);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) {
        return 0;
    }
    if (data[0] & 1) {
        parse(data + 1, size - 1);
        return 0;
    }
    const size_t length = size - 1 + CRC_BYTES;
    uint8_t *bytes = malloc(length);
    MR_ASSERT(bytes);
    memcpy(bytes, data + 1, size - 1);
    const uint64_t crc = htole64(crc64_ecma_refl(0, bytes, size - 1));
    memcpy(bytes + size - 1, &crc, sizeof crc);
    parse(bytes, length);
    free(bytes);
    return 0;
}
