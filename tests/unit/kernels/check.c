#include "tests/unit/kernels/check.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#define REGION_BYTES (768u * 1024)
#define CANARY_BYTES 192u
#define CANARY       0xa5

static const char *const fill_names[] = {"zero", "one", "ones", "edge", "random"};

/* For the fault handler only, which gets no argument. */
static const struct check *running;

static size_t size_of(enum check_type type)
{
    static const size_t sizes[] = {1, 2, 3, 4, 4, 8};
    return sizes[type];
}

static int describe(const struct check *c, char *text, size_t room)
{
    return snprintf(text, room, "%s %s: lanes %zu, fill %s, %s guard, gap %zu, MR_TEST_SEED=%llu",
                    c->level->name, c->kernel, c->lanes, fill_names[c->fill],
                    c->front ? "after" : "before", c->gap, (unsigned long long)c->seed);
}

static void on_fault(int sig)
{
    char text[256];
    int len = describe(running, text, sizeof text);
    (void)!write(STDERR_FILENO, "FAULT ", 6);
    (void)!write(STDERR_FILENO, text, (size_t)len);
    (void)!write(STDERR_FILENO, "\n", 1);
    signal(sig, SIG_DFL);
    raise(sig);
}

static void __attribute__((noreturn, format(printf, 2, 3)))
fail(const struct check *c, const char *format, ...)
{
    char text[256];
    __builtin_va_list args;
    describe(c, text, sizeof text);
    fprintf(stderr, "FAIL %s\n     ", text);
    __builtin_va_start(args, format);
    vfprintf(stderr, format, args);
    __builtin_va_end(args);
    fputc('\n', stderr);
    exit(1);
}

static uint8_t *region_open(void)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *at =
        mmap(NULL, REGION_BYTES + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED || mprotect(at + page, REGION_BYTES, PROT_READ | PROT_WRITE) != 0) {
        perror("mmap");
        exit(1);
    }
    return at + page;
}

