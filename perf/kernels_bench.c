/* kernels_bench.c - how near the kernels come to the machine: beside a memory copy, the best plain
 * read and a bare AES-CTR of the same bytes.
 *
 * The subjects of a group take turns; a ratio divides two turns of the same round, so that what
 * slows the whole machine for a while slows both. Every kernel's result is compared with the scalar
 * level's before anything is measured.
 *
 * usage: kernels_bench [--quick] [--json FILE] [--cpu-mask MASK] */
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <openssl/evp.h>
#ifdef MR_HAVE_IPSEC_MB
#include <intel-ipsec-mb.h>
#endif

#include "kernels/kernels.h"
#include "perf/figures.h"

#define CACHE_BYTES (256u << 10) /* two of them fill half of a 1 MiB L2 */
#define DRAM_BYTES  (48u << 20)  /* nine of them lie beyond any cache */
#define SAMPLE_S    0.03
#define SMALL_BYTES 8192u
#define ROOM_BYTES  (512u << 20) /* for all buffers */
#define HUGE_BYTES  (2u << 20)

struct bench {
    const struct mr_kernels *k;
    struct mr_figures *figures;
    unsigned rounds;
    struct mr_mask_stream mask;
    uint8_t *memory; /* all buffers, in huge pages */
    uint8_t *acc, *src[MR_FOLD_MAX];
    uint8_t
        *small;   /* SMALL_BYTES that stay in L1: readers' sums, OpenSSL's stream before its add */
    size_t bytes; /* of each buffer */
    EVP_CIPHER_CTX *openssl;
#ifdef MR_HAVE_IPSEC_MB
    IMB_MGR *imb;
    _Alignas(64) uint8_t enc[16 * 15];
    _Alignas(64) uint8_t dec[16 * 15];
#endif
};

struct subject {
    struct mr_figure rate;
    void (*run)(struct bench *b);
    size_t streams; /* how many buffers' bytes the figure counts */
    double each;    /* what it counts of a buffer, to its bytes; 0: the bytes */
    double gbps;    /* of this round */
};

static void run_copy(struct bench *b)
{
    memcpy(b->acc, b->src[0], b->bytes);
}

static void run_add_w16(struct bench *b)
{
    b->k->add_w16((uint16_t *)b->acc, (uint16_t *)b->src[0], b->bytes / 2);
}

static void run_add_w32(struct bench *b)
{
    b->k->add_w32((uint32_t *)b->acc, (uint32_t *)b->src[0], b->bytes / 4);
}

static void run_add_w24(struct bench *b)
{
    b->k->add_w24((uint32_t *)b->acc, b->src[0], b->bytes / 4);
}

static void run_fold_w16(struct bench *b)
{
    b->k->fold_w16((uint16_t *)b->acc, (const uint16_t *const *)b->src, MR_FOLD_MAX, b->bytes / 2);
}

static void run_fold_w32(struct bench *b)
{
    b->k->fold_w32((uint32_t *)b->acc, (const uint32_t *const *)b->src, MR_FOLD_MAX, b->bytes / 4);
}

/* The readers add what they read, at the kernels' own vector width, into a sum that stays in L1: a
 * narrower load would not reach what the core can read. One stream after the other … */
static void run_read_1(struct bench *b)
{
    static const size_t piece = SMALL_BYTES;

    for (unsigned s = 0; s <= MR_FOLD_MAX; s++) {
        const uint8_t *from = s < MR_FOLD_MAX ? b->src[s] : b->acc;
        for (size_t at = 0; at < b->bytes; at += piece) {
            b->k->add_w16((uint16_t *)b->small, (const uint16_t *)(from + at), piece / 2);
        }
    }
}

