#include "appliance/model/rollouts.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/config/device_tags.h"
#include "appliance/model/release_make.h"
#include "appliance/model/release_times.h"
#include "appliance/model/rollout_log.h"
#include "appliance/model/rollout_row.h"
#include "appliance/storage/files.h"
#include "base/assert.h"
#include "base/bytes.h"

struct waiting {
    mr_rollouts_answer_fn fn;
    void *token;
    bool row; /* is answered with the newest release's */
};

/* What one write takes to the disk, and who waits for it. */
struct batch {
    struct mr_rollouts *rollouts;
    uint8_t (*records)[MR_ROLLOUT_RECORD_BYTES];
    size_t *lengths;
    unsigned count, room;
    bool anew; /* after these, a file that begins with all that is known */
    uint8_t *whole;
    size_t whole_bytes;
    struct waiting *waiting;
    unsigned waiting_count, waiting_room;
    int result;
    struct mr_error error;
};

struct mr_rollouts {
    struct mr_rollouts_config config;
    struct mr_rollout_policy policy;
    struct mr_device_tags tags;
    struct mr_rollout rollout;
    struct mr_rollout_log *log; /* the job's while `writing` */
    struct batch *next;         /* NULL: nothing waits to be written */
    bool writing, halted;
};

static void refuse(mr_rollouts_answer_fn fn, void *token, enum mr_refusal_code code,
                   const char *text)
{
    struct mr_refusal refusal;
    (void)mr_refuse(&refusal, code, "%s", text);
    fn(token, &refusal, NULL);
}

/* --- writing ---------------------------------------------------------------------------------- */

static void free_batch(struct batch *batch)
{
    free(batch->records);
    free(batch->lengths);
    free(batch->whole);
    free(batch->waiting);
    free(batch);
}

static struct batch *next_batch(struct mr_rollouts *rollouts)
{
    if (!rollouts->next) {
        rollouts->next = calloc(1, sizeof *rollouts->next);
        MR_ASSERT(rollouts->next);
        rollouts->next->rollouts = rollouts;
    }
    return rollouts->next;
}

static void *grown(void *list, unsigned count, unsigned *room, size_t bytes)
{
    if (count < *room) {
        return list;
    }
    *room = *room ? 2 * *room : 8;
    void *fresh = realloc(list, *room * bytes);
    MR_ASSERT(fresh);
    return fresh;
}

/* Where all that is known is written anyway, it is among that. */
static void add_record(struct mr_rollouts *rollouts, const uint8_t *record, size_t length)
{
    struct batch *batch = next_batch(rollouts);
    if (batch->anew) {
        return;
    }
    unsigned room = batch->room;
    batch->records = grown(batch->records, batch->count, &room, sizeof *batch->records);
    batch->lengths = grown(batch->lengths, batch->count, &batch->room, sizeof *batch->lengths);
    memcpy(batch->records[batch->count], record, length);
    batch->lengths[batch->count++] = length;
}

static void add_state(struct mr_rollouts *rollouts)
{
    uint8_t record[MR_ROLLOUT_RECORD_BYTES];
    add_record(rollouts, record, mr_rollout_record_state(record, &rollouts->rollout));
}

static void add_waiting(struct mr_rollouts *rollouts, const struct waiting *waiting)
{
    struct batch *batch = next_batch(rollouts);
    batch->waiting =
        grown(batch->waiting, batch->waiting_count, &batch->waiting_room, sizeof *batch->waiting);
    batch->waiting[batch->waiting_count++] = *waiting;
}

static void write_work(void *context)
{
    struct batch *batch = context;
    struct mr_rollout_log *log = batch->rollouts->log;
    batch->result = 0;
    for (unsigned i = 0; batch->result == 0 && i < batch->count;) {
        const uint8_t *records[64];
        unsigned count = 0;
        while (count < 64 && i + count < batch->count) {
            records[count] = batch->records[i + count];
            count++;
        }
        batch->result =
            mr_rollout_log_write(log, records, batch->lengths + i, count, &batch->error);
        i += count;
    }
    if (batch->whole) {
        batch->result = mr_rollout_log_anew(log, batch->whole, batch->whole_bytes, &batch->error);
    }
}

static void start_writing(struct mr_rollouts *rollouts);

