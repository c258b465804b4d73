/* RFC 9180, sections 4.1 (DHKEM), 5.1 (key schedule) and 6.1 (one message). */
#include "wire/hpke.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "base/assert.h"
#include "wire/aead.h"
#include "wire/transcript.h"

#define SECRET_BYTES 32 /* Nsecret, Nh and Ndh of this suite */

static const uint8_t kem_suite[] = {'K', 'E', 'M', 0x00, 0x20};
static const uint8_t hpke_suite[] = {'H', 'P', 'K', 'E', 0x00, 0x20, 0x00, 0x01, 0x00, 0x01};
/* HMAC fills a short key up with zeros, so an empty salt is as good as this one. */
static const uint8_t no_salt[SECRET_BYTES];

struct suite {
    const uint8_t *id;
    size_t bytes;
};
static const struct suite kem = {kem_suite, sizeof kem_suite};
static const struct suite hpke = {hpke_suite, sizeof hpke_suite};

struct bytes {
    const uint8_t *at;
    size_t length;
};

/* --- HKDF with labels (section 4) ------------------------------------------------------------- */

static void add_label(struct mr_transcript *text, const struct suite *suite, const char *label)
{
    mr_transcript_add(text, (const uint8_t *)"HPKE-v1", 7);
    mr_transcript_add(text, suite->id, suite->bytes);
    mr_transcript_add(text, (const uint8_t *)label, strlen(label));
}

/* LabeledExtract. The key material may be secret, so the text is wiped. */
static int extract(uint8_t out[SECRET_BYTES], const uint8_t salt[SECRET_BYTES],
                   const struct suite *suite, const char *label, struct bytes material)
{
    struct mr_transcript text = {.length = 0};
    add_label(&text, suite, label);
    if (material.length > 0) {
        mr_transcript_add(&text, material.at, material.length);
    }
    const int status = mr_transcript_hmac(out, salt, &text);
    OPENSSL_cleanse(&text, sizeof text);
    return status;
}

/* LabeledExpand to at most one block of SHA-256. */
static int expand(uint8_t *out, size_t bytes, const uint8_t key[SECRET_BYTES],
                  const struct suite *suite, const char *label, struct bytes info)
{
    struct mr_transcript text = {.length = 0};
    mr_transcript_add16(&text, (uint16_t)bytes);
    add_label(&text, suite, label);
    mr_transcript_add(&text, info.at, info.length);
    return mr_transcript_expand(out, bytes, key, &text);
}

/* --- X25519 ----------------------------------------------------------------------------------- */

int mr_hpke_pair_derive(struct mr_hpke_pair *pair, const uint8_t private_key[MR_HPKE_KEY_BYTES])
{
    size_t length = sizeof pair->public_key;
    EVP_PKEY *key =
        EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, private_key, MR_HPKE_KEY_BYTES);
    const int good = key && EVP_PKEY_get_raw_public_key(key, pair->public_key, &length) == 1;
    EVP_PKEY_free(key);
    memcpy(pair->private_key, private_key, sizeof pair->private_key);
    return good ? 0 : -1;
}

/* What OpenSSL looks up for a message, and what it finds by walking over all the names it knows:
 * kept from one message to the next. */
struct mr_hpke_kit {
    struct mr_aead *aead;
    EVP_PKEY_CTX *maker; /* of this side's key */
    EVP_PKEY *peer;      /* public halves only, one after the other */
    uint8_t psk_id_hash[SECRET_BYTES];
};

/* This side's key from its halves. Without deriving the public half again, which costs as much as
 * the exchange itself. */
static EVP_PKEY *key_of(EVP_PKEY_CTX *maker, const struct mr_hpke_pair *pair)
{
    OSSL_PARAM halves[] = {
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY,
                                          (void *)(uintptr_t)pair->public_key, MR_HPKE_KEY_BYTES),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PRIV_KEY,
                                          (void *)(uintptr_t)pair->private_key, MR_HPKE_KEY_BYTES),
        OSSL_PARAM_construct_end()};
    EVP_PKEY *key = NULL;
    return EVP_PKEY_fromdata(maker, &key, EVP_PKEY_KEYPAIR, halves) == 1 ? key : NULL;
}