/* … or several at once, a piece of each at a time. */
static void read_streams(struct bench *b, unsigned streams, size_t piece, size_t ahead)
{
    for (unsigned first = 0; first <= MR_FOLD_MAX; first += streams) {
        for (size_t at = 0; at < b->bytes; at += piece) {
            for (unsigned s = first; s < first + streams; s++) {
                const uint8_t *from = (s < MR_FOLD_MAX ? b->src[s] : b->acc) + at;
                if (ahead > 0 && at + ahead < b->bytes) {
                    for (size_t line = 0; line < piece; line += 64) {
                        __builtin_prefetch(from + ahead + line);
                    }
                }
                b->k->add_w16((uint16_t *)b->small, (const uint16_t *)from, piece / 2);
            }
        }
    }
}

static void run_read_3(struct bench *b)
{
    read_streams(b, 3, 512, 0);
}

static void run_read_9(struct bench *b)
{
    read_streams(b, 9, 512, 0);
}

static void run_read_1_ahead(struct bench *b)
{
    read_streams(b, 1, 512, 2048);
}

static void run_read_9_ahead(struct bench *b)
{
    read_streams(b, 9, 512, 1024);
}

/* All nine in one pass of the fold kernel, with nothing written to memory: the sum is one piece. */
static void run_read_fold(struct bench *b)
{
    const uint16_t *from[MR_FOLD_MAX];
    static const size_t piece = 4096;

    for (size_t at = 0; at < b->bytes; at += piece) {
        for (unsigned s = 0; s < MR_FOLD_MAX; s++) {
            from[s] = (const uint16_t *)(b->src[s] + at);
        }
        b->k->fold_w16((uint16_t *)b->small, from, MR_FOLD_MAX, piece / 2);
        b->k->add_w16((uint16_t *)b->small, (const uint16_t *)(b->acc + at), piece / 2);
    }
}

static void run_mask_add_w16(struct bench *b)
{
    b->k->mask_add_w16((uint16_t *)b->acc, &b->mask, 0, b->bytes / 2);
}

static void run_mask_add_w24(struct bench *b)
{
    b->k->mask_add_w24((uint32_t *)b->acc, &b->mask, 0, b->bytes / 4);
}

/* As many values as a buffer has of 16 bits, and so fewer bytes of each source. */
static void run_fold_w8(struct bench *b)
{
    b->k->fold_w8(b->acc, (const uint8_t *const *)b->src, MR_FOLD_MAX, b->bytes / 2);
}

static void run_fold_w12(struct bench *b)
{
    b->k->fold_narrow((uint16_t *)b->acc, (const uint8_t *const *)b->src, MR_FOLD_MAX, b->bytes / 2,
                      12);
}

static void run_mask_add_w8(struct bench *b)
{
    b->k->mask_add_w8(b->acc, &b->mask, 0, b->bytes / 2);
}

static void run_mask_add_w12(struct bench *b)
{
    b->k->mask_add_narrow((uint16_t *)b->acc, &b->mask, 0, b->bytes / 2, 12);
}

static void run_mask_expand(struct bench *b)
{
    b->k->mask_expand(b->acc, &b->mask, 0, b->bytes);
}

static void run_sum_squares(struct bench *b)
{
    volatile double sum = b->k->sum_squares((const float *)b->acc, b->bytes / 4);
    (void)sum;
}

static void run_hadamard_4k(struct bench *b)
{
    b->k->hadamard((float *)b->acc, b->bytes / 4, 4096);
}

static void run_hadamard_64k(struct bench *b)
{
    b->k->hadamard((float *)b->acc, b->bytes / 4, 65536);
}

static void run_round_i8(struct bench *b)
{
    b->k->round_i8((int8_t *)b->acc, (const float *)b->src[0], 1.0f, 127,
                   (const uint16_t *)b->src[1], b->bytes / 4);
}

static void run_centre_w16(struct bench *b)
{
    b->k->centre_w16((float *)b->acc, (const uint16_t *)b->src[0], 0.5f, b->bytes / 4);
}

static void fail(const char *text)
{
    fprintf(stderr, "kernels_bench: %s\n", text);
    exit(1);
}

