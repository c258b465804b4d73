/* test_number_type.c - models in 16 bits: the bits themselves, and that their rounding is no part
 * of what a device sends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "edge-client/session/number_type.h"
#include "tests/unit/edge-client/fake.h"

static float float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* As numpy 1.24 and ml_dtypes 0.6 have them, but for finite values beyond the largest number. */
static const struct {
    uint32_t value;
    uint16_t f16, bf16;
} known[] = {
    {0x00000000, 0x0000, 0x0000}, {0x80000000, 0x8000, 0x8000}, /* zeros */
    {0x3f800000, 0x3c00, 0x3f80}, {0xc0000000, 0xc000, 0xc000}, /* 1, -2 */
    {0x3dcccccd, 0x2e66, 0x3dcd},                               /* 0.1: down, up */
    {0x3eaaaaab, 0x3555, 0x3eab},                               /* 1/3 */
    {0x3f801000, 0x3c00, 0x3f80}, {0x3f803000, 0x3c02, 0x3f80}, /* F16: ties to even */
    {0x3f801001, 0x3c01, 0x3f80},                               /* F16: above a tie */
    {0x3f808000, 0x3c04, 0x3f80}, {0x3f818000, 0x3c0c, 0x3f82}, /* BF16: ties to even */
    {0x3fffffff, 0x4000, 0x4000},                               /* carries into the exponent */
    {0x477fe000, 0x7bff, 0x4780},                               /* 65,504 */
    {0x477fefff, 0x7bff, 0x4780}, {0x477ff000, 0x7bff, 0x4780}, /* 65,519.99, 65,520 */
    {0x7f7fffff, 0x7bff, 0x7f7f}, {0xff7fffff, 0xfbff, 0xff7f}, /* float32's largest */
    {0x7f800000, 0x7c00, 0x7f80}, {0xff800000, 0xfc00, 0xff80}, /* infinities */
    {0x7fc00000, 0x7e00, 0x7fc0}, {0x7f800001, 0x7e00, 0x7fc0}, /* NaN */
    {0x38800000, 0x0400, 0x3880}, {0x387fc000, 0x03ff, 0x3880}, /* F16: around 2^-14 */
    {0x387fe000, 0x0400, 0x3880}, {0x33800000, 0x0001, 0x3380}, /* a tie up; 2^-24 */
    {0x33000000, 0x0000, 0x3300}, {0x33000001, 0x0001, 0x3300}, /* 2^-25: a tie; above it */
    {0x33c00000, 0x0002, 0x33c0}, {0x00000001, 0x0000, 0x0000}, /* 1.5 * 2^-24; denormals */
    {0x00018000, 0x0000, 0x0002}, {0xb3800001, 0x8001, 0xb380},
};

static void test_known_bits(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const float value = float_of(known[i].value);
        assert_int_equal(mr_number_short(MRE_F16, value), known[i].f16);
        assert_int_equal(mr_number_short(MRE_BF16, value), known[i].bf16);
    }
}

/* Every number of either type is a float, the right one, and comes back as itself. */
static void test_every_number(void **state)
{
    (void)state;
    for (uint32_t n = 0; n <= 0xffff; n++) {
        const uint32_t exponent = n >> 10 & 31, rest = n & 0x3ff;
        const float half = mr_number_float(MRE_F16, (uint16_t)n);
        if (exponent == 31 && rest) {
            assert_true(isnan(half));
            continue;
        }
        const double magnitude = exponent == 31 ? (double)INFINITY
                                 : exponent     ? ldexp(1024 + rest, (int)exponent - 25)
                                                : ldexp(rest, -24);
        assert_true((double)half == (n & 0x8000 ? -magnitude : magnitude));
        assert_int_equal(bits_of(half) >> 31, n >> 15);
        assert_int_equal(mr_number_short(MRE_F16, half), n);
    }
    for (uint32_t n = 0; n <= 0xffff; n++) {
        const float value = mr_number_float(MRE_BF16, (uint16_t)n);
        assert_int_equal(bits_of(value), n << 16);
        assert_true(isnan(value) || mr_number_short(MRE_BF16, value) == n);
    }
}

/* --- in a round ------------------------------------------------------------------------------- */

struct watched {
    enum mre_number_type type;
    bool numbers;     /* training makes numbers of the type, as arithmetic in it would */
    float by;         /* what it adds to each value */
    unsigned rounded; /* values that the type has not */
};

