/* test_integer_two.c - segments of integers that are read two at a time are what they are one by
 * one, damaged or not. */
#include "wire_test.h"

#include "tests/unit/wire/integer_scene.h"

static struct mr_error error;

#define SEGMENTS 5u
#define LAST     777u /* integers of the last one */
#define ALL      ((SEGMENTS - 1) * MR_INTEGER_SEGMENT + LAST)

/* All of it; how many integers that were, or -1. */
static long read_all(uint32_t *values, struct mr_integer_reader reader,
                     long (*read)(struct mr_integer_reader *, struct mr_error *))
{
    long all = 0, more;
    while ((more = read(&reader, &error)) > 0) {
        memcpy(values + all, room.values, (size_t)more * sizeof *values);
        all += more;
    }
    return more < 0 || reader.at != reader.length ? -1 : all;
}

/* Read by twos the bytes mean what they mean one by one. */
static void compare(const uint8_t *bytes, size_t length)
{
    static uint32_t one_by_one[ALL], by_twos[ALL];
    uint8_t *copy = malloc(length); /* so that a read beyond the end shows */
    MR_ASSERT(copy);
    memcpy(copy, bytes, length);
    struct mr_integer_reader reader = reader_of(copy, length, ALL);
    const long want = read_all(one_by_one, reader, mr_integer_read);
    for (enum mr_cpu_level level = MR_CPU_SCALAR; level <= MR_CPU_NEON; level <<= 1) {
        reader.kernels = mr_kernels_at(level);
        if (reader.kernels) {
            assert_int_equal(read_all(by_twos, reader, mr_integer_read_more), want);
            assert_memory_equal(by_twos, one_by_one, want < 0 ? 0 : (size_t)want * sizeof *by_twos);
        }
    }
    free(copy);
}

static void test_two_at_a_time(void **state)
{
    (void)state;
    static uint8_t bytes[SEGMENTS * MR_INTEGER_SEGMENT_BYTES_MAX];
    static uint32_t values[MR_INTEGER_SEGMENT];
    size_t length = 0;
    for (unsigned s = 0; s < SEGMENTS; s++) {
        const size_t count = s == SEGMENTS - 1 ? LAST : MR_INTEGER_SEGMENT;
        for (size_t i = 0; i < count; i++) { /* the fourth is of another form */
            values[i] = s == 3 ? next_random() >> (i % 32) : mr_zigzag(bell(60 * (s + 1)));
        }
        length += mr_integer_write(bytes + length, values, count, &scratch);
    }
    compare(bytes, length);
    for (unsigned i = 0; i < 60; i++) { /* the first two, more often where their heads are */
        const size_t at = next_random() % (i % 2 ? length / 2 : 200);
        const uint8_t bit = (uint8_t)(1u << (next_random() % 8));
        bytes[at] ^= bit;
        compare(bytes, length);
        bytes[at] ^= bit;
        compare(bytes, next_random() % length + 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_two_at_a_time)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