/* Encrypts zeros, which is the stream itself, in pieces that stay in L1 until they are added. */
static void run_openssl_add(struct bench *b)
{
    static const uint8_t zeros[SMALL_BYTES];
    int length;

    if (EVP_EncryptInit_ex(b->openssl, NULL, NULL, NULL, b->mask.counter) != 1) {
        fail("OpenSSL refused the counter");
    }
    for (size_t at = 0; at < b->bytes; at += sizeof zeros) {
        if (EVP_EncryptUpdate(b->openssl, b->small, &length, zeros, sizeof zeros) != 1) {
            fail("OpenSSL refused to encrypt");
        }
        b->k->add_w16((uint16_t *)(b->acc + at), (const uint16_t *)b->small, sizeof zeros / 2);
    }
}

#ifdef MR_HAVE_IPSEC_MB
static void run_ipsec_mb(struct bench *b)
{
    IMB_JOB *job = IMB_GET_NEXT_JOB(b->imb);
    job->cipher_mode = IMB_CIPHER_CNTR;
    job->cipher_direction = IMB_DIR_ENCRYPT;
    job->chain_order = IMB_ORDER_CIPHER_HASH;
    job->hash_alg = IMB_AUTH_NULL;
    job->enc_keys = b->enc;
    job->dec_keys = b->dec;
    job->key_len_in_bytes = 16;
    job->iv = b->mask.counter;
    job->iv_len_in_bytes = 16;
    job->src = b->acc;
    job->dst = b->acc;
    job->cipher_start_src_offset_in_bytes = 0;
    job->msg_len_to_cipher_in_bytes = b->bytes;
    job = IMB_SUBMIT_JOB(b->imb);
    if (!job || job->status != IMB_STATUS_COMPLETED) {
        fail("ipsec-mb refused the job");
    }
}
#endif

/* What this thread ran: on a busy machine the clock on the wall counts others' work too. */
static double now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double sample_gbps(struct bench *b, const struct subject *s)
{
    /* That clock is a system call: it is read once a millisecond or so. */
    const size_t batch = b->bytes == CACHE_BYTES ? 256 : 1;
    const double start = now_s();
    double end;
    size_t calls = 0;

    do {
        for (size_t i = 0; i < batch; i++) {
            s->run(b);
        }
        calls += batch;
        end = now_s();
    } while (end - start < SAMPLE_S);
    const double each = s->each > 0 ? s->each : 1;
    return 1e-9 * (double)(calls * s->streams * b->bytes) * each / (end - start);
}

static void take_turns(struct bench *b, struct subject *subjects, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        subjects[i].gbps = sample_gbps(b, &subjects[i]);
        mr_figures_sample(b->figures, &subjects[i].rate, subjects[i].gbps);
    }
}

#define RATE(NAME)                                                                                 \
    {                                                                                              \
        .name = "kernels." NAME, .unit = "GB/s", .better = MR_BETTER_HIGHER                        \
    }
#define VALUES(NAME)                                                                               \
    {                                                                                              \
        .name = "kernels." NAME, .unit = "Gvalue/s", .better = MR_BETTER_HIGHER                    \
    }
#define RATIO(NAME, TARGET, OF)                                                                    \
    {                                                                                              \
        .name = "kernels." NAME, .unit = "ratio", .better = MR_BETTER_HIGHER, .target = (TARGET),  \
        .of = (OF)                                                                                 \
    }

static void bench_adds(struct bench *b)
{
    static const struct mr_figure ratio =
        RATIO("add_w16.of_copy", 0.85, "memcpy of as many bytes, in L2");
    struct subject subjects[] = {
        {.rate = RATE("copy"), .run = run_copy, .streams = 1},
        {.rate = RATE("add_w16"), .run = run_add_w16, .streams = 1},
        {.rate = RATE("add_w32"), .run = run_add_w32, .streams = 1},
        {.rate = RATE("add_w24"), .run = run_add_w24, .streams = 1},
    };

    for (unsigned r = 0; r < b->rounds; r++) {
        take_turns(b, subjects, sizeof subjects / sizeof *subjects);
        mr_figures_sample(b->figures, &ratio, subjects[1].gbps / subjects[0].gbps);
    }
}

