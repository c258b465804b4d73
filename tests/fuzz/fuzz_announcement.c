/* fuzz_announcement.c - announcements: canonical bytes and the signed envelope.
 *
 * First byte: 0 canonical bytes, 1 an envelope as it comes, 2 canonical bytes that get the hubs'
 * keys of the target and true signatures (one of them spoiled by the second byte, where it names a
 * hub). */
#include "tests/fuzz/fuzz.h"
#include "wire/announcement.h"
#include "base/bytes.h"
#include "tests/unit/wire/pair.h"

#include <openssl/evp.h>

/* Accepted bytes are the encoding of what was read. */
static int decode(struct mr_round_terms *terms, const uint8_t *bytes, size_t length)
{
    struct mr_error error = {.text = ""};
    uint8_t again[MR_ANNOUNCEMENT_MAX];
    if (mr_round_terms_decode(terms, bytes, length, &error) != 0) {
        MR_ASSERT(error.text[0] != '\0');
        return -1;
    }
    const struct mr_announcement *a = &terms->announcement;
    MR_ASSERT(mr_announcement_encode(again, a) == length && memcmp(again, bytes, length) == 0);
    MR_ASSERT(mr_announcement_trusts(a, a->hubs, a->hub_count, &error) == 0);
    MR_ASSERT(mr_announcement_trusts(a, a->hubs, a->hub_count - 1u, &error) != 0);
    MR_ASSERT(terms->layout.share_bytes ==
              (uint64_t)(terms->layout.chunks - 1) * terms->layout.chunk_bytes +
                  mr_layout_chunk_length(&terms->layout, terms->layout.chunks - 1));
    return 0;
}

static void open_as_it_comes(const uint8_t *bytes, size_t length)
{
    struct mr_round_terms terms;
    struct mr_error error = {.text = ""};
    if (mr_announcement_open(&terms, bytes, length, &error) != 0) {
        MR_ASSERT(error.text[0] != '\0');
    }
}

static void private_key(uint8_t key[32], unsigned hub)
{
    memset(key, (int)hub + 1, 32);
}

static void set_key(struct mr_announced_hub *hub, unsigned number)
{
    uint8_t seed[32];
    size_t length = MR_PUBLIC_KEY_BYTES;
    private_key(seed, number);
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, sizeof seed);
    MR_ASSERT(key && EVP_PKEY_get_raw_public_key(key, hub->public_key, &length) == 1);
    EVP_PKEY_free(key);
}

static void open_signed(const uint8_t *bytes, size_t length, unsigned spoiled)
{
    struct mr_round_terms terms, opened;
    struct mr_error error = {.text = ""};
    uint8_t canonical[MR_ANNOUNCEMENT_MAX], sealed[MR_ANNOUNCEMENT_SIGNED_MAX];
    struct mr_hub_signature signatures[MR_HUBS_MAX];
    uint8_t key[32];
    if (decode(&terms, bytes, length) != 0) {
        return;
    }
    struct mr_announcement *a = &terms.announcement;
    for (unsigned i = 0; i < a->hub_count; i++) {
        set_key(&a->hubs[i], i);
    }
    length = mr_announcement_encode(canonical, a);
    MR_ASSERT(decode(&terms, canonical, length) == 0);
    for (unsigned i = 0; i < a->hub_count; i++) {
        private_key(key, i);
        memset(signatures[i].seal_key, (int)i, MR_SEAL_KEY_BYTES);
        MR_ASSERT(mr_announcement_sign(signatures[i].bytes, terms.hash,
                                       i ? signatures[i].seal_key : NULL, PAIR_OF(key)) == 0);
        if (i == spoiled) {
            signatures[i].bytes[i] ^= 1;
        }
    }
    length = mr_announcement_seal(sealed, canonical, length, signatures, a->hub_count);
    const int opens = mr_announcement_open(&opened, sealed, length, &error) == 0;
    MR_ASSERT(opens == (spoiled >= a->hub_count));
    MR_ASSERT(!opens || memcmp(opened.hash, terms.hash, MR_HASH_BYTES) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mr_round_terms terms;
    if (size < 2) {
        return 0;
    }
    switch (data[0]) {
    case 0:
        (void)decode(&terms, data + 1, size - 1);
        break;
    case 1:
        open_as_it_comes(data + 1, size - 1);
        break;
    case 2:
        open_signed(data + 2, size - 2, data[1]);
        break;
    default:
        break;
    }
    return 0;
}
