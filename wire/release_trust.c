#include "wire/release_trust.h"

#include <string.h>

#include <openssl/sha.h>

#include "base/bytes.h"
#include "wire/transcript.h"

static const struct {
    const char *name, *sentence;
} faults[MR_RELEASE_FAULTS] = {
    {"taken", "the release is taken"},
#define MR_RELEASE_FAULT(NAME, name, sentence) {#name, sentence},
#include "wire/release_faults.def"
#undef MR_RELEASE_FAULT
};

const char *mr_release_fault_name(enum mr_release_fault fault)
{
    return faults[fault].name;
}

const char *mr_release_fault_sentence(enum mr_release_fault fault)
{
    return faults[fault].sentence;
}

/* --- who has signed --------------------------------------------------------------------------- */

/* What the pinned hubs have said of one manifest, over all answers. */
struct support {
    unsigned signatures;             /* hubs whose signature holds */
    unsigned fresh;                  /* … and whose word is of this time */
    uint16_t fractions[MR_HUBS_MAX]; /* of these words, the largest first */
};

static bool is_fresh(const struct mr_release_word *word, uint64_t now_s)
{
    return word->issued_s <= now_s + MR_RELEASE_SKEW_S &&
           now_s <= word->issued_s + word->valid_s + MR_RELEASE_SKEW_S;
}

/* The best that hub says of that manifest: 0 nothing that holds, 1 signed, 2 signed and fresh. */
static unsigned best_word(const struct mr_signed_release *answers, unsigned count,
                          const uint8_t *hash, const struct mr_announced_hub *hub, uint64_t now_s,
                          uint16_t *fraction)
{
    unsigned best = 0;
    uint64_t issued_s = 0;
    for (unsigned i = 0; i < count; i++) {
        for (unsigned w = 0; w < answers[i].word_count; w++) {
            const struct mr_release_word *word = &answers[i].words[w];
            if (word->hub_index != hub->index ||
                memcmp(answers[i].hash, hash, MR_HASH_BYTES) != 0 ||
                mr_release_verify(word, hash, hub->public_key) != 0) {
                continue;
            }
            best = best > 1 ? best : 1;
            if (is_fresh(word, now_s) && (best < 2 || word->issued_s > issued_s) &&
                mr_release_verify_latest(word, hash, hub->public_key) == 0) {
                best = 2;
                issued_s = word->issued_s;
                *fraction = word->fraction;
            }
        }
    }
    return best;
}

static void insert(struct support *support, uint16_t fraction)
{
    unsigned at = support->fresh++;
    while (at > 0 && support->fractions[at - 1] < fraction) {
        support->fractions[at] = support->fractions[at - 1];
        at--;
    }
    support->fractions[at] = fraction;
}

static void find_support(struct support *support, const struct mr_signed_release *answers,
                         unsigned count, const uint8_t *hash, const struct mr_release_trust *trust)
{
    *support = (struct support){.signatures = 0};
    for (unsigned h = 0; h < trust->hub_count; h++) {
        uint16_t fraction = 0;
        const unsigned best =
            best_word(answers, count, hash, &trust->hubs[h], trust->now_s, &fraction);
        support->signatures += best >= 1;
        if (best == 2) {
            insert(support, fraction);
        }
    }
}

/* --- judging ---------------------------------------------------------------------------------- */

static bool is_of_task(const struct mr_signed_release *answer, const struct mr_release_trust *trust)
{
    return strcmp(answer->release.task, trust->task) == 0;
}

/* Two manifests of one version, each with a signature of a pinned hub. */
static bool is_forked(const struct mr_signed_release *answers, unsigned count, unsigned chosen,
                      const struct mr_release_trust *trust)
{
    for (unsigned i = 0; i < count; i++) {
        struct support support;
        if (!is_of_task(&answers[i], trust) ||
            mr_release_version_compare(&answers[i].release.version,
                                       &answers[chosen].release.version) != 0 ||
            memcmp(answers[i].hash, answers[chosen].hash, MR_HASH_BYTES) == 0) {
            continue;
        }
        find_support(&support, answers, count, answers[i].hash, trust);
        if (support.signatures > 0) {
            return true;
        }
    }
    return false;
}

/* The newest of the task that at least so many hubs have signed, and who did: signatures are the
 * most that judging costs, so each is looked at once. `count` where there is none. */
