/* test_integer_code.c - the coder of integers: both ways, how short it is, and what is damaged. */
#include "wire_test.h"

#include "base/bytes.h"
#include "tests/unit/wire/integer_scene.h"

static struct mr_error error;

/* --- integers -------------------------------------------------------------------------------- */

static size_t round_trip(const uint32_t *values, size_t count)
{
    uint8_t *bytes = malloc(MR_INTEGER_SEGMENT_BYTES_MAX);
    MR_ASSERT(bytes);
    const size_t length = mr_integer_write(bytes, values, count, &scratch);
    assert_true(length <= 1 + 4 * count || length == 5);
    bytes = realloc(bytes, length); /* so that a read beyond the end shows */
    MR_ASSERT(bytes);
    struct mr_integer_reader reader = reader_of(bytes, length, count);
    assert_int_equal(mr_integer_read(&reader, &error), (long)count);
    assert_int_equal(reader.at, length);
    assert_int_equal(reader.left, 0);
    assert_memory_equal(room.values, values, count * sizeof *values);
    assert_int_equal(mr_integer_read(&reader, &error), 0);
    free(bytes);
    return length;
}

static void test_integers_come_back(void **state)
{
    (void)state;
    static uint32_t values[MR_INTEGER_SEGMENT];
    static const size_t counts[] = {1, 2, 3, 63, 1000, MR_INTEGER_SEGMENT};
    for (unsigned shape = 0; shape < 6; shape++) {
        for (unsigned c = 0; c < sizeof counts / sizeof counts[0]; c++) {
            for (size_t i = 0; i < counts[c]; i++) {
                const uint32_t random = next_random();
                values[i] = shape == 0   ? 7
                            : shape == 1 ? random
                            : shape == 2 ? mr_zigzag(bell(90))
                            : shape == 3 ? random >> (random & 31)
                            : shape == 4 ? (random % 5000 == 0 ? UINT32_MAX : 0)
                                         : 16 + random % 4; /* one token, unequal bits */
            }
            round_trip(values, counts[c]);
        }
    }
}

/* Of a few dozen a table would be the most: then the fewest bits a value that one number says. */
static void test_short_segments(void **state)
{
    (void)state;
    uint32_t values[48];
    for (unsigned i = 0; i < 48; i++) {
        values[i] = (1u << 20) + (next_random() >> 12); /* 2^20 to 2^21: 20 bits, and one or two */
    }
    assert_in_range(round_trip(values, 48), 2 + 48 * 21 / 8, 2 + 48 * 23 / 8);
    for (unsigned i = 0; i < 48; i++) {
        values[i] = next_random() % 200;
    }
    assert_in_range(round_trip(values, 48), 2 + 48 * 7 / 8, 2 + 48 * 9 / 8);
    /* Beyond what the writer writes: an order above 31, a value above 2^32 - 1, 33 zeros, bits
     * left. */
    static const uint8_t wrong[][12] = {{3, 32, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
                                        {3, 31, 0x06, 0, 0, 0, 0, 0, 0, 0},
                                        {3, 0, 0, 0, 0, 0, 2, 0xff, 0xff, 0xff, 0xff},
                                        {3, 0, 0xff}};
    for (unsigned i = 0; i < 4; i++) {
        struct mr_integer_reader reader = reader_of(wrong[i], sizeof wrong[i], 1);
        assert_int_equal(mr_integer_read(&reader, &error), -1);
    }
}

static void test_edges_of_tokens(void **state)
{
    (void)state;
    uint32_t values[3 * 32];
    for (unsigned bit = 0; bit < 32; bit++) {
        values[3 * bit] = 1u << bit;
        values[3 * bit + 1] = (1u << bit) - 1;
        values[3 * bit + 2] = UINT32_MAX >> bit;
    }
    round_trip(values, 3 * 32);
    static const int32_t signs[] = {0, -1, 1, INT32_MAX, INT32_MIN};
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(mr_zigzag(signs[i]), i < 3 ? i : UINT32_MAX - (i == 3));
        assert_int_equal(mr_unzigzag(mr_zigzag(signs[i])), signs[i]);
    }
}

/* Sums are bells: sixteen coders, and at most a 256th more than two. */
static void test_sums_are_split(void **state)
{
    (void)state;
    static uint8_t bytes[MR_INTEGER_SEGMENT_BYTES_MAX];
    static uint32_t values[MR_INTEGER_SEGMENT];
    static const double deviations[] = {20, 124, 600, 20000};
    for (unsigned d = 0; d < sizeof deviations / sizeof deviations[0]; d++) {
        for (size_t i = 0; i < MR_INTEGER_SEGMENT; i++) {
            values[i] = mr_zigzag(bell(deviations[d]));
        }
        mr_integer_write(bytes, values, MR_INTEGER_SEGMENT, &scratch);
        assert_int_equal(bytes[0], MR_INTEGER_SPLIT);
    }
}