/* DH(own, peer). OpenSSL's own look at the peer's key is left out: of X25519 every 32 bytes are
 * one, and what must be refused shows itself in the result. It refuses an all-zero one, as
 * section 7.1.4 asks for: CLOSED then. */
static enum mr_hpke_result exchange(struct mr_hpke_kit *kit, uint8_t shared[SECRET_BYTES],
                                    const struct mr_hpke_pair *pair,
                                    const uint8_t peer[MR_HPKE_KEY_BYTES])
{
    size_t length = SECRET_BYTES;
    enum mr_hpke_result result = MR_HPKE_FAILED;
    EVP_PKEY *own = key_of(kit->maker, pair);
    EVP_PKEY_CTX *context = own ? EVP_PKEY_CTX_new(own, NULL) : NULL;
    if (context && EVP_PKEY_set1_encoded_public_key(kit->peer, peer, MR_HPKE_KEY_BYTES) == 1 &&
        EVP_PKEY_derive_init(context) == 1 &&
        EVP_PKEY_derive_set_peer_ex(context, kit->peer, 0) == 1) {
        const int derived = EVP_PKEY_derive(context, shared, &length);
        result = derived == 1 && length == SECRET_BYTES ? MR_HPKE_OPEN : MR_HPKE_CLOSED;
    }
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(own);
    return result;
}

/* --- the key schedule ------------------------------------------------------------------------- */

/* Whose key `own` is. */
enum role {
    SENDER,
    RECIPIENT,
};

/* ExtractAndExpand of the DHKEM: from the exchange to its shared secret. */
static enum mr_hpke_result kem_secret(struct mr_hpke_kit *kit, uint8_t secret[SECRET_BYTES],
                                      const struct mr_hpke_pair *own,
                                      const uint8_t peer[MR_HPKE_KEY_BYTES], enum role role)
{
    uint8_t dh[SECRET_BYTES], prk[SECRET_BYTES], both[MR_HPKE_ENC_BYTES + MR_HPKE_KEY_BYTES];
    memcpy(both, role == SENDER ? own->public_key : peer, MR_HPKE_ENC_BYTES);
    memcpy(both + MR_HPKE_ENC_BYTES, role == SENDER ? peer : own->public_key, MR_HPKE_KEY_BYTES);
    enum mr_hpke_result result = exchange(kit, dh, own, peer);
    if (result == MR_HPKE_OPEN &&
        (extract(prk, no_salt, &kem, "eae_prk", (struct bytes){dh, sizeof dh}) != 0 ||
         expand(secret, SECRET_BYTES, prk, &kem, "shared_secret",
                (struct bytes){both, sizeof both}) != 0)) {
        result = MR_HPKE_FAILED;
    }
    OPENSSL_cleanse(dh, sizeof dh);
    OPENSSL_cleanse(prk, sizeof prk);
    return result;
}

/* KeySchedule of mode_base: the AEAD's key and base nonce; no PSK, and no exporter. */
static int key_schedule(struct mr_hpke_kit *kit, struct mr_aead_key *key,
                        const uint8_t shared[SECRET_BYTES], const struct mr_hpke_context *context)
{
    uint8_t secret[SECRET_BYTES], about[1 + 2 * SECRET_BYTES] = {0}; /* mode_base is 0 */
    const struct bytes nothing = {NULL, 0}, covered = {about, sizeof about};
    MR_ASSERT(context->info_bytes <= MR_HPKE_INFO_MAX);
    memcpy(about + 1, kit->psk_id_hash, SECRET_BYTES);
    int bad = extract(about + 1 + SECRET_BYTES, no_salt, &hpke, "info_hash",
                      (struct bytes){context->info, context->info_bytes});
    bad |= extract(secret, shared, &hpke, "secret", nothing);
    bad |= expand(key->key, sizeof key->key, secret, &hpke, "key", covered);
    bad |= expand(key->iv, sizeof key->iv, secret, &hpke, "base_nonce", covered);
    OPENSSL_cleanse(secret, sizeof secret);
    return bad != 0 ? -1 : 0;
}