static void answer_batch(const struct batch *batch)
{
    for (unsigned i = 0; i < batch->waiting_count; i++) {
        const struct waiting *waiting = &batch->waiting[i];
        if (batch->result != 0) {
            refuse(waiting->fn, waiting->token, MR_REFUSAL_INTERNAL, batch->error.text);
        } else {
            waiting->fn(waiting->token, NULL,
                        waiting->row ? mr_rollout_row(&batch->rollouts->rollout, NULL, true,
                                                      &batch->rollouts->policy)
                                     : NULL);
        }
    }
}

static void write_done(void *context)
{
    struct batch *batch = context;
    struct mr_rollouts *rollouts = batch->rollouts;
    rollouts->writing = false;
    if (batch->result != 0) {
        mr_log_event(rollouts->config.log, MR_LOG_ERROR, "release.unwritten", "task=%s why=%s",
                     rollouts->config.task, batch->error.text);
    }
    answer_batch(batch);
    free_batch(batch);
    start_writing(rollouts);
}

static void start_writing(struct mr_rollouts *rollouts)
{
    struct batch *batch = rollouts->next;
    if (!batch || rollouts->writing) {
        return;
    }
    rollouts->next = NULL;
    if (rollouts->halted) {
        batch->result = mr_error_set(&batch->error, "the hub stops");
        answer_batch(batch);
        free_batch(batch);
        return;
    }
    rollouts->writing = true;
    if (!mr_rollout_log_is_whole(rollouts->log)) {
        batch->anew = true;
        batch->count = 0;
    }
    if (batch->anew) {
        batch->whole = mr_rollout_record_all(&rollouts->rollout, &batch->whole_bytes);
        MR_ASSERT(batch->whole);
    }
    mr_job_run(rollouts->config.jobs, write_work, write_done, batch);
}

/* --- going on --------------------------------------------------------------------------------- */

static void tell(const struct mr_rollouts *rollouts, enum mr_log_level level, const char *event,
                 const char *by)
{
    const struct mr_rollout *rollout = &rollouts->rollout;
    mr_log_event(rollouts->config.log, level, event,
                 "task=%s version=%" PRIu64 ".%" PRIu32 " percent=%u kept=%" PRIu32
                 " went_back=%" PRIu32 " failed=%" PRIu32 " by=%s",
                 rollouts->config.task, rollout->version.round, rollout->version.step,
                 mr_rollout_fraction(rollout, &rollouts->policy) * 100u / MR_RELEASE_FRACTION_ALL,
                 rollout->counts[MR_RELEASE_KEPT], rollout->counts[MR_RELEASE_WENT_BACK],
                 rollout->counts[MR_RELEASE_FAILED], by);
}

static void turn(struct mr_rollouts *rollouts, uint64_t now_s)
{
    const uint16_t peak = rollouts->rollout.peak;
    const uint8_t tags = rollouts->rollout.tags;
    const enum mr_rollout_change change =
        mr_rollout_turn(&rollouts->rollout, &rollouts->policy, now_s);
    if (change == MR_ROLLOUT_STOP) {
        tell(rollouts, MR_LOG_ERROR, "release.stopped", "reports");
    } else if (change == MR_ROLLOUT_NEXT_STEP) {
        tell(rollouts, MR_LOG_INFO, "release.step", "time");
    }
    if (change != MR_ROLLOUT_SAME || rollouts->rollout.peak != peak ||
        rollouts->rollout.tags != tags) {
        add_state(rollouts);
        start_writing(rollouts);
    }
}

void mr_rollouts_begin(struct mr_rollouts *rollouts, const uint8_t release[MR_HASH_BYTES],
                       const struct mr_release_version *version, uint64_t now_s)
{
    struct mr_rollout *rollout = &rollouts->rollout;
    if (rollout->known && memcmp(rollout->release, release, MR_HASH_BYTES) == 0) {
        return;
    }
    mr_rollout_begin(rollout, release, version, now_s);
    (void)mr_rollout_turn(rollout, &rollouts->policy, now_s);
    if (rollout->state == MR_ROLLOUT_HELD) {
        tell(rollouts, MR_LOG_WARN, "release.held", "the release before");
    }
    next_batch(rollouts)->anew = true;
    start_writing(rollouts);
}