/* Bits a value that the distribution of these has. */
static double entropy(const uint32_t *values, size_t count)
{
    static uint32_t seen[1 << 16];
    double bits = 0;
    memset(seen, 0, sizeof seen);
    for (size_t i = 0; i < count; i++) {
        MR_ASSERT(values[i] < 1 << 16);
        seen[values[i]]++;
    }
    for (unsigned i = 0; i < 1 << 16; i++) {
        bits -= seen[i] ? seen[i] * log2((double)seen[i] / (double)count) : 0;
    }
    return bits / (double)count;
}

static void test_near_the_entropy(void **state)
{
    (void)state;
    static uint32_t values[MR_INTEGER_SEGMENT];
    static const double deviations[] = {0.3, 2, 20, 90, 600};
    for (unsigned d = 0; d < sizeof deviations / sizeof deviations[0]; d++) {
        for (size_t i = 0; i < MR_INTEGER_SEGMENT; i++) {
            values[i] = mr_zigzag(bell(deviations[d]));
        }
        const double bits =
            8.0 * (double)round_trip(values, MR_INTEGER_SEGMENT) / MR_INTEGER_SEGMENT;
        const double least = entropy(values, MR_INTEGER_SEGMENT);
        if (bits > 1.05 * least + 0.01) {
            fail_msg("deviation %g: %g bits a value, the entropy is %g", deviations[d], bits,
                     least);
        }
    }
}

static void read_damaged(const uint8_t *bytes, size_t length, size_t count)
{
    uint8_t *copy = malloc(length + !length);
    MR_ASSERT(copy);
    memcpy(copy, bytes, length);
    struct mr_integer_reader reader = reader_of(copy, length, count);
    const long read = mr_integer_read(&reader, &error);
    assert_true(read == -1 || (size_t)read == count);
    assert_true(reader.at <= length);
    free(copy);
}

/* What that form is for. */
static uint32_t value_for(enum mr_integer_kind kind, unsigned i, uint32_t step)
{
    switch (kind) {
    case MR_INTEGER_CODED: /* of every size */
        return next_random() >> (i % 32);
    case MR_INTEGER_SPLIT: /* here and there, and nothing between */
        return 32 * step * (next_random() & 1) + next_random() % step;
    default:
        return mr_zigzag(bell(90));
    }
}

static void damage(unsigned count, enum mr_integer_kind kind, uint32_t step)
{
    static uint8_t bytes[MR_INTEGER_SEGMENT_BYTES_MAX];
    uint32_t values[1500];
    for (unsigned i = 0; i < count; i++) {
        values[i] = value_for(kind, i, step);
    }
    const size_t length = mr_integer_write(bytes, values, count, &scratch);
    struct mr_integer_reader reader = reader_of(bytes, 0, count);
    assert_int_equal(bytes[0], kind);
    for (size_t cut = 0; cut < length; cut++) {
        reader.length = cut;
        reader.at = 0;
        assert_int_equal(mr_integer_read(&reader, &error), -1);
        read_damaged(bytes, cut, count);
    }
    for (size_t at = 0; at < length; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            bytes[at] ^= (uint8_t)(1u << bit);
            read_damaged(bytes, length, count);
            bytes[at] ^= (uint8_t)(1u << bit);
        }
    }
    read_damaged(bytes, length, count - 1);
    read_damaged(bytes, length, count + 1);
    if (kind != MR_INTEGER_SHORT) { /* a byte that nobody needs */
        bytes[length] = 0;
        mr_be32_put(bytes + 1, (uint32_t)length - 4);
        reader = reader_of(bytes, length + 1, count);
        assert_int_equal(mr_integer_read(&reader, &error), -1);
    }
}

static void test_damaged_integers(void **state)
{
    (void)state;
    damage(1500, MR_INTEGER_CODED, 0);
    damage(1500, MR_INTEGER_SPLIT, 1);
    damage(1497, MR_INTEGER_SPLIT, 16);
    damage(40, MR_INTEGER_SHORT, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integers_come_back), cmocka_unit_test(test_short_segments),
        cmocka_unit_test(test_edges_of_tokens),    cmocka_unit_test(test_near_the_entropy),
        cmocka_unit_test(test_sums_are_split),     cmocka_unit_test(test_damaged_integers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