static void bench_masks(struct bench *b)
{
#ifdef MR_HAVE_IPSEC_MB
    static const struct mr_figure of_ipsec_mb =
        RATIO("mask_add_w16.of_ipsec_mb", 0.9, "ipsec-mb's bare AES-CTR");
#endif
    static const struct mr_figure of_openssl =
        RATIO("mask_add_w16.of_openssl", 2.0, "OpenSSL's AES-CTR, then the ring add");
    struct subject subjects[] = {
        {.rate = RATE("mask_add_w16"), .run = run_mask_add_w16, .streams = 1},
        {.rate = RATE("openssl_ctr_then_add"), .run = run_openssl_add, .streams = 1},
#ifdef MR_HAVE_IPSEC_MB
        {.rate = RATE("ipsec_mb_ctr"), .run = run_ipsec_mb, .streams = 1},
#endif
        {.rate = RATE("mask_expand"), .run = run_mask_expand, .streams = 1},
        {.rate = RATE("mask_add_w24"), .run = run_mask_add_w24, .streams = 1},
    };

    for (unsigned r = 0; r < b->rounds; r++) {
        take_turns(b, subjects, sizeof subjects / sizeof *subjects);
        mr_figures_sample(b->figures, &of_openssl, subjects[0].gbps / subjects[1].gbps);
#ifdef MR_HAVE_IPSEC_MB
        mr_figures_sample(b->figures, &of_ipsec_mb, subjects[0].gbps / subjects[2].gbps);
#endif
    }
}

/* w = 16 first, then w = 12 and w = 8 beside it. */
static void narrow_turns(struct bench *b, struct subject subjects[3],
                         const struct mr_figure ratios[2])
{
    for (unsigned r = 0; r < b->rounds; r++) {
        take_turns(b, subjects, 3);
        for (size_t i = 0; i < 2; i++) {
            mr_figures_sample(b->figures, &ratios[i], subjects[i + 1].gbps / subjects[0].gbps);
        }
    }
}

/* Masks in bytes of their own stream. */
static void bench_narrow_masks(struct bench *b)
{
    static const struct mr_figure ratios[] = {
        RATIO("mask_add_w12.of_w16", 0.8, "mask_add_w16, in bytes of the stream"),
        RATIO("mask_add_w8.of_w16", 0.8, "mask_add_w16, in bytes of the stream"),
    };
    struct subject subjects[] = {
        {.rate = RATE("mask_add_w16.beside"), .run = run_mask_add_w16, .streams = 1},
        {.rate = RATE("mask_add_w12"), .run = run_mask_add_w12, .streams = 1, .each = 0.75},
        {.rate = RATE("mask_add_w8"), .run = run_mask_add_w8, .streams = 1, .each = 0.5},
    };
    narrow_turns(b, subjects, ratios);
}

#define FOLDED(NAME, RUN)                                                                          \
    {                                                                                              \
        .rate = VALUES(NAME), .run = (RUN), .streams = MR_FOLD_MAX, .each = 0.5                    \
    }

/* The same values folded. */
static void bench_narrow_dram(struct bench *b)
{
    static const struct mr_figure ratios[] = {
        RATIO("fold_w12.of_w16", 0.8, "fold_w16, in values, in DRAM"),
        RATIO("fold_w8.of_w16", 0.8, "fold_w16, in values, in DRAM"),
    };
    struct subject subjects[] = {FOLDED("fold_w16.beside", run_fold_w16),
                                 FOLDED("fold_w12", run_fold_w12), FOLDED("fold_w8", run_fold_w8)};
    narrow_turns(b, subjects, ratios);
}

static void bench_floats(struct bench *b)
{
    struct subject subjects[] = {
        {.rate = RATE("sum_squares"), .run = run_sum_squares, .streams = 1},
        {.rate = RATE("hadamard_4096"), .run = run_hadamard_4k, .streams = 1},
        {.rate = RATE("hadamard_65536"), .run = run_hadamard_64k, .streams = 1},
        {.rate = RATE("round_i8"), .run = run_round_i8, .streams = 1},
        {.rate = RATE("centre_w16"), .run = run_centre_w16, .streams = 1},
    };

    for (unsigned r = 0; r < b->rounds; r++) {
        take_turns(b, subjects, sizeof subjects / sizeof *subjects);
    }
}

