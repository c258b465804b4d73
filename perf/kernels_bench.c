/* kernels_bench.c - how near the kernels come to the machine: GB/s beside a memory copy, a plain
 * read and a bare AES-CTR of the same bytes, measured in turns, medians of seven.
 *
 * usage: kernels_bench [cpu-mask]
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/evp.h>
#ifdef MR_HAVE_IPSEC_MB
#include <intel-ipsec-mb.h>
#endif

#include "kernels/kernels.h"

#define ROUNDS      7
#define CACHE_BYTES (512u << 10) /* two of them lie in L2 */
#define DRAM_BYTES  (48u << 20)  /* nine of them lie beyond any cache */
#define SAMPLE_S    0.03

struct bench {
    const struct mr_kernels *k;
    struct mr_mask_stream mask;
    uint8_t *acc, *src[MR_FOLD_MAX];
    size_t bytes; /* of each buffer */
    EVP_CIPHER_CTX *openssl;
#ifdef MR_HAVE_IPSEC_MB
    IMB_MGR *imb;
    _Alignas(64) uint8_t enc[16 * 15];
    _Alignas(64) uint8_t dec[16 * 15];
#endif
};

struct subject {
    const char *name;
    void (*run)(struct bench *b);
    size_t streams; /* how many buffers' bytes the figure counts */
    double gbps[ROUNDS];
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

/* Reads the same nine buffers, one after the other: into a sum that stays in L1, at the width of
 * the kernels under test, since a narrower load would not reach what the core can read. */
static void run_read(struct bench *b)
{
    static uint16_t sum[4096];
    for (unsigned s = 0; s <= MR_FOLD_MAX; s++) {
        const uint8_t *from = s < MR_FOLD_MAX ? b->src[s] : b->acc;
        for (size_t at = 0; at < b->bytes; at += sizeof sum) {
            b->k->add_w16(sum, (const uint16_t *)(from + at), sizeof sum / sizeof *sum);
        }
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
    b->k->round_i8((int8_t *)b->acc, (const float *)b->src[0], 1.0f, (const uint16_t *)b->src[1],
                   b->bytes / 4);
}

static void run_centre_w16(struct bench *b)
{
    b->k->centre_w16((float *)b->acc, (const uint16_t *)b->src[0], 0.5f, b->bytes / 4);
}

static void run_openssl(struct bench *b)
{
    int len;
    EVP_EncryptInit_ex(b->openssl, NULL, NULL, NULL, b->mask.counter);
    EVP_EncryptUpdate(b->openssl, b->acc, &len, b->acc, (int)b->bytes);
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
    if (job == NULL || job->status != IMB_STATUS_COMPLETED) {
        fprintf(stderr, "ipsec-mb refused the job\n");
        exit(1);
    }
}
#endif

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double sample_gbps(struct bench *b, const struct subject *s)
{
    const double start = now_s();
    double end;
    size_t calls = 0;
    do {
        s->run(b);
        calls++;
        end = now_s();
    } while (end - start < SAMPLE_S);
    return 1e-9 * (double)(calls * s->streams * b->bytes) / (end - start);
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The first subject is what the others are compared with. */
static void compare(struct bench *b, const char *title, struct subject *subjects, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        subjects[i].run(b);
    }
    for (unsigned r = 0; r < ROUNDS; r++) {
        for (size_t i = 0; i < count; i++) {
            subjects[i].gbps[r] = sample_gbps(b, &subjects[i]);
        }
    }
    printf("%s\n", title);
    for (size_t i = 0; i < count; i++) {
        qsort(subjects[i].gbps, ROUNDS, sizeof(double), by_value);
        printf("  %-18s %7.2f GB/s  (%.2f-%.2f)  %.2f\n", subjects[i].name,
               subjects[i].gbps[ROUNDS / 2], subjects[i].gbps[0], subjects[i].gbps[ROUNDS - 1],
               subjects[i].gbps[ROUNDS / 2] / subjects[0].gbps[ROUNDS / 2]);
    }
}

static void buffers_open(struct bench *b, size_t bytes)
{
    b->bytes = bytes;
    for (unsigned i = 0; i <= MR_FOLD_MAX; i++) {
        uint8_t *at = aligned_alloc(4096, bytes);
        if (at == NULL) {
            perror("aligned_alloc");
            exit(1);
        }
        memset(at, (int)i + 1, bytes);
        *(i < MR_FOLD_MAX ? &b->src[i] : &b->acc) = at;
    }
}

static void buffers_close(struct bench *b)
{
    for (unsigned s = 0; s < MR_FOLD_MAX; s++) {
        free(b->src[s]);
    }
    free(b->acc);
}

static void bench_cache(struct bench *b)
{
    struct subject adds[] = {
        {.name = "memcpy", .run = run_copy, .streams = 1},
        {.name = "add_w16", .run = run_add_w16, .streams = 1},
        {.name = "add_w32", .run = run_add_w32, .streams = 1},
        {.name = "add_w24 (acc)", .run = run_add_w24, .streams = 1},
    };
    struct subject masks[] = {
#ifdef MR_HAVE_IPSEC_MB
        {.name = "ipsec-mb CTR", .run = run_ipsec_mb, .streams = 1},
#endif
        {.name = "OpenSSL CTR", .run = run_openssl, .streams = 1},
        {.name = "mask_expand", .run = run_mask_expand, .streams = 1},
        {.name = "mask_add_w16", .run = run_mask_add_w16, .streams = 1},
        {.name = "mask_add_w24 (acc)", .run = run_mask_add_w24, .streams = 1},
    };
    struct subject floats[] = {
        {.name = "memcpy", .run = run_copy, .streams = 1},
        {.name = "sum_squares", .run = run_sum_squares, .streams = 1},
        {.name = "hadamard 4096", .run = run_hadamard_4k, .streams = 1},
        {.name = "hadamard 65536", .run = run_hadamard_64k, .streams = 1},
        {.name = "round_i8", .run = run_round_i8, .streams = 1},
        {.name = "centre_w16", .run = run_centre_w16, .streams = 1},
    };
    buffers_open(b, CACHE_BYTES);
    compare(b, "floats, in L2", floats, sizeof floats / sizeof *floats);
    compare(b, "in L2", adds, sizeof adds / sizeof *adds);
    compare(b, "masks, in L2", masks, sizeof masks / sizeof *masks);
    buffers_close(b);
}

static void bench_dram(struct bench *b)
{
    struct subject folds[] = {
        {.name = "read", .run = run_read, .streams = MR_FOLD_MAX + 1},
        {.name = "fold_w16 of 8", .run = run_fold_w16, .streams = MR_FOLD_MAX + 1},
        {.name = "fold_w32 of 8", .run = run_fold_w32, .streams = MR_FOLD_MAX + 1},
    };
    buffers_open(b, DRAM_BYTES);
    compare(b, "from memory", folds, sizeof folds / sizeof *folds);
    buffers_close(b);
}

int main(int argc, char **argv)
{
    static const uint8_t key[16] = {1}, counter[16] = {2};
    struct bench b = {.openssl = EVP_CIPHER_CTX_new()};
    uint32_t mask = UINT32_MAX;

    if (argc > 1 && mr_cpu_mask_parse(argv[1], &mask) != 0) {
        fprintf(stderr, "usage: %s [cpu-mask], not '%s'\n", argv[0], argv[1]);
        return 2;
    }
    b.k = mr_kernels_select(mask);
    mr_mask_stream_init(&b.mask, key, counter);
    EVP_EncryptInit_ex(b.openssl, EVP_aes_128_ctr(), NULL, key, counter);
#ifdef MR_HAVE_IPSEC_MB
    b.imb = alloc_mb_mgr(0);
    init_mb_mgr_auto(b.imb, NULL);
    IMB_AES_KEYEXP_128(b.imb, key, b.enc, b.dec);
#endif
    printf("kernels: %s\n", b.k->name);
    bench_cache(&b);
    bench_dram(&b);
#ifdef MR_HAVE_IPSEC_MB
    free_mb_mgr(b.imb);
#endif
    EVP_CIPHER_CTX_free(b.openssl);
    return 0;
}
