#include "wire/key_chain.h"

#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "wire/transcript.h"

#define VERSION     1
#define FIXED_BYTES 77 /* all but the task's name */
#define WORD_BYTES  (2 + MR_SIGNATURE_BYTES)

static const uint8_t magic[4] = {'M', 'R', 'N', 'K'};

static const struct {
    const char *name, *sentence;
} faults[MR_KEY_FAULTS] = {
    {"taken", "the next key is taken"},
#define MR_KEY_FAULT(NAME, name, sentence) {#name, sentence},
#include "wire/key_faults.def"
#undef MR_KEY_FAULT
};

const char *mr_key_fault_name(enum mr_key_fault fault)
{
    return faults[fault].name;
}

const char *mr_key_fault_sentence(enum mr_key_fault fault)
{
    return faults[fault].sentence;
}

/* --- bytes ------------------------------------------------------------------------------------ */

static size_t canonical(uint8_t *out, const struct mr_key_statement *statement)
{
    const size_t name = strlen(statement->task);
    memcpy(out, magic, sizeof magic);
    mr_be16_put(out + 4, VERSION);
    mr_be32_put(out + 6, statement->number);
    mr_be16_put(out + 10, statement->hub_index);
    memcpy(out + 12, statement->old_key, MR_PUBLIC_KEY_BYTES);
    memcpy(out + 44, statement->new_key, MR_PUBLIC_KEY_BYTES);
    out[76] = (uint8_t)name;
    memcpy(out + FIXED_BYTES, statement->task, name);
    return FIXED_BYTES + name;
}

size_t mr_key_statement_encode(uint8_t out[MR_KEY_SIGNED_MAX],
                               const struct mr_key_statement *statement)
{
    const size_t length = canonical(out + 2, statement);
    uint8_t *at = out + 2 + length;
    mr_be16_put(out, (uint16_t)length);
    memcpy(at, statement->held, MR_SIGNATURE_BYTES);
    at[MR_SIGNATURE_BYTES] = (uint8_t)statement->word_count;
    at += MR_SIGNATURE_BYTES + 1;
    for (unsigned i = 0; i < statement->word_count; i++, at += WORD_BYTES) {
        mr_be16_put(at, statement->words[i].hub_index);
        memcpy(at + 2, statement->words[i].signature, MR_SIGNATURE_BYTES);
    }
    MR_ASSERT(at <= out + MR_KEY_SIGNED_MAX);
    return (size_t)(at - out);
}

static int read_words(struct mr_key_statement *statement, const uint8_t *at, struct mr_error *error)
{
    for (unsigned i = 0; i < statement->word_count; i++, at += WORD_BYTES) {
        struct mr_key_word *word = &statement->words[i];
        word->hub_index = mr_be16_get(at);
        memcpy(word->signature, at + 2, MR_SIGNATURE_BYTES);
        if (i > 0 && word->hub_index <= word[-1].hub_index) {
            return mr_error_set(error, "the hubs' signatures are not in rising order");
        }
    }
    return 0;
}

static int read_canonical(struct mr_key_statement *statement, const uint8_t *at, size_t size,
                          struct mr_error *error)
{
    if (size < FIXED_BYTES || size > MR_KEY_STATEMENT_MAX || size != FIXED_BYTES + (size_t)at[76] ||
        memcmp(at, magic, sizeof magic) != 0 || mr_be16_get(at + 4) != VERSION) {
        return mr_error_set(error, "this is no statement of a next key of version %d", VERSION);
    }
    statement->number = mr_be32_get(at + 6);
    statement->hub_index = mr_be16_get(at + 10);
    memcpy(statement->old_key, at + 12, MR_PUBLIC_KEY_BYTES);
    memcpy(statement->new_key, at + 44, MR_PUBLIC_KEY_BYTES);
    memcpy(statement->task, at + FIXED_BYTES, size - FIXED_BYTES);
    if (statement->number == 0 || !mr_task_name_valid(statement->task) ||
        strlen(statement->task) != size - FIXED_BYTES) {
        return mr_error_set(error, "the statement has no number, or the task's name is none");
    }
    return 0;
}

int mr_key_statement_decode(struct mr_key_statement *statement, const uint8_t *bytes, size_t length,
                            size_t *taken, struct mr_error *error)
{
    *statement = (struct mr_key_statement){.number = 0};
    *taken = 0;
    const size_t size = length < 2 ? 0 : mr_be16_get(bytes);
    const size_t head = 2 + size + MR_SIGNATURE_BYTES + 1;
    if (length < 2 || length < head) {
        return mr_error_set(error, "the statement is cut short");
    }
    statement->word_count = bytes[head - 1];
    if (statement->word_count > MR_HUBS_MAX ||
        (length - head) / WORD_BYTES < statement->word_count) {
        return mr_error_set(error, "the statement's signatures are cut short");
    }
    *taken = head + statement->word_count * (size_t)WORD_BYTES;
    memcpy(statement->held, bytes + 2 + size, MR_SIGNATURE_BYTES);
    return read_canonical(statement, bytes + 2, size, error) != 0
               ? -1
               : read_words(statement, bytes + head, error);
}

/* --- signatures ------------------------------------------------------------------------------- */

