/* key_chain.h - a hub's next signing key, as devices hear of it: a statement that the key before,
 * the next one and as many hubs as a device's threshold have signed. Statements of a task are
 * numbered from 1 on; a device takes them one by one from the keys that it has pinned. Format:
 * docs/wire-format.md, "Next keys". Why: docs/decisions/0055-next-keys.md. Pure. */
#ifndef MR_WIRE_KEY_CHAIN_H
#define MR_WIRE_KEY_CHAIN_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "wire/announcement.h"
#include "wire/task.h"

#define MR_KEY_CHAIN_MAX       256 /* statements of a task */
#define MR_KEY_STATEMENT_MAX   (77 + MR_TASK_NAME_MAX)
#define MR_KEY_SIGNED_MAX      (2 + MR_KEY_STATEMENT_MAX + 65 + 66 * MR_HUBS_MAX)
#define MR_KEY_CHAIN_BYTES_MAX (MR_KEY_CHAIN_MAX * MR_KEY_SIGNED_MAX)

struct mr_key_word {
    uint16_t hub_index;
    uint8_t signature[MR_SIGNATURE_BYTES];
};

struct mr_key_statement {
    char task[MR_TASK_NAME_MAX + 1];
    uint32_t number; /* from 1 on */
    uint16_t hub_index;
    uint8_t old_key[MR_PUBLIC_KEY_BYTES], new_key[MR_PUBLIC_KEY_BYTES];
    uint8_t held[MR_SIGNATURE_BYTES]; /* by the new key */
    unsigned word_count;
    struct mr_key_word words[MR_HUBS_MAX]; /* by rising index; of hub_index by the old key */
};

/* The signed statement's bytes; how many. */
size_t mr_key_statement_encode(uint8_t out[MR_KEY_SIGNED_MAX],
                               const struct mr_key_statement *statement);
/* The first one of these bytes, *taken of them. Its form alone. 0 or -1 with an error. */
int mr_key_statement_decode(struct mr_key_statement *statement, const uint8_t *bytes, size_t length,
                            size_t *taken, struct mr_error *error);

/* Signs what it says: as a hub (in its place among the words; another word of that hub is
 * replaced), or as the new key. 0, or -1 when OpenSSL fails. */
int mr_key_statement_endorse(struct mr_key_statement *statement, uint16_t hub_index,
                             const uint8_t private_key[32]);
int mr_key_statement_hold(struct mr_key_statement *statement, const uint8_t private_key[32]);

enum mr_key_fault {
    MR_KEY_TAKEN = 0,
#define MR_KEY_FAULT(NAME, name, sentence) MR_KEY_##NAME,
#include "wire/key_faults.def"
#undef MR_KEY_FAULT
    MR_KEY_FAULTS
};
const char *mr_key_fault_name(enum mr_key_fault fault);
const char *mr_key_fault_sentence(enum mr_key_fault fault);

/* The keys that hold, and how many statements led to them. */
struct mr_key_set {
    const char *task;
    struct mr_announced_hub *hubs; /* their public keys are replaced by what is taken */
    unsigned hub_count, threshold; /* threshold: 2 to hub_count */
    uint32_t number;               /* of the last statement that was taken; 0: none */
};

/* Whether it is the next one of this set. Changes nothing. */
enum mr_key_fault mr_key_statement_judge(const struct mr_key_statement *statement,
                                         const struct mr_key_set *set);
/* Takes the statements of these bytes one after another; those that were taken before are passed
 * over. Returns why it went no further (MR_KEY_TAKEN: all were good). What was taken, and nothing
 * else, is moved to the start of the bytes: *taken of them. */
enum mr_key_fault mr_key_chain_follow(struct mr_key_set *set, uint8_t *bytes, size_t length,
                                      size_t *taken);

#endif