/* Sets the key of one message; CLOSED: the peer's key is of low order. */
static enum mr_hpke_result message_key(struct mr_hpke_kit *kit, const struct mr_hpke_pair *own,
                                       const uint8_t *peer, enum role role,
                                       const struct mr_hpke_context *context)
{
    uint8_t shared[SECRET_BYTES] = {0};
    struct mr_aead_key key;
    enum mr_hpke_result result = kem_secret(kit, shared, own, peer, role);
    if (result == MR_HPKE_OPEN &&
        (key_schedule(kit, &key, shared, context) != 0 || mr_aead_rekey(kit->aead, &key) != 0)) {
        result = MR_HPKE_FAILED;
    }
    OPENSSL_cleanse(shared, sizeof shared);
    OPENSSL_cleanse(&key, sizeof key);
    return result;
}

/* --- the kit ---------------------------------------------------------------------------------- */

struct mr_hpke_kit *mr_hpke_kit_new(void)
{
    static const uint8_t any[MR_HPKE_KEY_BYTES] = {9};
    struct mr_hpke_kit *kit = calloc(1, sizeof *kit);
    if (!kit) {
        return NULL;
    }
    kit->aead = mr_aead_open();
    kit->maker = EVP_PKEY_CTX_new_from_name(NULL, "X25519", NULL);
    kit->peer = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, any, sizeof any);
    if (!kit->aead || !kit->peer || !kit->maker || EVP_PKEY_fromdata_init(kit->maker) != 1 ||
        extract(kit->psk_id_hash, no_salt, &hpke, "psk_id_hash", (struct bytes){NULL, 0}) != 0) {
        mr_hpke_kit_free(kit);
        return NULL;
    }
    return kit;
}

void mr_hpke_kit_free(struct mr_hpke_kit *kit)
{
    if (kit) {
        mr_aead_close(kit->aead);
        EVP_PKEY_CTX_free(kit->maker);
        EVP_PKEY_free(kit->peer);
        free(kit);
    }
}

/* Overwrites what the message's key left in it. */
static void kit_forget(struct mr_hpke_kit *kit)
{
    static const struct mr_aead_key none;
    (void)mr_aead_rekey(kit->aead, &none);
}

/* --- one message ------------------------------------------------------------------------------ */

int mr_hpke_seal(uint8_t enc[MR_HPKE_ENC_BYTES], uint8_t *sealed,
                 const uint8_t ephemeral[MR_HPKE_KEY_BYTES],
                 const uint8_t recipient[MR_HPKE_KEY_BYTES], const struct mr_hpke_context *context,
                 const uint8_t *plain, size_t bytes)
{
    struct mr_hpke_pair own;
    struct mr_hpke_kit *kit = mr_hpke_kit_new();
    const struct mr_aead_message message = {
        .aad = context->aad, .aad_bytes = context->aad_bytes, .text = plain, .bytes = bytes};
    MR_ASSERT(bytes <= MR_HPKE_PLAIN_MAX);
    const int good = kit && mr_hpke_pair_derive(&own, ephemeral) == 0 &&
                     message_key(kit, &own, recipient, SENDER, context) == MR_HPKE_OPEN &&
                     mr_aead_seal(kit->aead, &message, sealed, sealed + bytes) == 0;
    if (good) {
        memcpy(enc, own.public_key, MR_HPKE_ENC_BYTES);
    }
    mr_hpke_kit_free(kit);
    OPENSSL_cleanse(&own, sizeof own);
    return good ? 0 : -1;
}

enum mr_hpke_result mr_hpke_open(struct mr_hpke_kit *kit, uint8_t *plain,
                                 const struct mr_hpke_pair *pair,
                                 const uint8_t enc[MR_HPKE_ENC_BYTES],
                                 const struct mr_hpke_context *context, const uint8_t *sealed,
                                 size_t sealed_bytes)
{
    MR_ASSERT(sealed_bytes >= MR_HPKE_TAG_BYTES);
    const size_t bytes = sealed_bytes - MR_HPKE_TAG_BYTES;
    const struct mr_aead_message message = {
        .aad = context->aad, .aad_bytes = context->aad_bytes, .text = sealed, .bytes = bytes};
    enum mr_hpke_result result = message_key(kit, pair, enc, RECIPIENT, context);
    if (result == MR_HPKE_OPEN && mr_aead_unseal(kit->aead, &message, sealed + bytes, plain) != 0) {
        result = MR_HPKE_CLOSED;
    }
    kit_forget(kit);
    if (result != MR_HPKE_OPEN) {
        OPENSSL_cleanse(plain, bytes);
    }
    return result;
}
