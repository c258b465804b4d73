/* fuzz_exchange.c - what hubs send one another about a closed round, and the identities in
 * certificates. The first byte chooses: 0 included set, 1 commitment, 2 identity. */
#include <stdlib.h>

#include "tests/fuzz/fuzz.h"
#include "wire/exchange.h"

#define ENTRIES_MAX 64

static void included(const uint8_t *bytes, size_t length)
{
    static const uint8_t hash[MR_HASH_BYTES] = {1};
    struct mr_included entries[ENTRIES_MAX];
    struct mr_error error = {.text = ""};
    uint8_t set_hash[MR_HASH_BYTES], again[4 + ENTRIES_MAX * MR_INCLUDED_BYTES];
    uint32_t count = 0;
    size_t used = 0;
    if (mr_included_decode(entries, ENTRIES_MAX, &count, bytes, length, &used, &error) != 0) {
        MR_ASSERT(error.text[0] != '\0');
        return;
    }
    MR_ASSERT(count <= ENTRIES_MAX && used <= length);
    MR_ASSERT(mr_included_encode(again, entries, count) == used);
    MR_ASSERT(memcmp(again, bytes, used) == 0);
    for (uint32_t i = 1; i < count; i++) {
        MR_ASSERT(memcmp(entries[i - 1].client_id, entries[i].client_id, MR_CLIENT_ID_BYTES) < 0);
    }
    MR_ASSERT(mr_included_hash(set_hash, hash, entries, count) == 0);
    mr_included_sort(entries, count);
    MR_ASSERT(mr_included_encode(again, entries, count) == used);
    MR_ASSERT(memcmp(again, bytes, used) == 0);
}

static void commitment(const uint8_t *bytes, size_t length)
{
    struct mr_commitment read;
    uint8_t again[MR_COMMITMENT_BYTES];
    if (length != MR_COMMITMENT_BYTES) {
        return;
    }
    mr_commitment_decode(&read, bytes);
    mr_commitment_encode(again, &read);
    MR_ASSERT(memcmp(again, bytes, sizeof again) == 0);
}

static void identity(const uint8_t *bytes, size_t length)
{
    struct mr_identity read;
    char uri[128], again[MR_IDENTITY_URI_MAX];
    if (length >= sizeof uri) {
        return;
    }
    memcpy(uri, bytes, length);
    uri[length] = '\0';
    if (mr_identity_parse(&read, uri) != 0) {
        MR_ASSERT(read.role == MR_ROLE_NONE);
        return;
    }
    mr_identity_format(again, &read);
    MR_ASSERT(strcmp(again, uri) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const tries[])(const uint8_t *, size_t) = {included, commitment, identity};
    if (size > 0 && data[0] < sizeof tries / sizeof *tries) {
        tries[data[0]](data + 1, size - 1);
    }
    return 0;
}