static void check_file(const struct mre_task *task)
{
    char header[4096];
    FILE *file = fopen(task->model_file, "rb");
    assert_non_null(file);
    uint64_t length;
    assert_int_equal(fread(&length, sizeof length, 1, file), 1);
    assert_true(length < sizeof header && (8 + length) % 64 == 0);
    assert_int_equal(fread(header, 1, length, file), length);
    header[length] = 0;
    assert_null(strstr(header, "\"F32\""));
    assert_non_null(strstr(header, task->number_type == MRE_F16 ? "\"F16\"" : "\"BF16\""));
    assert_non_null(strstr(header, "\"data_offsets\":[0,64]")); /* the first of 32 values */
    uint16_t numbers[2][64];
    assert_true(task->dimension < 64);
    mre_numbers_round(task->number_type, numbers[0], task->model, task->dimension);
    assert_int_equal(fread(numbers[1], 2, task->dimension, file), task->dimension);
    assert_int_equal(fgetc(file), EOF);
    assert_memory_equal(numbers[0], numbers[1], 2 * task->dimension);
    fclose(file);
}

static enum mre_trained move(void *context, const struct mre_task *task, float *vector,
                             struct mre_report *report)
{
    const struct watched *watched = context;
    assert_int_equal(task->number_type, watched->type);
    assert_memory_equal(vector, task->model, task->dimension * sizeof *vector);
    if (task->number_type != MRE_F32) {
        check_file(task);
    }
    for (size_t i = 0; i < task->dimension; i++) {
        vector[i] += watched->by;
    }
    if (watched->numbers) {
        uint16_t numbers[64];
        mre_numbers_round(task->number_type, numbers, vector, task->dimension);
        mre_numbers_widen(task->number_type, vector, numbers, task->dimension);
    }
    report->examples = 10;
    report->loss = 0.5f;
    return MRE_TRAINED_PARAMETERS;
}

static float in_type(enum mre_number_type type, float value)
{
    return type == MRE_F32 ? value : mr_number_float(type, mr_number_short(type, value));
}

/* The delta that a device made of it, as it was dumped; `given` is the model in the type. */
static void play(struct watched *watched, float *delta, size_t *count, float *given)
{
    struct fake fake;
    struct mre_outcome outcome;
    struct mr_safetensors parsed;
    struct mr_error error;
    char path[160];
    fake_init(&fake, 2, 16);
    fake.number_type = watched->type;
    struct mre_client *client = fake_client(&fake, MRE_TRANSPORT_UDP, fake.dir);
    assert_int_equal(mre_client_round(client, 1000, move, watched, &outcome), MRE_COMMITTED);
    *count = fake.announcement.dimension;
    assert_int_equal(mr_safetensors_parse(&parsed, fake.model, fake.model_bytes, &error), 0);
    memcpy(given, fake.model + parsed.data_offset, *count * sizeof *given);
    mr_safetensors_fini(&parsed);
    for (size_t i = 0; i < *count; i++) {
        const float value = in_type(watched->type, given[i]);
        watched->rounded += value != given[i];
        given[i] = value;
    }
    snprintf(path, sizeof path, "%s/%s-%s-r1-a0.bin", fake.dir, mre_client_id(client),
             fake.announcement.task);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 80 + (long)fake.terms.layout.lanes + 64, SEEK_SET), 0);
    assert_int_equal(fread(delta, sizeof *delta, *count, file), *count);
    fclose(file);
    mre_client_close(client);
    fake_fini(&fake);
}

/* Training that changes nothing sends nothing, however much was rounded; what it adds is what is
 * sent, to the bit. */
static void test_rounding_is_not_sent(void **state)
{
    (void)state;
    static const enum mre_number_type types[] = {MRE_F32, MRE_F16, MRE_BF16};
    static const float by[] = {0, 0.03125f};
    float delta[64], given[64];
    size_t count;
    for (unsigned i = 0; i < 12; i++) {
        struct watched watched = {
            .type = types[i / 4], .numbers = i & 2 && i >= 4, .by = by[i & 1]};
        play(&watched, delta, &count, given);
        /* Else the test would show nothing. */
        assert_true(watched.rounded == 0 ? watched.type == MRE_F32 : watched.rounded > count / 2);
        for (size_t k = 0; k < count; k++) {
            const float trained = given[k] + watched.by;
            const float counted = watched.numbers ? in_type(watched.type, trained) : trained;
            assert_true(delta[k] == counted - given[k]);
        }
    }
}

static void test_unknown_type(void **state)
{
    (void)state;
    const struct mre_options options = {.certificate_file = "a",
                                        .private_key_file = "a",
                                        .ca_file = "a",
                                        .data_dir = "a",
                                        .task = "default",
                                        .number_type = (enum mre_number_type)3};
    struct mre_client *client;
    struct mre_outcome outcome;
    assert_int_equal(mre_client_open(&client, &options, &outcome), MRE_BAD_CONFIG);
    assert_string_equal(outcome.text, "number_type: float32, float16 or bfloat16");
    assert_null(mr_number_name(options.number_type));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_bits),
        cmocka_unit_test(test_every_number),
        cmocka_unit_test(test_rounding_is_not_sent),
        cmocka_unit_test(test_unknown_type),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