uint16_t mr_rollouts_fraction(struct mr_rollouts *rollouts, const uint8_t *client_id,
                              uint64_t now_s)
{
    if (!rollouts->halted) {
        turn(rollouts, now_s);
    }
    if (client_id && (mr_device_tags_of(&rollouts->tags, client_id) &
                      mr_rollout_tags(&rollouts->rollout, &rollouts->policy)) != 0) {
        return MR_RELEASE_FRACTION_ALL;
    }
    return mr_rollout_fraction(&rollouts->rollout, &rollouts->policy);
}

/* --- what devices and operators say ----------------------------------------------------------- */

static void hear_refused(enum mr_rollout_heard heard, mr_rollouts_answer_fn fn, void *token)
{
    if (heard == MR_ROLLOUT_NOT_LET) {
        refuse(fn, token, MR_REFUSAL_NOT_FOUND,
               "this device was never among those that may have the release: it is not counted");
    } else {
        refuse(fn, token, MR_REFUSAL_BUSY,
               "so many devices have reported that no more are counted");
    }
}

void mr_rollouts_hear(struct mr_rollouts *rollouts, const uint8_t release[MR_HASH_BYTES],
                      const uint8_t client_id[MR_CLIENT_ID_BYTES], enum mr_release_outcome outcome,
                      uint64_t now_s, mr_rollouts_answer_fn fn, void *token)
{
    struct mr_rollout *rollout = &rollouts->rollout;
    uint8_t record[MR_ROLLOUT_RECORD_BYTES];
    if (rollouts->halted) {
        refuse(fn, token, MR_REFUSAL_BUSY, "the hub stops");
        return;
    }
    if (!rollout->known || memcmp(rollout->release, release, MR_HASH_BYTES) != 0) {
        refuse(fn, token, MR_REFUSAL_NOT_FOUND, "that is not the newest release of this hub");
        return;
    }
    turn(rollouts, now_s);
    const enum mr_rollout_heard heard =
        mr_rollout_hear(rollout, client_id, mr_device_tags_of(&rollouts->tags, client_id), outcome);
    if (heard != MR_ROLLOUT_HEARD && heard != MR_ROLLOUT_REPEATED) {
        hear_refused(heard, fn, token);
        return;
    }
    if (heard == MR_ROLLOUT_HEARD && outcome == MR_RELEASE_KEPT) {
        mr_release_times_kept(rollouts->config.times, &rollout->version);
    }
    /* What was said before may wait to be written still. */
    add_record(rollouts, record, mr_rollout_record_voice(record, client_id, outcome));
    add_waiting(rollouts, &(struct waiting){fn, token, false});
    start_writing(rollouts);
    turn(rollouts, now_s);
}

static bool obey(struct mr_rollout *rollout, enum mr_rollout_order order, uint64_t now_s)
{
    return order == MR_ROLLOUT_ORDER_HOLD    ? mr_rollout_hold(rollout)
           : order == MR_ROLLOUT_ORDER_GO_ON ? mr_rollout_go_on(rollout, now_s)
                                             : mr_rollout_withdraw(rollout);
}

void mr_rollouts_order(struct mr_rollouts *rollouts, enum mr_rollout_order order, const char *by,
                       uint64_t now_s, mr_rollouts_answer_fn fn, void *token)
{
    static const char *const events[] = {"release.held", "release.went_on", "release.withdrawn"};
    if (rollouts->halted) {
        refuse(fn, token, MR_REFUSAL_BUSY, "the hub stops");
        return;
    }
    if (!rollouts->rollout.known) {
        refuse(fn, token, MR_REFUSAL_NOT_FOUND, "there is no release yet");
        return;
    }
    if (!obey(&rollouts->rollout, order, now_s)) {
        refuse(fn, token, MR_REFUSAL_CLOSED,
               rollouts->rollout.state == MR_ROLLOUT_WITHDRAWN
                   ? "the release was withdrawn, and that is for good: the next version takes its "
                     "place"
                   : "the roll-out is under way already");
        return;
    }
    tell(rollouts, MR_LOG_WARN, events[order], by);
    add_state(rollouts);
    add_waiting(rollouts, &(struct waiting){fn, token, true});
    start_writing(rollouts);
    turn(rollouts, now_s);
}

/* --- listing ---------------------------------------------------------------------------------- */

struct listing {
    struct mr_rollouts *rollouts;
    unsigned most, count;
    struct mr_rollout read[MR_ROLLOUT_FILES_KEPT];
    struct mr_rollout_about about[MR_ROLLOUT_FILES_KEPT];
    mr_rollouts_answer_fn fn;
    void *token;
};