/* The best reader is the best of every round, not of all: a reader cannot be lucky for the fold. */
static void bench_folds(struct bench *b)
{
    static const struct mr_figure ratios[] = {
        RATIO("fold_w16.of_read", 0.8, "the best plain read of the same nine buffers, in DRAM"),
        RATIO("fold_w32.of_read", 0.8, "the best plain read of the same nine buffers, in DRAM"),
    };
    static const struct mr_figure best = RATE("read_best");
    struct subject subjects[] = {
        {.rate = RATE("fold_w16"), .run = run_fold_w16, .streams = MR_FOLD_MAX + 1},
        {.rate = RATE("fold_w32"), .run = run_fold_w32, .streams = MR_FOLD_MAX + 1},
        {.rate = RATE("read_1"), .run = run_read_1, .streams = MR_FOLD_MAX + 1},
        {.rate = RATE("read_3"), .run = run_read_3, .streams = MR_FOLD_MAX + 1},
        {.rate = RATE("read_9"), .run = run_read_9, .streams = MR_FOLD_MAX + 1},
        {.rate = RATE("read_1_prefetched"), .run = run_read_1_ahead, .streams = MR_FOLD_MAX + 1},
        {.rate = RATE("read_9_prefetched"), .run = run_read_9_ahead, .streams = MR_FOLD_MAX + 1},
        {.rate = RATE("read_9_at_once"), .run = run_read_fold, .streams = MR_FOLD_MAX + 1},
    };
    const size_t count = sizeof subjects / sizeof *subjects;

    for (unsigned r = 0; r < b->rounds; r++) {
        double most = 0;
        take_turns(b, subjects, count);
        for (size_t i = 2; i < count; i++) {
            most = subjects[i].gbps > most ? subjects[i].gbps : most;
        }
        mr_figures_sample(b->figures, &best, most);
        for (size_t i = 0; i < 2; i++) {
            mr_figures_sample(b->figures, &ratios[i], subjects[i].gbps / most);
        }
    }
}

/* --- set-up ---------------------------------------------------------------------------------- */

/* Huge pages, all touched: neither page faults nor the TLB are what is measured, and buffers that
 * fit a cache by their size fit it by their addresses as well. */
static void memory_open(struct bench *b)
{
    uint8_t *base = mmap(NULL, ROOM_BYTES + HUGE_BYTES, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (base == MAP_FAILED) {
        fail("cannot map 512 MiB of buffers");
    }
    b->memory = base + (HUGE_BYTES - (uintptr_t)base % HUGE_BYTES) % HUGE_BYTES;
    (void)madvise(b->memory, ROOM_BYTES, MADV_HUGEPAGE);
    memset(b->memory, 1, ROOM_BYTES);
}

/* Lays nine buffers of that size one after the other. Those beyond the caches are a page apart
 * besides: equal addresses modulo a large power of two would fight for the same sets. */
static void buffers_lay(struct bench *b, size_t bytes)
{
    const size_t apart = bytes == DRAM_BYTES ? 4096 + 256 : 0;
    uint8_t *at = b->memory;

    b->bytes = bytes;
    b->acc = at;
    for (unsigned i = 0; i < MR_FOLD_MAX; i++) {
        b->src[i] = at += bytes + apart;
    }
    b->small = at + bytes + 4096;
    if ((size_t)(b->small + SMALL_BYTES - b->memory) > ROOM_BYTES) {
        fail("the buffers outgrew their room");
    }
}

static void fill(uint8_t *at, size_t bytes, uint64_t state)
{
    for (size_t i = 0; i < bytes; i += 8) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        memcpy(at + i, &state, 8);
    }
}