/* splitmix64 (Steele, Lea, Flood 2014). */
uint64_t check_random(struct check *c)
{
    uint64_t z = c->rng += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint32_t edge_int(struct check *c, size_t bytes)
{
    const uint32_t top = 1u << (8 * bytes - 1);
    const uint32_t near = (uint32_t)(check_random(c) % 5) - 2;
    return (check_random(c) & 1 ? top : 0) + near;
}

static float edge_float(struct check *c)
{
    static const float edges[] = {
        0.0f,        -0.0f,    0.5f,         -0.5f,          1.0f,     -1.0f,
        126.99999f,  127.0f,   127.0001f,    -126.5f,        -127.0f,  -127.5f,
        0x1p23f,     -0x1p24f, 0x1p-126f,    -0x1p-149f,     0x1p-16f, -1e-20f,
        0.99999994f, 0x1p-17f, 2147483648.f, 3.40282347e38f, -3.4e38f, 255.5f,
    };
    return edges[check_random(c) % (sizeof edges / sizeof *edges)];
}

static void fill_one(struct check *c, uint8_t *at, enum check_type type, enum check_fill fill)
{
    const size_t bytes = size_of(type);
    if (type == CHECK_U64) {
        fill_one(c, at, CHECK_U32, fill);
        fill_one(c, at + 4, CHECK_U32, fill);
        return;
    }
    uint32_t v = fill == CHECK_ZERO   ? 0
                 : fill == CHECK_ONE  ? 1
                 : fill == CHECK_ONES ? UINT32_MAX
                 : fill == CHECK_EDGE ? edge_int(c, bytes)
                                      : (uint32_t)check_random(c);
    if (type == CHECK_F32 && fill != CHECK_ZERO) {
        /* All bits set would be NaN, which most kernels need not take. */
        const float f = fill == CHECK_ONE    ? 1.0f
                        : fill == CHECK_ONES ? -0x1.fffffep0f
                        : fill == CHECK_EDGE ? edge_float(c)
                                             : ((float)(int32_t)v) * 0x1p-24f;
        memcpy(&v, &f, sizeof v);
    }
    memcpy(at, &v, bytes);
}

struct check_pair check_place(struct check *c, enum check_type type, size_t count)
{
    const size_t bytes = count * size_of(type), unit = type == CHECK_U24 ? 1 : size_of(type);
    const unsigned s = c->slots++;
    /* A random gap, for that two buffers differ in their misalignment. */
    size_t gap = unit * (s == 0 || c->gap == 0 ? c->gap : check_random(c) % 64);
    if (s >= CHECK_SLOTS || gap + bytes + 2 * CANARY_BYTES > REGION_BYTES) {
        fail(c, "the case does not fit the harness");
    }
    const size_t begin = c->front ? gap : REGION_BYTES - gap - bytes;
    const size_t low = begin < CANARY_BYTES ? 0 : begin - CANARY_BYTES;
    size_t high = begin + bytes + CANARY_BYTES;
    high = high > REGION_BYTES ? REGION_BYTES : high;
    uint8_t *want = c->slot[s].want, *got = c->slot[s].got;

    memset(want + low, CANARY, begin - low);
    for (size_t i = 0; i < count; i++) {
        fill_one(c, want + begin + i * size_of(type), type, c->fill);
    }
    memset(want + begin + bytes, CANARY, high - begin - bytes);
    memcpy(got + low, want + low, high - low);
    c->slot[s].begin = low;
    c->slot[s].end = high;
    c->slot[s].type = type;
    return (struct check_pair){want + begin, got + begin};
}

unsigned check_narrow_bits(struct check *c)
{
    return check_random(c) & 1 ? 10 : 12;
}

void check_low_bits(const struct check_pair *acc, size_t lanes, unsigned bits)
{
    uint16_t *want = acc->want, *got = acc->got;
    const uint16_t mask = (uint16_t)((1u << bits) - 1);
    for (size_t i = 0; i < lanes; i++) {
        want[i] &= mask;
        got[i] &= mask;
    }
}

/* Whether the difference at byte `at` of a float buffer is but one NaN and another. */
static bool both_nan(const struct check *c, unsigned s, size_t at)
{
    /* Floats are placed at multiples of their size from either end of the region. */
    float a, b;
    memcpy(&a, c->slot[s].want + at / 4 * 4, 4);
    memcpy(&b, c->slot[s].got + at / 4 * 4, 4);
    return c->slot[s].type == CHECK_F32 && a != a && b != b;
}

void check_finish(struct check *c, uint64_t want, uint64_t got)
{
    for (unsigned s = 0; s < c->slots; s++) {
        const uint8_t *w = c->slot[s].want, *g = c->slot[s].got;
        const size_t begin = c->slot[s].begin, end = c->slot[s].end;
        if (memcmp(w + begin, g + begin, end - begin) == 0) {
            continue;
        }
        for (size_t i = begin; i < end; i++) {
            if (w[i] != g[i] && !both_nan(c, s, i)) {
                fail(c, "buffer %u differs at byte %zu of its canaries and data: %02x, not %02x", s,
                     i - begin, g[i], w[i]);
            }
        }
    }
    if (want != got) {
        fail(c, "returned %llx, not %llx", (unsigned long long)got, (unsigned long long)want);
    }
    c->slots = 0;
    c->call++;
}

static void one_case(struct check *c, const struct check_kernel *k, size_t lanes, bool front,
                     size_t gap)
{
    c->lanes = lanes;
    c->front = front;
    c->gap = gap;
    k->run(c);
}

static void check_kernel(struct check *c, const struct check_kernel *k)
{
    /* 3 x the widest vector + 1 in its smallest lanes, and past the unrolled loops. */
    const size_t short_lanes = 3 * 64 + 1, step = k->step > 0 ? k->step : 1;
    static const size_t large[] = {255, 384, 513, 700, 1025, 1280, 2049, 4096, 5003, 65536};

    c->kernel = k->name;
    for (int fill = 0; fill < CHECK_FILLS; fill++) {
        c->fill = (enum check_fill)fill;
        for (size_t lanes = 0; lanes <= short_lanes * step; lanes += step) {
            one_case(c, k, lanes, false, 0);
            one_case(c, k, lanes, true, 0);
            one_case(c, k, lanes, false, 1 + check_random(c) % 63);
        }
        for (size_t i = 0; i < sizeof large / sizeof *large; i++) {
            one_case(c, k, large[i] / step * step, i & 1, i % 3);
        }
    }
    for (size_t gap = 1; gap < 64; gap++) {
        c->fill = CHECK_RANDOM;
        one_case(c, k, (1 + check_random(c) % 600) * step, false, gap);
        one_case(c, k, (1 + check_random(c) % 600) * step, true, gap);
    }
}

static uint64_t choose_seed(void)
{
    const char *text = getenv("MR_TEST_SEED");
    uint64_t seed = 0;
    if (text) {
        return strtoull(text, NULL, 0);
    }
    if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed) {
        perror("getrandom");
        exit(1);
    }
    return seed;
}

int check_main(const struct check_kernel *kernels, size_t count)
{
    static const enum mr_cpu_level levels[] = {MR_CPU_AVX2, MR_CPU_AVX512, MR_CPU_NEON};
    struct check c = {.ref = mr_kernels_at(MR_CPU_SCALAR), .seed = choose_seed()};
    unsigned checked = 0;

    printf("MR_TEST_SEED=%llu\n", (unsigned long long)c.seed);
    for (unsigned s = 0; s < CHECK_SLOTS; s++) {
        c.slot[s].want = region_open();
        c.slot[s].got = region_open();
    }
    running = &c;
    signal(SIGSEGV, on_fault);
    signal(SIGBUS, on_fault);
    signal(SIGILL, on_fault);
    for (size_t l = 0; l < sizeof levels / sizeof *levels; l++) {
        c.level = mr_kernels_at(levels[l]);
        if (!c.level) {
            continue;
        }
        c.rng = c.seed;
        c.call = 0;
        for (size_t k = 0; k < count; k++) {
            check_kernel(&c, &kernels[k]);
        }
        printf("%s: %zu kernels, %u cases equal scalar\n", c.level->name, count, c.call);
        checked++;
    }
    if (checked == 0) {
        printf("this machine has no level above scalar: skipped\n");
        return 77;
    }
    return 0;
}