static int text(struct mr_transcript *transcript, const struct mr_key_statement *statement,
                const char *label)
{
    struct mr_transcript none = {.length = 0};
    uint8_t bytes[MR_KEY_STATEMENT_MAX], hash[MR_HASH_BYTES];
    const size_t length = canonical(bytes, statement);
    if (mr_transcript_hash(hash, &none, bytes, length) != 0) {
        return -1;
    }
    mr_transcript_init(transcript, label);
    mr_transcript_add(transcript, hash, MR_HASH_BYTES);
    return 0;
}

static const char endorsed[] = "millrace next key", held[] = "millrace next key held";

int mr_key_statement_hold(struct mr_key_statement *statement, const uint8_t private_key[32])
{
    struct mr_transcript transcript;
    return text(&transcript, statement, held) != 0
               ? -1
               : mr_transcript_sign(statement->held, &transcript, private_key);
}

int mr_key_statement_endorse(struct mr_key_statement *statement, uint16_t hub_index,
                             const uint8_t private_key[32])
{
    struct mr_transcript transcript;
    unsigned at = 0;
    while (at < statement->word_count && statement->words[at].hub_index < hub_index) {
        at++;
    }
    if (at == statement->word_count || statement->words[at].hub_index != hub_index) {
        if (statement->word_count == MR_HUBS_MAX) {
            return -1;
        }
        memmove(&statement->words[at + 1], &statement->words[at],
                (statement->word_count - at) * sizeof statement->words[0]);
        statement->word_count++;
    }
    statement->words[at].hub_index = hub_index;
    return text(&transcript, statement, endorsed) != 0
               ? -1
               : mr_transcript_sign(statement->words[at].signature, &transcript, private_key);
}

static bool holds(const struct mr_key_statement *statement, const char *label,
                  const uint8_t *signature, const uint8_t *key)
{
    struct mr_transcript transcript;
    return text(&transcript, statement, label) == 0 &&
           mr_transcript_verify(signature, &transcript, key) == 0;
}

/* --- judging ---------------------------------------------------------------------------------- */

static const struct mr_announced_hub *hub_of(const struct mr_key_set *set, uint16_t index)
{
    for (unsigned i = 0; i < set->hub_count; i++) {
        if (set->hubs[i].index == index) {
            return &set->hubs[i];
        }
    }
    return NULL;
}

static bool is_known(const struct mr_key_set *set, const uint8_t key[MR_PUBLIC_KEY_BYTES])
{
    for (unsigned i = 0; i < set->hub_count; i++) {
        if (memcmp(set->hubs[i].public_key, key, MR_PUBLIC_KEY_BYTES) == 0) {
            return true;
        }
    }
    return false;
}

static enum mr_key_fault judge_signatures(const struct mr_key_statement *statement,
                                          const struct mr_key_set *set)
{
    bool own = false;
    unsigned count = 0;
    if (!holds(statement, held, statement->held, statement->new_key)) {
        return MR_KEY_NOT_HELD;
    }
    for (unsigned i = 0; i < statement->word_count; i++) {
        const struct mr_key_word *word = &statement->words[i];
        const struct mr_announced_hub *hub = hub_of(set, word->hub_index);
        if (hub && holds(statement, endorsed, word->signature, hub->public_key)) {
            count++;
            own = own || word->hub_index == statement->hub_index;
        }
    }
    return !own ? MR_KEY_NOT_OWN : count < set->threshold ? MR_KEY_TOO_FEW : MR_KEY_TAKEN;
}

enum mr_key_fault mr_key_statement_judge(const struct mr_key_statement *statement,
                                         const struct mr_key_set *set)
{
    if (strcmp(statement->task, set->task) != 0) {
        return MR_KEY_WRONG_TASK;
    }
    if (statement->number != set->number + 1) {
        return statement->number <= set->number ? MR_KEY_PASSED : MR_KEY_SKIPPED;
    }
    const struct mr_announced_hub *hub = hub_of(set, statement->hub_index);
    if (!hub) {
        return MR_KEY_UNKNOWN_HUB;
    }
    if (memcmp(hub->public_key, statement->old_key, MR_PUBLIC_KEY_BYTES) != 0) {
        return MR_KEY_WRONG_KEY;
    }
    /* Else one key would count for two hubs. */
    if (is_known(set, statement->new_key)) {
        return MR_KEY_KNOWN_KEY;
    }
    return judge_signatures(statement, set);
}

static void take(struct mr_key_set *set, const struct mr_key_statement *statement)
{
    for (unsigned i = 0; i < set->hub_count; i++) {
        if (set->hubs[i].index == statement->hub_index) {
            memcpy(set->hubs[i].public_key, statement->new_key, MR_PUBLIC_KEY_BYTES);
        }
    }
    set->number = statement->number;
}

enum mr_key_fault mr_key_chain_follow(struct mr_key_set *set, uint8_t *bytes, size_t length,
                                      size_t *taken)
{
    size_t at = 0;
    *taken = 0;
    while (at < length) {
        struct mr_key_statement statement;
        size_t size;
        if (mr_key_statement_decode(&statement, bytes + at, length - at, &size, NULL) != 0) {
            return MR_KEY_MALFORMED;
        }
        const enum mr_key_fault fault = mr_key_statement_judge(&statement, set);
        if (fault == MR_KEY_TAKEN) {
            take(set, &statement);
            memmove(bytes + *taken, bytes + at, size);
            *taken += size;
        } else if (fault != MR_KEY_PASSED) {
            return fault;
        }
        at += size;
    }
    return MR_KEY_TAKEN;
}
