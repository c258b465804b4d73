#include "appliance/model/rollout.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "wire/release_trust.h"

#define ROOM_LEAST         64u
#define STEP_S             3600u
#define REPORTS_MIN        10u
#define PERCENT            100u
#define FRACTION_A_PERCENT (MR_RELEASE_FRACTION_ALL / 100)

const char *mr_rollout_state_name(enum mr_rollout_state state)
{
    static const char *const names[MR_ROLLOUT_STATES] = {"going", "stopped", "held", "withdrawn"};
    return names[state];
}

void mr_rollout_policy_of(struct mr_rollout_policy *policy, const struct mr_config_releases *config)
{
    *policy = (struct mr_rollout_policy){
        .step_s = config->rollout_step_s ? config->rollout_step_s : STEP_S,
        .kept_min = config->rollout_kept_min,
        .reports_min = config->health_reports_min ? config->health_reports_min : REPORTS_MIN,
        .failures_percent = config->health_failures_percent};
    const int bad = mr_config_rollout(&policy->steps, config->rollout, NULL);
    MR_ASSERT(bad == 0); /* checked with the configuration */
}

/* --- a release -------------------------------------------------------------------------------- */

void mr_rollout_fini(struct mr_rollout *rollout)
{
    struct mr_rollout_voice *voices = rollout->voices;
    *rollout = (struct mr_rollout){.voices = NULL, .room = 0};
    free(voices);
}

void mr_rollout_begin(struct mr_rollout *rollout, const uint8_t release[MR_HASH_BYTES],
                      const struct mr_release_version *version, uint64_t now_s)
{
    const bool carried = rollout->known && (rollout->state == MR_ROLLOUT_STOPPED ||
                                            rollout->state == MR_ROLLOUT_HELD);
    mr_rollout_fini(rollout);
    rollout->known = true;
    rollout->version = *version;
    rollout->state = carried ? MR_ROLLOUT_HELD : MR_ROLLOUT_GOING;
    rollout->since_s = now_s;
    memcpy(rollout->release, release, MR_HASH_BYTES);
}

uint16_t mr_rollout_fraction(const struct mr_rollout *rollout,
                             const struct mr_rollout_policy *policy)
{
    const unsigned last = policy->steps.steps - 1;
    const unsigned step = rollout->step < last ? rollout->step : last;
    return rollout->state == MR_ROLLOUT_GOING
               ? (uint16_t)(policy->steps.percent[step] * FRACTION_A_PERCENT)
               : 0;
}

uint8_t mr_rollout_tags(const struct mr_rollout *rollout, const struct mr_rollout_policy *policy)
{
    const unsigned reached =
        rollout->step < policy->steps.tags ? rollout->step + 1 : policy->steps.tags;
    return rollout->state == MR_ROLLOUT_GOING ? (uint8_t)((1u << reached) - 1) : 0;
}

static uint32_t bad(const struct mr_rollout *rollout)
{
    return rollout->counts[MR_RELEASE_WENT_BACK] + rollout->counts[MR_RELEASE_FAILED];
}

static uint32_t all(const struct mr_rollout *rollout)
{
    return rollout->counts[MR_RELEASE_KEPT] + bad(rollout);
}

static uint32_t beyond(uint32_t count, uint32_t forgiven)
{
    return count > forgiven ? count - forgiven : 0;
}

static bool is_bad(const struct mr_rollout *rollout, const struct mr_rollout_policy *policy)
{
    const uint64_t reports = beyond(all(rollout), rollout->forgiven_all);
    const uint64_t failures = beyond(bad(rollout), rollout->forgiven_bad);
    return reports >= policy->reports_min &&
           failures * PERCENT > reports * policy->failures_percent;
}

enum mr_rollout_change mr_rollout_turn(struct mr_rollout *rollout,
                                       const struct mr_rollout_policy *policy, uint64_t now_s)
{
    if (!rollout->known || rollout->state != MR_ROLLOUT_GOING) {
        return MR_ROLLOUT_SAME;
    }
    enum mr_rollout_change change = MR_ROLLOUT_SAME;
    if (is_bad(rollout, policy)) {
        rollout->state = MR_ROLLOUT_STOPPED;
        return MR_ROLLOUT_STOP;
    }
    if (rollout->step + 1 < policy->steps.steps && now_s >= rollout->since_s + policy->step_s &&
        rollout->counts[MR_RELEASE_KEPT] >= policy->kept_min) {
        rollout->step++;
        rollout->since_s = now_s;
        change = MR_ROLLOUT_NEXT_STEP;
    }
    const uint16_t fraction = mr_rollout_fraction(rollout, policy);
    rollout->peak = fraction > rollout->peak ? fraction : rollout->peak;
    rollout->tags |= mr_rollout_tags(rollout, policy);
    return change;
}

