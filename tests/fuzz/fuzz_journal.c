/* fuzz_journal.c - a helper's journal: the plain snapshot and its records, and the sealed file.
 *
 * First byte: 0 a snapshot and the records behind it (their length: the next two bytes), 1 a file
 * as it comes, 2 a file whose units (u16 length, bytes) are sealed under the true key. What is
 * accepted is written again as the same snapshot; a torn or forged unit ends the file and nothing
 * more. */
#include <stdlib.h>

#include "appliance/round/drive/helper_journal.h"
#include "appliance/storage/journal_seal.h"
#include "base/secret.h"
#include "tests/fuzz/fuzz.h"
#include "base/bytes.h"

#define FILE_MAX 16384

static const uint8_t private_key[32] = {7};

/* A state that was accepted reads the same when it is written again. */
static void check(const struct mr_journal_read *read)
{
    struct mr_journal_read again;
    struct mr_error error = {.text = ""};
    size_t length, second;
    uint8_t *bytes = mr_journal_state_encode(&read->state, &length);
    MR_ASSERT(bytes);
    MR_ASSERT(mr_journal_state_parse(&again, bytes, length, &error) == 0);
    uint8_t *twice = mr_journal_state_encode(&again.state, &second);
    MR_ASSERT(twice && second == length && memcmp(bytes, twice, length) == 0);
    MR_ASSERT(read->state.count <= read->terms.announcement.cohort_max * MR_ATTEMPTS_MAX);
    mr_journal_read_fini(&again);
    mr_secret_free(twice);
    mr_secret_free(bytes);
}

static void plain(const uint8_t *bytes, size_t length, size_t records)
{
    struct mr_journal_read read;
    struct mr_error error = {.text = ""};
    if (records > length) {
        records = length;
    }
    const size_t snapshot = length - records;
    if (mr_journal_state_parse(&read, bytes, snapshot, &error) != 0) {
        MR_ASSERT(error.text[0] != '\0');
        return;
    }
    size_t again_bytes;
    uint8_t *again = mr_journal_state_encode(&read.state, &again_bytes);
    MR_ASSERT(again && again_bytes == snapshot && memcmp(again, bytes, snapshot) == 0);
    mr_secret_free(again);
    if (mr_journal_records_parse(&read, bytes + snapshot, records, &error) == 0) {
        check(&read);
    }
    mr_journal_read_fini(&read);
}

static void parse_file(uint8_t *bytes, size_t length)
{
    struct mr_journal_read read;
    struct mr_journal_content content;
    struct mr_error error = {.text = ""};
    uint64_t generation;
    if (mr_journal_parse(&content, &generation, bytes, length, private_key, &error) != 0 ||
        mr_helper_journal_parse(&read, &content, &error) != 0) {
        MR_ASSERT(error.text[0] != '\0');
        return;
    }
    check(&read);
    mr_journal_read_fini(&read);
}

static void as_it_comes(const uint8_t *bytes, size_t length)
{
    uint8_t *copy = malloc(length + 1); /* opened in place */
    MR_ASSERT(copy);
    memcpy(copy, bytes, length);
    parse_file(copy, length);
    free(copy);
}

static void sealed(struct fuzz_input *input)
{
    static uint8_t file[FILE_MAX];
    uint8_t key[MR_JOURNAL_KEY_BYTES];
    size_t length = MR_JOURNAL_HEAD_BYTES;
    memset(file, 0, MR_JOURNAL_HEAD_BYTES);
    memcpy(file, "MRJOURN", 7);
    file[7] = MR_JOURNAL_VERSION;
    file[15] = 1;
    MR_ASSERT(mr_journal_key_derive(key, private_key, file + 16, MR_JOURNAL_SALT_BYTES,
                                    "millrace journal") == 0);
    for (uint64_t number = 0; input->left > 2; number++) {
        size_t count, most = (size_t)fuzz_byte(input) << 8;
        most |= fuzz_byte(input);
        const uint8_t *plain_bytes = fuzz_take(input, most, &count);
        if (length + count + MR_JOURNAL_UNIT_EXTRA > FILE_MAX) {
            break;
        }
        MR_ASSERT(mr_journal_seal(file + length, key, file, number, plain_bytes, count) == 0);
        length += count + MR_JOURNAL_UNIT_EXTRA;
    }
    as_it_comes(file,
                length - fuzz_byte(input) % length); /* a byte that is left cuts the end off */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3) {
        return 0;
    }
    struct fuzz_input input = {data + 1, size - 1};
    switch (data[0]) {
    case 0:
        plain(data + 3, size - 3, (size_t)data[1] << 8 | data[2]);
        break;
    case 1:
        as_it_comes(data + 1, size - 1);
        break;
    case 2:
        sealed(&input);
        break;
    default:
        break;
    }
    return 0;
}
