/* Opening by intel-ipsec-mb (x86-64). The direct call of one packet at a time, with the next
 * packet's key fetched meanwhile, was measured faster than the library's burst and job calls:
 * AES-GCM of one packet fills the vector units by itself. */
#include <immintrin.h>
#include <intel-ipsec-mb.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/runtime/pages.h"
#include "base/secret.h"
#include "appliance/upload/open_internal.h"
#include "appliance/upload/stream_store.h"
#include "base/assert.h"
#include "kernels/kernels.h"
#include "wire/datagram.h"
#include "wire/layout.h"

#define AHEAD 2   /* packets; more was not measured to be better */
#define GAP   256 /* bytes between packets that are one stream still */
/* A nonce has 12 bytes; it is made and read as one vector. */
#define NONCE_BYTES 16
#define NEEDED      (IMB_FEATURE_AESNI | IMB_FEATURE_PCLMULQDQ | IMB_FEATURE_SSE4_2)

/* One session's key, expanded. */
struct place {
    _Alignas(64) struct gcm_key_data gcm; /* round keys and powers of the hash key */
    _Alignas(16) uint8_t iv[NONCE_BYTES]; /* 12, and zeros */
    bool keyed;
};

struct bulk_opener {
    struct mr_opener base;
    IMB_MGR *library;
    void (*stream)(uint8_t *to, const uint8_t *from, uint32_t bytes);
    struct place *places; /* base.keys */
    struct mr_pages pages;
    _Alignas(64) uint8_t scratch[MR_CHUNK_BYTES_MAX];
};

static struct bulk_opener *self_of(struct mr_opener *opener)
{
    return (struct bulk_opener *)opener;
}

static int bulk_key(struct mr_opener *opener, uint32_t at, const struct mr_aead_key *key)
{
    struct place *place = &self_of(opener)->places[at];

    IMB_AES128_GCM_PRE(self_of(opener)->library, key->key, &place->gcm);
    memset(place->iv, 0, sizeof place->iv);
    memcpy(place->iv, key->iv, sizeof key->iv);
    place->keyed = true;
    return 0;
}

static void bulk_forget(struct mr_opener *opener, uint32_t at)
{
    struct place *place = &self_of(opener)->places[at];

    if (place->keyed) {
        OPENSSL_cleanse(place, sizeof *place);
    }
}

/* Whether a job's packet lies right behind the one before: what fetches streams by itself has it.
 */
static bool follows(const struct mr_open_job *job, const struct mr_open_job *before)
{
    const uintptr_t end = (uintptr_t)before->datagram + MR_DATAGRAM_OVERHEAD + before->bytes;

    return (uintptr_t)job->datagram - end < GAP;
}

/* What opening that job will read and write, into the second-level cache. (Most packets come from
 * another session than the last, so that a key is as cold as its packet.) The nearest cache has too
 * few lines under way at a time, and is what the packets before are being opened in. */
static void prefetch(const struct bulk_opener *self, const struct mr_open_job *jobs, unsigned index)
{
    const struct mr_open_job *job = &jobs[index];
    const uint8_t *place = (const uint8_t *)&self->places[job->key];
    const uint32_t total = MR_DATAGRAM_OVERHEAD + job->bytes;

    if (index == 0 || job->key != job[-1].key) { /* else of a train, whose key is on its way */
        for (uint32_t at = 0; at < sizeof(struct place); at += 64) {
            __builtin_prefetch(place + at, 0, 2);
        }
    }
    for (uint32_t at = 0; !job->past_cache && at < job->bytes; at += 64) {
        __builtin_prefetch(job->plain + at, 0, 2);
    }
    if (index > 0 && follows(job, job - 1)) {
        return;
    }
    for (uint32_t at = 0; at < total; at += 64) {
        __builtin_prefetch(job->datagram + at, 0, 2);
    }
}