/* --- what devices say ------------------------------------------------------------------------- */

/* The device's place, or the one that it would get. The room is never full. */
static struct mr_rollout_voice *place_of(const struct mr_rollout *rollout,
                                         const uint8_t client_id[MR_CLIENT_ID_BYTES])
{
    const uint64_t mixed =
        (mr_be64_get(client_id) ^ (mr_be64_get(client_id + 8) << 1)) * 0x9e3779b97f4a7c15ull;
    size_t at = (size_t)(mixed >> 32) & (rollout->room - 1);
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): make_room comes before, and a table is there */
    while (rollout->voices[at].outcome != 0 &&
           memcmp(rollout->voices[at].client_id, client_id, MR_CLIENT_ID_BYTES) != 0) {
        at = (at + 1) & (rollout->room - 1);
    }
    return &rollout->voices[at];
}

/* Place for one more. */
static int make_room(struct mr_rollout *rollout)
{
    const struct mr_rollout old = *rollout;
    if (2 * ((size_t)all(rollout) + 1) <= rollout->room) {
        return 0;
    }
    const size_t room = rollout->room ? 2 * rollout->room : ROOM_LEAST;
    struct mr_rollout_voice *voices = calloc(room, sizeof *voices);
    if (!voices) {
        return -1;
    }
    rollout->voices = voices;
    rollout->room = room;
    for (size_t i = 0; i < old.room; i++) {
        if (old.voices[i].outcome != 0) {
            *place_of(rollout, old.voices[i].client_id) = old.voices[i];
        }
    }
    free(old.voices);
    return 0;
}

/* Somebody who is well gives up his place: moved along so that no other is lost. False: nobody is.
 */
static bool take_a_place(struct mr_rollout *rollout)
{
    size_t at = 0;
    while (at < rollout->room && rollout->voices[at].outcome != 1 + MR_RELEASE_KEPT) {
        at++;
    }
    if (at == rollout->room) {
        return false;
    }
    rollout->voices[at].outcome = 0;
    rollout->counts[MR_RELEASE_KEPT]--;
    for (size_t next = (at + 1) & (rollout->room - 1); rollout->voices[next].outcome != 0;
         next = (next + 1) & (rollout->room - 1)) {
        const struct mr_rollout_voice moved = rollout->voices[next];
        rollout->voices[next].outcome = 0;
        *place_of(rollout, moved.client_id) = moved;
    }
    return true;
}

static enum mr_rollout_heard put_voice(struct mr_rollout *rollout,
                                       const uint8_t client_id[MR_CLIENT_ID_BYTES],
                                       enum mr_release_outcome outcome)
{
    if (make_room(rollout) != 0) {
        return MR_ROLLOUT_NO_MEMORY;
    }
    struct mr_rollout_voice *voice = place_of(rollout, client_id);
    if (voice->outcome == 1 + outcome) {
        return MR_ROLLOUT_REPEATED;
    }
    if (voice->outcome == 0 && all(rollout) >= MR_ROLLOUT_VOICES_MAX) {
        if (outcome == MR_RELEASE_KEPT || !take_a_place(rollout)) {
            return MR_ROLLOUT_NO_ROOM;
        }
        voice = place_of(rollout, client_id);
    }
    if (voice->outcome != 0) {
        rollout->counts[voice->outcome - 1]--;
    }
    memcpy(voice->client_id, client_id, MR_CLIENT_ID_BYTES);
    voice->outcome = (uint8_t)(1 + outcome);
    rollout->counts[outcome]++;
    return MR_ROLLOUT_HEARD;
}

enum mr_rollout_heard mr_rollout_hear(struct mr_rollout *rollout,
                                      const uint8_t client_id[MR_CLIENT_ID_BYTES], uint8_t tags,
                                      enum mr_release_outcome outcome)
{
    return mr_release_share(rollout->release, client_id) >= rollout->peak &&
                   (rollout->tags & tags) == 0
               ? MR_ROLLOUT_NOT_LET
               : put_voice(rollout, client_id, outcome);
}

/* --- the operator ----------------------------------------------------------------------------- */

bool mr_rollout_hold(struct mr_rollout *rollout)
{
    if (!rollout->known || rollout->state == MR_ROLLOUT_WITHDRAWN) {
        return false;
    }
    rollout->state = MR_ROLLOUT_HELD;
    return true;
}

bool mr_rollout_go_on(struct mr_rollout *rollout, uint64_t now_s)
{
    if (!rollout->known ||
        (rollout->state != MR_ROLLOUT_STOPPED && rollout->state != MR_ROLLOUT_HELD)) {
        return false;
    }
    rollout->state = MR_ROLLOUT_GOING;
    rollout->since_s = now_s;
    rollout->forgiven_bad = bad(rollout);
    rollout->forgiven_all = all(rollout);
    return true;
}