static unsigned newest(struct support *found, const struct mr_signed_release *answers,
                       unsigned count, const struct mr_release_trust *trust, unsigned signatures)
{
    unsigned best = count;
    for (unsigned i = 0; i < count; i++) {
        struct support support;
        if (!is_of_task(&answers[i], trust) ||
            (best < count && mr_release_version_compare(&answers[i].release.version,
                                                        &answers[best].release.version) <= 0)) {
            continue;
        }
        find_support(&support, answers, count, answers[i].hash, trust);
        if (support.signatures >= signatures) {
            *found = support;
            best = i;
        }
    }
    return best;
}

static bool is_held_back(const struct mr_signed_release *answer, const struct support *support,
                         const struct mr_release_trust *trust)
{
    return trust->client_id && mr_release_share(answer->hash, trust->client_id) >=
                                   support->fractions[trust->threshold - 1];
}

/* Of one that enough hubs have signed. */
static enum mr_release_fault judge_signed(const struct mr_signed_release *answer,
                                          const struct support *support,
                                          const struct mr_release_trust *trust)
{
    const struct mr_release *release = &answer->release;
    const int order = mr_release_version_compare(&release->version, &trust->floor);
    if (order < 0) {
        return MR_RELEASE_OLDER;
    }
    if (order == 0 && memcmp(answer->hash, trust->floor_hash, MR_HASH_BYTES) != 0) {
        return MR_RELEASE_REPLACED;
    }
    if (trust->now_s > release->expires_s) {
        return MR_RELEASE_EXPIRED;
    }
    if (support->fresh < trust->threshold) {
        return MR_RELEASE_FROZEN;
    }
    if (release->not_before_s > trust->now_s) {
        return MR_RELEASE_NOT_YET;
    }
    if (release->client_min > trust->client) {
        return MR_RELEASE_CLIENT_TOO_OLD;
    }
    if (release->target_bytes > trust->target_bytes_max) {
        return MR_RELEASE_TOO_LARGE;
    }
    return is_held_back(answer, support, trust) ? MR_RELEASE_HELD_BACK : MR_RELEASE_TAKEN;
}

enum mr_release_fault mr_release_judge(const struct mr_signed_release *answers, unsigned count,
                                       const struct mr_release_trust *trust, unsigned *chosen)
{
    struct support support = {.signatures = 0};
    *chosen = newest(&support, answers, count, trust, trust->threshold);
    if (*chosen == count) {
        *chosen = newest(&support, answers, count, trust, 1);
        const bool any = *chosen < count;
        *chosen = any ? *chosen : 0;
        if (any && is_forked(answers, count, *chosen, trust)) {
            return MR_RELEASE_FORKED;
        }
        for (unsigned i = 0; i < count; i++) {
            if (is_of_task(&answers[i], trust)) {
                return MR_RELEASE_UNSIGNED;
            }
        }
        return count ? MR_RELEASE_WRONG_TASK : MR_RELEASE_UNSIGNED;
    }
    if (is_forked(answers, count, *chosen, trust)) {
        return MR_RELEASE_FORKED;
    }
    return judge_signed(&answers[*chosen], &support, trust);
}

/* --- shares and blocks ------------------------------------------------------------------------ */

uint16_t mr_release_share(const uint8_t release_hash[MR_HASH_BYTES],
                          const uint8_t client_id[MR_CLIENT_ID_BYTES])
{
    struct mr_transcript transcript;
    uint8_t hash[MR_HASH_BYTES] = {0};
    mr_transcript_init(&transcript, "millrace roll-out");
    mr_transcript_add(&transcript, release_hash, MR_HASH_BYTES);
    mr_transcript_add(&transcript, client_id, MR_CLIENT_ID_BYTES);
    (void)mr_transcript_hash(hash, &transcript, NULL, 0);
    return (uint16_t)(mr_be64_get(hash) % MR_RELEASE_FRACTION_ALL);
}

bool mr_release_block_holds(const struct mr_release *release, uint32_t i, const uint8_t *bytes,
                            size_t length)
{
    uint8_t hash[MR_HASH_BYTES];
    SHA256(bytes, length, hash);
    return i < release->block_count &&
           memcmp(hash, release->blocks + 32 * (size_t)i, MR_HASH_BYTES) == 0;
}
