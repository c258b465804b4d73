/* Signatures over an announcement, the signed envelope, and whom to trust. */
#include "wire/announcement.h"

#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "wire/transcript.h"

static void signed_text(struct mr_transcript *transcript, const uint8_t hash[MR_HASH_BYTES],
                        const uint8_t *seal_key)
{
    mr_transcript_init(transcript, "millrace announcement");
    mr_transcript_add(transcript, hash, MR_HASH_BYTES);
    if (seal_key) {
        mr_transcript_add(transcript, seal_key, MR_SEAL_KEY_BYTES);
    }
}

int mr_announcement_sign(uint8_t signature[MR_SIGNATURE_BYTES], const uint8_t hash[MR_HASH_BYTES],
                         const uint8_t *seal_key, const struct mr_signing_pair *pair)
{
    struct mr_transcript transcript;
    signed_text(&transcript, hash, seal_key);
    return mr_transcript_sign_pair(signature, &transcript, pair);
}

int mr_announcement_verify(const uint8_t signature[MR_SIGNATURE_BYTES],
                           const uint8_t hash[MR_HASH_BYTES], const uint8_t *seal_key,
                           const uint8_t public_key[MR_PUBLIC_KEY_BYTES])
{
    struct mr_transcript transcript;
    signed_text(&transcript, hash, seal_key);
    return mr_transcript_verify(signature, &transcript, public_key);
}

int mr_proposal_decode(struct mr_round_terms *terms, const uint8_t **signature,
                       const uint8_t *bytes, size_t length, struct mr_error *error)
{
    if (length <= MR_SIGNATURE_BYTES) {
        return mr_error_set(error, "%zu bytes are no announcement with its lead's signature",
                            length);
    }
    *signature = bytes + length - MR_SIGNATURE_BYTES;
    return mr_round_terms_decode(terms, bytes, length - MR_SIGNATURE_BYTES, error);
}

/* Of hubs in list order. */
static size_t signatures_bytes(unsigned hub_count)
{
    return (size_t)hub_count * MR_SIGNATURE_BYTES + (hub_count - 1) * (size_t)MR_SEAL_KEY_BYTES;
}

/* Takes the keys that hold. */
static int check_signatures(struct mr_round_terms *terms, const uint8_t *at, struct mr_error *error)
{
    const struct mr_announcement *a = &terms->announcement;
    for (unsigned i = 0; i < a->hub_count; i++) {
        const uint8_t *seal_key = i == 0 ? NULL : at;
        const uint8_t *signature = i == 0 ? at : at + MR_SEAL_KEY_BYTES;
        if (mr_announcement_verify(signature, terms->hash, seal_key, a->hubs[i].public_key) != 0) {
            return mr_error_set(error, "the signature of hub %u (%s) does not hold",
                                a->hubs[i].index, a->hubs[i].name);
        }
        if (seal_key) {
            memcpy(terms->seal_keys[i], seal_key, MR_SEAL_KEY_BYTES);
        }
        at = signature + MR_SIGNATURE_BYTES;
    }
    return 0;
}

int mr_announcement_open(struct mr_round_terms *terms, const uint8_t *bytes, size_t length,
                         struct mr_error *error)
{
    memset(terms, 0, sizeof *terms);
    if (length < 2 || length > MR_ANNOUNCEMENT_SIGNED_MAX) {
        return mr_error_set(error, "signed announcement has %zu bytes: not its length", length);
    }
    size_t canonical = mr_be16_get(bytes);
    if (canonical > length - 2) {
        return mr_error_set(error, "signed announcement is cut short");
    }
    if (mr_round_terms_decode(terms, bytes + 2, canonical, error) != 0) {
        return -1;
    }
    const size_t left = length - 2 - canonical;
    const size_t needed = signatures_bytes(terms->announcement.hub_count);
    if (left != needed) {
        return mr_error_set(error,
                            "signed announcement carries %zu bytes of signatures and keys, not the "
                            "%zu of %u hubs",
                            left, needed, terms->announcement.hub_count);
    }
    return check_signatures(terms, bytes + 2 + canonical, error);
}

size_t mr_announcement_seal(uint8_t out[MR_ANNOUNCEMENT_SIGNED_MAX], const uint8_t *canonical,
                            size_t length, const struct mr_hub_signature *signatures,
                            unsigned hub_count)
{
    MR_ASSERT(length <= MR_ANNOUNCEMENT_MAX && hub_count <= MR_HUBS_MAX);
    mr_be16_put(out, (uint16_t)length);
    memcpy(out + 2, canonical, length);
    uint8_t *at = out + 2 + length;
    for (unsigned i = 0; i < hub_count; i++) {
        if (i > 0) {
            memcpy(at, signatures[i].seal_key, MR_SEAL_KEY_BYTES);
            at += MR_SEAL_KEY_BYTES;
        }
        memcpy(at, signatures[i].bytes, MR_SIGNATURE_BYTES);
        at += MR_SIGNATURE_BYTES;
    }
    return (size_t)(at - out);
}

int mr_announcement_trusts(const struct mr_announcement *announcement,
                           const struct mr_announced_hub *pinned, unsigned pinned_count,
                           struct mr_error *error)
{
    if (announcement->hub_count != pinned_count) {
        return mr_error_set(error, "%u hubs are listed, %u are pinned here",
                            announcement->hub_count, pinned_count);
    }
    for (unsigned i = 0; i < pinned_count; i++) {
        const struct mr_announced_hub *hub = &announcement->hubs[i];
        if (hub->index != pinned[i].index) {
            return mr_error_set(error, "hub %u stands where hub %u is pinned", hub->index,
                                pinned[i].index);
        }
        if (memcmp(hub->public_key, pinned[i].public_key, MR_PUBLIC_KEY_BYTES) != 0) {
            return mr_error_set(error, "the key of hub %u (%s) is not the one pinned here",
                                hub->index, hub->name);
        }
    }
    return 0;
}

int mr_announcement_hub(const struct mr_announcement *announcement, uint16_t index)
{
    for (unsigned i = 0; i < announcement->hub_count; i++) {
        if (announcement->hubs[i].index == index) {
            return (int)i;
        }
    }
    return -1;
}
