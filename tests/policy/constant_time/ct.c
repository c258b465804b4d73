/* ct.c - secrets under valgrind: each case marks them as undefined and uses them; a branch or an
 * address that depends on one is then reported as the use of an uninitialised value.
 *
 * usage: ct CASE [LEVEL]     (run by test_constant_time.py; without valgrind it shows nothing) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <valgrind/memcheck.h>

#include "kernels/kernels.h"
#include "wire/keys.h"
#include "appliance/aggregate/sum.h"
#include "wire/share.h"

#define DIMENSION 1000

struct scene {
    const struct mr_kernels *kernels;
    uint8_t seed[MR_SEED_BYTES];
    int8_t q[8192];
    _Alignas(64) uint8_t share[65536], sum[65536];
};

static void poison(void *secret, size_t bytes)
{
    VALGRIND_MAKE_MEM_UNDEFINED(secret, bytes);
}

/* A result that may be known to all. */
static void publish(const void *result, size_t bytes)
{
    VALGRIND_MAKE_MEM_DEFINED(result, bytes);
}

static int failed(const char *what)
{
    fprintf(stderr, "ct: %s\n", what);
    return 2;
}

/* --- comparing ------------------------------------------------------------------------------- */

/* What comparisons of tags, seeds and receipts call (but for datagrams' tags, open_ipsec_mb.c). */
static int compare(struct scene *scene)
{
    uint8_t tag[16] = {1}, other[16] = {2};
    (void)scene;
    poison(tag, sizeof tag);
    poison(other, sizeof other);
    int same = CRYPTO_memcmp(tag, other, sizeof tag);
    publish(&same, sizeof same);
    return same != 0 ? 0 : failed("different tags compare equal");
}

/* The positive control: stops at the first difference. It must be reported. */
static int leaky_compare(struct scene *scene)
{
    volatile uint8_t tag[16] = {1}, other[16] = {2};
    int same = 1;
    (void)scene;
    poison((void *)tag, sizeof tag);
    for (size_t i = 0; i < sizeof tag && same; i++) {
        same = tag[i] == other[i];
    }
    publish(&same, sizeof same);
    return same ? failed("different tags compare equal") : 0;
}

/* Another: an address that depends on the secret, as in a table of the AES. */
static int leaky_table(struct scene *scene)
{
    (void)scene;
    static const uint8_t table[256] = {7, 9};
    volatile uint8_t secret = 1;
    poison((void *)&secret, sizeof secret);
    uint8_t looked_up = table[secret];
    publish(&looked_up, sizeof looked_up);
    return looked_up == 9 ? 0 : failed("a table gave something else");
}

/* --- masks and shares ------------------------------------------------------------------------ */

static int with_layout(struct scene *scene, uint8_t ring_bits,
                       int (*fn)(struct scene *, const struct mr_layout *))
{
    struct mr_layout layout;
    if (mr_layout_init(&layout, ring_bits, DIMENSION, 0, 1408) != 0) {
        return failed("the layout is refused");
    }
    return fn(scene, &layout);
}

/* The key schedule of a poisoned key. */
static void secret_stream(struct mr_mask_stream *mask)
{
    uint8_t key[16] = {3}, counter[16] = {4};
    poison(key, sizeof key);
    poison(counter, sizeof counter);
    mr_mask_stream_init(mask, key, counter);
}

static int expand_one(struct scene *scene, const struct mr_layout *layout)
{
    struct mr_mask_stream mask;
    struct mr_vector_sum sum = {.lanes = scene->sum};
    secret_stream(&mask);
    mr_sum_zero(&sum, layout);
    mr_sum_mask(&sum, layout, &mask, scene->kernels);
    mr_sum_pack(scene->share, layout, &sum, scene->kernels);
    scene->kernels->mask_expand(scene->share, &mask, 0, 1000 / 16 * 16);
    publish(scene->share, sizeof scene->share);
    return 0;
}

static int share_one(struct scene *scene, const struct mr_layout *layout)
{
    uint32_t trailer[MR_TRAILER_LANES] = {1, 2, 3};
    struct mr_mask_stream mask;
    poison(scene->q, sizeof scene->q);
    poison(trailer, sizeof trailer);
    secret_stream(&mask);
    mr_share_lift(scene->share, layout, scene->q, trailer, scene->kernels);
    mr_share_mask(scene->share, layout, &mask, scene->kernels);
    publish(scene->share, layout->share_bytes);
    return 0;
}

/* The lead's side: whole shares are added. */
static int fold_one(struct scene *scene, const struct mr_layout *layout)
{
    const uint8_t *shares[] = {scene->share, scene->share};
    struct mr_vector_sum sum = {.lanes = scene->sum};
    poison(scene->share, layout->share_bytes);
    mr_sum_zero(&sum, layout);
    mr_sum_fold(&sum, layout, shares, 2, scene->kernels);
    publish(scene->sum, sizeof scene->sum);
    return 0;
}

static int over_rings(struct scene *scene, int (*fn)(struct scene *, const struct mr_layout *))
{
    int result = 0;
    for (unsigned i = 0; i < MR_RING_WIDTHS && result == 0; i++) {
        result = with_layout(scene, mr_ring_widths[i], fn);
    }
    return result;
}

static int expand(struct scene *scene)
{
    return over_rings(scene, expand_one);
}

static int sharing(struct scene *scene)
{
    return over_rings(scene, share_one);
}

static int fold(struct scene *scene)
{
    return over_rings(scene, fold_one);
}

/* From the seed on: HMAC by OpenSSL, the key schedule by us. */
static int derive(struct scene *scene)
{
    static const uint8_t hash[MR_HASH_BYTES], client[16];
    const struct mr_key_scope scope = {.task = "default",
                                       .announcement_hash = hash,
                                       .client_id = client,
                                       .hub_index = 1,
                                       .attempt = 0};
    struct mr_mask_stream mask;
    poison(scene->seed, sizeof scene->seed);
    if (mr_mask_derive(&mask, scene->seed, &scope) != 0) {
        return failed("the mask could not be derived");
    }
    scene->kernels->mask_expand(scene->share, &mask, 0, 4096);
    publish(scene->share, 4096);
    return 0;
}

static const struct {
    const char *name;
    int (*fn)(struct scene *scene);
} cases[] = {
    {"compare", compare},         {"expand", expand},
    {"sharing", sharing},         {"fold", fold},
    {"derive", derive},           {"leaky-compare", leaky_compare},
    {"leaky-table", leaky_table},
};

int main(int argc, char **argv)
{
    static struct scene scene;
    uint32_t levels = UINT32_MAX;
    if (argc == 3 && mr_cpu_mask_parse(argv[2], &levels) != 0) {
        return failed("unknown level");
    }
    scene.kernels = mr_kernels_select(levels);
    if (argc == 3 && strcmp(scene.kernels->name, argv[2]) != 0) {
        return 77;
    }
    for (size_t i = 0; argc >= 2 && i < sizeof cases / sizeof *cases; i++) {
        if (strcmp(argv[1], cases[i].name) == 0) {
            return cases[i].fn(&scene);
        }
    }
    return failed("usage: ct CASE [LEVEL]");
}