/* By one store: whoever reads a part of it next need not wait until all of it is in the cache, as
 * behind stores that overlap (11 ns a packet). */
static inline void nonce_make(uint8_t nonce[NONCE_BYTES], const struct place *place,
                              uint64_t sequence)
{
    const __m128i low = _mm_cvtsi64_si128((long long)__builtin_bswap64(sequence));
    const __m128i iv = _mm_load_si128((const __m128i *)(const void *)place->iv);

    _mm_store_si128((__m128i *)(void *)nonce, _mm_xor_si128(iv, _mm_slli_si128(low, 4)));
}

/* In constant time; a call of OpenSSL's goes byte by byte. */
static inline bool tag_holds(const uint8_t tag[MR_TAG_BYTES], const uint8_t *said)
{
    const __m128i a = _mm_loadu_si128((const __m128i *)(const void *)tag);
    const __m128i b = _mm_loadu_si128((const __m128i *)(const void *)said);

    _Static_assert(MR_TAG_BYTES == 16, "one vector");
    return _mm_movemask_epi8(_mm_cmpeq_epi8(a, b)) == 0xffff;
}

static void open_one(struct bulk_opener *self, struct gcm_context_data *state,
                     struct mr_open_job *job)
{
    const struct place *place = &self->places[job->key];
    const uint8_t *cipher = job->datagram + MR_DATAGRAM_HEADER_BYTES;
    _Alignas(16) uint8_t nonce[NONCE_BYTES], tag[MR_TAG_BYTES];

    MR_ASSERT(job->key < self->base.keys && place->keyed && job->bytes <= sizeof self->scratch);
    nonce_make(nonce, place, job->sequence);
    IMB_AES128_GCM_DEC(self->library, &place->gcm, state,
                       job->past_cache ? self->scratch : job->plain, cipher, job->bytes, nonce,
                       job->datagram, MR_DATAGRAM_HEADER_BYTES, tag, sizeof tag);
    job->held = tag_holds(tag, cipher + job->bytes);
    if (job->past_cache && job->held) {
        self->stream(job->plain, self->scratch, job->bytes);
    }
}

static void bulk_burst(struct mr_opener *opener, struct mr_open_job *jobs, unsigned count)
{
    struct bulk_opener *self = self_of(opener);
    struct gcm_context_data state;

    for (unsigned i = 0; i < AHEAD && i < count; i++) {
        prefetch(self, jobs, i);
    }
    for (unsigned i = 0; i < count; i++) {
        if (i + AHEAD < count) {
            prefetch(self, jobs, i + AHEAD);
        }
        open_one(self, &state, &jobs[i]);
    }
    _mm_sfence(); /* streamed bytes are in order again before anybody is told of them */
    OPENSSL_cleanse(&state, sizeof state);
}

/* Round keys and the first powers of the hash key, which is what a short text takes. */
static void prefetch_short(const struct bulk_opener *self, const struct mr_seal_job *job)
{
    const uint8_t *place = (const uint8_t *)&self->places[job->key];

    for (uint32_t at = 0; at < sizeof(struct place); at += 64) {
        __builtin_prefetch(place + at);
    }
}

static void bulk_seal(struct mr_opener *opener, struct mr_seal_job *jobs, unsigned count)
{
    struct bulk_opener *self = self_of(opener);
    struct gcm_context_data state;

    for (unsigned i = 0; i < AHEAD && i < count; i++) {
        prefetch_short(self, &jobs[i]);
    }
    for (unsigned i = 0; i < count; i++) {
        struct mr_seal_job *job = &jobs[i];
        const struct place *place = &self->places[job->key];
        uint8_t *text = job->datagram + MR_DATAGRAM_HEADER_BYTES;
        _Alignas(16) uint8_t nonce[NONCE_BYTES];
        if (i + AHEAD < count) {
            prefetch_short(self, &jobs[i + AHEAD]);
        }
        MR_ASSERT(job->key < opener->keys && place->keyed);
        nonce_make(nonce, place, job->sequence);
        IMB_AES128_GCM_ENC(self->library, &place->gcm, &state, text, text, job->bytes, nonce,
                           job->datagram, MR_DATAGRAM_HEADER_BYTES, text + job->bytes,
                           MR_TAG_BYTES);
        job->sealed = true;
    }
    OPENSSL_cleanse(&state, sizeof state);
}