/* What is measured is right: the chosen level against the scalar one, on random bytes. */
static void check(struct bench *b)
{
    const struct mr_kernels *chosen = b->k;
    void (*const runs[])(struct bench *) = {
        run_add_w16,     run_add_w32,      run_add_w24,      run_fold_w16, run_fold_w32,
        run_mask_expand, run_mask_add_w16, run_mask_add_w24, run_fold_w8,  run_mask_add_w8};
    uint8_t *first = b->memory + 10 * (size_t)CACHE_BYTES;

    buffers_lay(b, CACHE_BYTES);
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        fill(b->memory, 9 * (size_t)CACHE_BYTES, i);
        runs[i](b);
        memcpy(first, b->acc, CACHE_BYTES);
        fill(b->memory, 9 * (size_t)CACHE_BYTES, i);
        b->k = mr_kernels_select(0);
        runs[i](b);
        b->k = chosen;
        if (memcmp(first, b->acc, CACHE_BYTES) != 0) {
            fail("a kernel differs from the scalar one: no figure counts");
        }
    }
    mr_figures_checked(b->figures);
}

static void ciphers_open(struct bench *b)
{
    static const uint8_t key[16] = {1}, counter[16] = {2};

    mr_mask_stream_init(&b->mask, key, counter);
    b->openssl = EVP_CIPHER_CTX_new();
    if (!b->openssl || EVP_EncryptInit_ex(b->openssl, EVP_aes_128_ctr(), NULL, key, counter) != 1) {
        fail("OpenSSL has no AES-128-CTR");
    }
#ifdef MR_HAVE_IPSEC_MB
    b->imb = alloc_mb_mgr(0);
    if (!b->imb) {
        fail("out of memory for ipsec-mb");
    }
    if (b->k->cpu_level == MR_CPU_AVX512) {
        init_mb_mgr_auto(b->imb, NULL);
    } else { /* what a machine without more could have */
        init_mb_mgr_avx2(b->imb);
    }
    IMB_AES_KEYEXP_128(b->imb, key, b->enc, b->dec);
#endif
}

static void bench_close(struct bench *b)
{
#ifdef MR_HAVE_IPSEC_MB
    free_mb_mgr(b->imb);
#endif
    EVP_CIPHER_CTX_free(b->openssl);
    mr_figures_close(b->figures);
}

static const char *parse(struct bench *b, uint32_t *mask, int argc, char **argv)
{
    static const struct option names[] = {{"quick", no_argument, NULL, 'q'},
                                          {"json", required_argument, NULL, 'j'},
                                          {"cpu-mask", required_argument, NULL, 'm'},
                                          {0}};
    const char *json = NULL;
    int c;

    while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
        if (c == 'q') {
            b->rounds = 3;
        } else if (c == 'j') {
            json = optarg;
        } else if (c != 'm' || mr_cpu_mask_parse(optarg, mask) != 0) {
            fail("usage: kernels_bench [--quick] [--json FILE] [--cpu-mask MASK]");
        }
    }
    return json;
}

int main(int argc, char **argv)
{
    struct bench b = {.rounds = 11};
    uint32_t mask = UINT32_MAX;
    const char *json = parse(&b, &mask, argc, argv);

    b.k = mr_kernels_select(mask);
    b.figures = mr_figures_open("kernels");
    mr_figures_context(b.figures, "kernels", b.k->name);
    mr_figures_context_number(b.figures, "l2_buffer_bytes", CACHE_BYTES);
    mr_figures_context_number(b.figures, "dram_buffer_bytes", DRAM_BYTES);
    memory_open(&b);
    ciphers_open(&b);
    check(&b);
    fill(b.memory, ROOM_BYTES, 7);
    buffers_lay(&b, CACHE_BYTES);
    bench_adds(&b);
    bench_masks(&b);
    bench_narrow_masks(&b);
    memset(b.memory, 0, ROOM_BYTES); /* floats that are numbers */
    bench_floats(&b);
    buffers_lay(&b, DRAM_BYTES);
    bench_folds(&b);
    bench_narrow_dram(&b);
    const int written = mr_figures_write(b.figures, json);
    bench_close(&b);
    return written == 0 ? 0 : 1;
}