static void list_work(void *context)
{
    struct listing *listing = context;
    const char *data_dir = listing->rollouts->config.data_dir;
    listing->count = mr_rollout_log_read(data_dir, listing->read, listing->most);
    for (unsigned i = 0; i < listing->count; i++) {
        char path[MR_RELEASE_PATH_BYTES];
        uint8_t *bytes = NULL;
        size_t length;
        mr_release_path(path, data_dir, &listing->read[i].version);
        if (mr_file_read(path, &bytes, &length, NULL) == 0) {
            mr_rollout_about_of(&listing->about[i], bytes, length);
        }
        free(bytes);
    }
}

/* Of the newest what is so now, whatever a disk has taken. */
static void list_done(void *context)
{
    struct listing *listing = context;
    const struct mr_rollout *newest = &listing->rollouts->rollout;
    json_t *list = json_array();
    for (unsigned i = 0; i < listing->count; i++) {
        const bool is_newest =
            newest->known && memcmp(listing->read[i].release, newest->release, MR_HASH_BYTES) == 0;
        json_array_append_new(list, mr_rollout_row(is_newest ? newest : &listing->read[i],
                                                   &listing->about[i], is_newest,
                                                   &listing->rollouts->policy));
        mr_rollout_fini(&listing->read[i]);
    }
    listing->fn(listing->token, NULL, list);
    free(listing);
}

void mr_rollouts_list(struct mr_rollouts *rollouts, unsigned most, uint64_t now_s,
                      mr_rollouts_answer_fn fn, void *token)
{
    struct listing *listing = rollouts->halted ? NULL : calloc(1, sizeof *listing);
    if (!listing) {
        refuse(fn, token, MR_REFUSAL_BUSY, "the hub stops, or has no memory");
        return;
    }
    turn(rollouts, now_s);
    listing->rollouts = rollouts;
    listing->most = most < MR_ROLLOUT_FILES_KEPT ? most : MR_ROLLOUT_FILES_KEPT;
    listing->fn = fn;
    listing->token = token;
    mr_job_run(rollouts->config.jobs, list_work, list_done, listing);
}

const struct mr_rollout *mr_rollouts_newest(const struct mr_rollouts *rollouts)
{
    return &rollouts->rollout;
}

/* --- tags ------------------------------------------------------------------------------------- */

static void read_tags(struct mr_rollouts *rollouts)
{
    const char *file = rollouts->config.policy->tags_file;
    struct mr_device_tags fresh = {.count = 0};
    struct mr_error error;
    if (file && *file != '\0' &&
        mr_device_tags_read(&fresh, file, &rollouts->policy.steps, &error) != 0) {
        mr_log_event(rollouts->config.log, MR_LOG_ERROR, "release.tags_unread", "task=%s why=%s",
                     rollouts->config.task, error.text);
        return;
    }
    mr_device_tags_fini(&rollouts->tags);
    rollouts->tags = fresh;
}

void mr_rollouts_set_policy(struct mr_rollouts *rollouts, const struct mr_config_releases *policy)
{
    rollouts->config.policy = policy;
    mr_rollout_policy_of(&rollouts->policy, policy);
    read_tags(rollouts);
}

/* --- opening and closing ---------------------------------------------------------------------- */

int mr_rollouts_open(struct mr_rollouts **out, const struct mr_rollouts_config *config,
                     struct mr_error *error)
{
    struct mr_rollouts *rollouts = calloc(1, sizeof *rollouts);
    if (!rollouts) {
        return mr_error_set(error, "out of memory");
    }
    rollouts->config = *config;
    mr_rollouts_set_policy(rollouts, config->policy);
    if (mr_rollout_log_open(&rollouts->log, config->data_dir, &rollouts->rollout, error) != 0) {
        mr_rollouts_close(rollouts);
        return -1;
    }
    *out = rollouts;
    return 0;
}

void mr_rollouts_halt(struct mr_rollouts *rollouts)
{
    rollouts->halted = true;
}

void mr_rollouts_close(struct mr_rollouts *rollouts)
{
    if (!rollouts) {
        return;
    }
    MR_ASSERT(!rollouts->writing && !rollouts->next);
    mr_rollout_log_close(rollouts->log);
    mr_rollout_fini(&rollouts->rollout);
    mr_device_tags_fini(&rollouts->tags);
    free(rollouts);
}