static void bulk_close(struct mr_opener *opener)
{
    struct bulk_opener *self = self_of(opener);

    if (self->places) {
        OPENSSL_cleanse(self->places, opener->keys * sizeof *self->places);
    }
    mr_pages_unmap(&self->pages);
    if (self->library) {
        free_mb_mgr(self->library);
    }
    free(self);
}

static const struct mr_opener_ops bulk_ops = {
    .name = "ipsec_mb",
    .key = bulk_key,
    .forget = bulk_forget,
    .burst = bulk_burst,
    .seal = bulk_seal,
    .close = bulk_close,
};

/* What it uses. */
static const char *level_name(IMB_ARCH level, uint64_t features)
{
    switch (level) {
    case IMB_ARCH_AVX512:
        return features & IMB_FEATURE_VAES ? "AVX-512 with VAES" : "AVX-512";
    case IMB_ARCH_AVX2:
        return "AVX2";
    case IMB_ARCH_AVX:
        return "AVX";
    default:
        return "SSE";
    }
}

/* The best level of the library's that the CPU has and `cpu_levels` allow. */
static IMB_ARCH choose_level(IMB_MGR *library, uint32_t cpu_levels)
{
    IMB_ARCH level = IMB_ARCH_NONE;

    init_mb_mgr_auto(library, &level);
    if (level == IMB_ARCH_AVX512 && !(cpu_levels & MR_CPU_AVX512)) {
        init_mb_mgr_avx2(library);
        level = IMB_ARCH_AVX2;
    }
    if ((level == IMB_ARCH_AVX2 || level == IMB_ARCH_AVX) && !(cpu_levels & MR_CPU_AVX2)) {
        init_mb_mgr_sse(library);
        level = IMB_ARCH_SSE;
    }
    return level;
}

static int open_library(struct bulk_opener *self, uint32_t cpu_levels, struct mr_error *error)
{
    self->library = alloc_mb_mgr(0);
    if (!self->library) {
        return mr_error_set(error, "out of memory for ipsec_mb");
    }
    if ((self->library->features & NEEDED) != NEEDED) {
        return mr_error_set(error, "this CPU lacks AES-NI");
    }
    const IMB_ARCH level = choose_level(self->library, cpu_levels);
    if (level == IMB_ARCH_NONE || level == IMB_ARCH_NOAESNI) {
        return mr_error_set(error, "ipsec_mb has nothing for this CPU");
    }
    self->stream = level == IMB_ARCH_AVX512 ? mr_stream_avx512 : mr_stream_sse;
    snprintf(self->base.why, sizeof self->base.why, "version %s, %s", imb_get_version_str(),
             level_name(level, self->library->features));
    return 0;
}

struct mr_opener *mr_opener_ipsec_mb(uint32_t keys, uint32_t cpu_levels, struct mr_error *error)
{
    struct bulk_opener *self = aligned_alloc(64, sizeof *self);

    if (!self) {
        mr_error_set(error, "out of memory for ipsec_mb");
        return NULL;
    }
    memset(self, 0, sizeof *self);
    self->base.ops = &bulk_ops;
    self->base.keys = keys;
    if (open_library(self, cpu_levels, error) != 0 ||
        mr_pages_map(&self->pages, keys * sizeof *self->places, "upload keys", error) != 0) {
        bulk_close(&self->base);
        return NULL;
    }
    self->places = self->pages.base;
    mr_secret_guard(self->pages.base, self->pages.bytes);
    return &self->base;
}
