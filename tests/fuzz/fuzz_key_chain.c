/* fuzz_key_chain.c - statements of next keys: an accepted one is encoded to the same bytes, and
 * nothing is taken without signatures. */
#include "tests/fuzz/fuzz.h"
#include "wire/key_chain.h"

static void write_again(const struct mr_key_statement *statement, const uint8_t *data, size_t taken)
{
    uint8_t bytes[MR_KEY_SIGNED_MAX];
    MR_ASSERT(mr_key_statement_encode(bytes, statement) == taken &&
              memcmp(bytes, data, taken) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mr_key_statement statement;
    struct mr_error error = {.text = ""};
    size_t taken;
    if (mr_key_statement_decode(&statement, data, size, &taken, &error) != 0) {
        MR_ASSERT(error.text[0] != '\0');
        return 0;
    }
    MR_ASSERT(taken <= size);
    write_again(&statement, data, taken);
    struct mr_announced_hub hubs[2] = {{.index = statement.hub_index}, {.index = 65535}};
    memcpy(hubs[0].public_key, statement.old_key, MR_PUBLIC_KEY_BYTES);
    const struct mr_key_set set = {.task = statement.task,
                                   .hubs = hubs,
                                   .hub_count = 2,
                                   .threshold = 2,
                                   .number = statement.number - 1};
    MR_ASSERT(mr_key_statement_judge(&statement, &set) != MR_KEY_TAKEN);
    return 0;
}