bool mr_rollout_withdraw(struct mr_rollout *rollout)
{
    if (!rollout->known) {
        return false;
    }
    rollout->state = MR_ROLLOUT_WITHDRAWN;
    return true;
}

/* --- records ---------------------------------------------------------------------------------- */

enum { RECORD_ALL = 1, RECORD_STATE, RECORD_VOICE };
enum { STATE_BYTES = 25, VOICE_BYTES = 18, WHOLE_BYTES = 1 + 32 + 12 + STATE_BYTES };
_Static_assert(STATE_BYTES <= MR_ROLLOUT_RECORD_BYTES, "a record fits");

size_t mr_rollout_record_state(uint8_t *record, const struct mr_rollout *rollout)
{
    record[0] = RECORD_STATE;
    record[1] = (uint8_t)rollout->state;
    mr_be32_put(record + 2, rollout->step);
    mr_be64_put(record + 6, rollout->since_s);
    mr_be16_put(record + 14, rollout->peak);
    mr_be32_put(record + 16, rollout->forgiven_bad);
    mr_be32_put(record + 20, rollout->forgiven_all);
    record[24] = rollout->tags;
    return STATE_BYTES;
}

size_t mr_rollout_record_voice(uint8_t *record, const uint8_t client_id[MR_CLIENT_ID_BYTES],
                               enum mr_release_outcome outcome)
{
    record[0] = RECORD_VOICE;
    record[1] = (uint8_t)outcome;
    memcpy(record + 2, client_id, MR_CLIENT_ID_BYTES);
    return VOICE_BYTES;
}

uint8_t *mr_rollout_record_all(const struct mr_rollout *rollout, size_t *length)
{
    *length = WHOLE_BYTES + VOICE_BYTES * (size_t)all(rollout);
    uint8_t *bytes = malloc(*length), *at = bytes;
    if (!bytes) {
        return NULL;
    }
    *at++ = RECORD_ALL;
    memcpy(at, rollout->release, MR_HASH_BYTES);
    mr_be64_put(at + 32, rollout->version.round);
    mr_be32_put(at + 40, rollout->version.step);
    at += 44;
    at += mr_rollout_record_state(at, rollout);
    for (size_t i = 0; i < rollout->room; i++) {
        const struct mr_rollout_voice *voice = &rollout->voices[i];
        if (voice->outcome != 0) {
            at += mr_rollout_record_voice(at, voice->client_id,
                                          (enum mr_release_outcome)(voice->outcome - 1));
        }
    }
    MR_ASSERT(at == bytes + *length);
    return bytes;
}

static int replay_state(struct mr_rollout *rollout, const uint8_t *record)
{
    if (record[0] != RECORD_STATE || record[1] >= MR_ROLLOUT_STATES) {
        return -1;
    }
    rollout->state = (enum mr_rollout_state)record[1];
    rollout->step = mr_be32_get(record + 2);
    rollout->since_s = mr_be64_get(record + 6);
    rollout->peak = mr_be16_get(record + 14);
    rollout->forgiven_bad = mr_be32_get(record + 16);
    rollout->forgiven_all = mr_be32_get(record + 20);
    rollout->tags = record[24];
    return 0;
}

static int replay_voice(struct mr_rollout *rollout, const uint8_t *record)
{
    return record[0] != RECORD_VOICE || record[1] >= MR_RELEASE_OUTCOMES ||
                   put_voice(rollout, record + 2, (enum mr_release_outcome)record[1]) ==
                       MR_ROLLOUT_NO_MEMORY
               ? -1
               : 0;
}

static int replay_all(struct mr_rollout *rollout, const uint8_t *record, size_t length)
{
    const struct mr_release_version version = {.round = mr_be64_get(record + 33),
                                               .step = mr_be32_get(record + 41)};
    mr_rollout_begin(rollout, record + 1, &version, 0);
    int bad_record = replay_state(rollout, record + 45);
    for (size_t at = WHOLE_BYTES; bad_record == 0 && at < length; at += VOICE_BYTES) {
        bad_record = replay_voice(rollout, record + at);
    }
    return bad_record;
}

int mr_rollout_replay(struct mr_rollout *rollout, const uint8_t *record, size_t length)
{
    if (length >= WHOLE_BYTES && record[0] == RECORD_ALL &&
        (length - WHOLE_BYTES) % VOICE_BYTES == 0) {
        return replay_all(rollout, record, length);
    }
    if (!rollout->known || length == 0) {
        return -1;
    }
    return length == STATE_BYTES   ? replay_state(rollout, record)
           : length == VOICE_BYTES ? replay_voice(rollout, record)
                                   : -1;
}
