/* test_keeper.c - the disk of a lead and of a helper: no round without room for it, a warning
 * before that, old files and logs that go and needed ones that stay. Free space and clock are the
 * test's. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "appliance/round/drive/keeper.h"
#include "appliance/privacy/kept.h"
#include "appliance/round/drive/lead_driver.h"
#include "appliance/round/drive/wall_clock.h"
#include "appliance/storage/folder.h"
#include "base/bytes.h"
#include "played_lead.h"

#define GIB    (UINT64_C(1) << 30)
#define DAY_MS UINT64_C(86400000)

static struct {
    _Atomic uint64_t free_bytes; /* job threads read them */
    atomic_bool unknown;
    _Atomic uint64_t ahead_ms; /* of the real clock */
    _Atomic bool unsynced;     /* no folder can be synced */
} world_outside;

static void begin_with_room(void)
{
    world_outside.free_bytes = 50 * GIB;
    world_outside.unknown = false;
    world_outside.ahead_ms = 0;
    world_outside.unsynced = false;
}

int __real_mr_dir_sync(const char *path, struct mr_error *error);
int __wrap_mr_dir_sync(const char *path, struct mr_error *error);
int __wrap_mr_dir_sync(const char *path, struct mr_error *error)
{
    return world_outside.unsynced ? mr_error_set(error, "cannot sync %s", path)
                                  : __real_mr_dir_sync(path, error);
}

int __wrap_mr_folder_space(const char *path, uint64_t *free_bytes, uint64_t *size_bytes,
                           struct mr_error *error);
int __wrap_mr_folder_space(const char *path, uint64_t *free_bytes, uint64_t *size_bytes,
                           struct mr_error *error)
{
    *free_bytes = world_outside.free_bytes;
    *size_bytes = 100 * GIB;
    return world_outside.unknown ? mr_error_set(error, "%s: nobody knows", path) : 0;
}

uint64_t __real_mr_round_unix_ms(void);
uint64_t __wrap_mr_round_unix_ms(void);
uint64_t __wrap_mr_round_unix_ms(void)
{
    return __real_mr_round_unix_ms() + world_outside.ahead_ms;
}

/* Whether the metrics of these keepers have that line. */
static bool has_sample(struct mr_keeper *keeper, const char *line)
{
    struct mr_metrics metrics;
    mr_metrics_init(&metrics);
    mr_keeper_metrics(&keeper, 1, &metrics);
    const bool has = strstr(metrics.text, line);
    mr_metrics_fini(&metrics);
    return has;
}

struct awaited {
    struct mr_keeper *keeper;
    const char *line;
};

static bool sample_is_there(void *context)
{
    const struct awaited *awaited = context;
    return has_sample(awaited->keeper, awaited->line);
}

static void await_sample(struct room *room, struct mr_keeper *keeper, const char *line)
{
    struct awaited awaited = {keeper, line};
    room_run_until(room, sample_is_there, &awaited);
}

/* --- the lead -------------------------------------------------------------------------------- */

static struct mr_lead_driver *run; /* of the running test */

static void changed(void *context)
{
    (void)context;
}

static const struct mr_lead_listener listener = {.changed = changed};

static void start(struct room *room)
{
    struct mr_error error = {.text = ""};
    if (mr_lead_driver_open(&run, &room->shared, &listener, &error) != 0) {
        fail_msg("%s", error.text);
    }
}

static void end(struct room *room)
{
    mr_lead_driver_stop(run);
    room_drain(room);
    mr_lead_driver_close(run);
    run = NULL;
}

static struct mr_config_keep limits; /* of the running test */

static int open_lead(void **state)
{
    struct room *room = room_open(0);
    begin_with_room();
    limits = (struct mr_config_keep){.models = 2, .sums = 1, .rounds = 3};
    room->shared.keep = &limits;
    start(room);
    *state = room;
    return 0;
}

static int close_lead(void **state)
{
    if (run) {
        end(*state);
    }
    room_close(*state);
    return 0;
}

static enum mr_refusal_code begin(struct room *room, struct mr_refusal *refusal)
{
    struct mr_round_params params;
    uint64_t round = 0;
    mr_round_params_init(&params, &room->policy);
    return mr_lead_driver_begin(run, &params, &round, refusal);
}

static bool is_void(void *context)
{
    struct mr_lead_report report;
    (void)context;
    mr_lead_report(mr_lead_driver_core(run), &report);
    const struct mr_round_summary *summary =
        mr_round_history_find(mr_lead_driver_history(run), report.round);
    return summary && strcmp(summary->state, "void") == 0;
}

static bool says_low(void *context)
{
    return room_logged(context, "warn disk.low task=default free_bytes=66500 ");
}

static bool says_room(void *context)
{
    return room_logged(context, "info disk.room task=default ");
}

static void test_no_room_for_a_round(void **state)
{
    struct room *room = *state;
    struct mr_refusal refusal;
    const struct mr_round_summary *summary;
    world_outside.free_bytes = 60000;
    assert_int_equal(begin(room, &refusal), MR_REFUSAL_NO_ROOM);
    assert_non_null(strstr(refusal.text, "60000 bytes left"));
    assert_non_null(strstr(refusal.text, "tasks.keep"));
    assert_false(mr_lead_terms(mr_lead_driver_core(run))); /* nothing began */
    summary = mr_round_history_find(mr_lead_driver_history(run), 1);
    assert_null(summary);
    world_outside.unknown = true; /* the write itself will tell */
    assert_int_equal(begin(room, &refusal), MR_REFUSAL_NONE);
    room_run_until(room, is_void, NULL);
    world_outside.unknown = false;
    world_outside.free_bytes = GIB;
    assert_int_equal(begin(room, &refusal), MR_REFUSAL_NONE);
    room_run_until(room, is_void, NULL);
    assert_int_equal(room->fatals, 0);
}

/* Before it is too late, and once. */
/* Each share is kept, if the round is to be audited. */
static void test_no_room_for_what_is_kept(void **state)
{
    struct room *room = *state;
    struct mr_refusal refusal;
    world_outside.free_bytes = 150000;
    room->policy.audit_hours = 1;
    assert_int_equal(begin(room, &refusal), MR_REFUSAL_NO_ROOM);
    assert_non_null(strstr(refusal.text, "tasks.round.audit_hours"));
    room->policy.audit_hours = 0;
    assert_int_equal(begin(room, &refusal), MR_REFUSAL_NONE);
    room_run_until(room, is_void, NULL);
    assert_int_equal(room->fatals, 0);
}

static bool says_destroyed(void *context)
{
    return room_logged(context, "info audit.destroyed task=default files=2 ");
}

/* What is kept for audits goes when its hours are over, and no sooner. */
static void test_audits_are_destroyed(void **state)
{
    struct room *room = *state;
    struct mr_announcement announcement = room->world->announcement;
    struct mr_error error;
    struct mr_kept *kept;
    char folder[200];
    snprintf(folder, sizeof folder, "%s", room_path(room, "audit"));
    announcement.deadline_unix_ms = __real_mr_round_unix_ms();
    for (unsigned i = 0; i < 3; i++) {
        const struct mr_kept_place place = {
            .folder = folder, .round = 5 + i / 2, .private_key = room->shared.private_key};
        announcement.audit_hours = i < 2 ? 1 : 3;
        assert_int_equal(mr_kept_begin(&kept, &place, 0, &announcement, &error), 0);
        mr_kept_close(kept);
    }
    world_outside.ahead_ms = 2 * 3600000;
    mr_lead_driver_set_keep(run, &limits);
    room_run_until(room, says_destroyed, room);
    assert_int_equal(access(room_path(room, "audit/5-1.kept"), F_OK), -1);
    assert_int_equal(access(room_path(room, "audit/5-2.kept"), F_OK), -1);
    assert_int_equal(access(room_path(room, "audit/6-1.kept"), F_OK), 0);
    struct stat kept_file;
    char line[120];
    assert_int_equal(stat(room_path(room, "audit/6-1.kept"), &kept_file), 0);
    snprintf(line, sizeof line, "millrace_audit_kept_bytes{task=\"default\"} %lld\n",
             (long long)kept_file.st_size);
    assert_true(kept_file.st_size > 0 && has_sample(mr_lead_driver_keeper(run), line));
    assert_true(
        has_sample(mr_lead_driver_keeper(run), "millrace_audit_kept_files{task=\"default\"} 1\n"));
    assert_int_equal(room->fatals, 0);
}

static void test_warning(void **state)
{
    struct room *room = *state;
    world_outside.free_bytes = 66500; /* one, and not the models of ten more */
    limits.models = 0;
    room_run_until(room, says_low, room);
    assert_true(
        has_sample(mr_lead_driver_keeper(run), "millrace_disk_rounds_left{task=\"default\"} 1"));
    world_outside.free_bytes = GIB;
    mr_lead_driver_set_keep(run, &limits);
    room_run_until(room, says_room, room);
}

/* --- a lead's files -------------------------------------------------------------------------- */

/* Void rounds leave records only; those of the newest three stay. */
static void test_records_go(void **state)
{
    struct room *room = *state;
    struct mr_refusal refusal;
    char name[40];
    for (unsigned round = 1; round <= 5; round++) {
        assert_int_equal(begin(room, &refusal), MR_REFUSAL_NONE);
        room_run_until(room, is_void, NULL);
    }
    /* With the origin of the first model. */
    await_sample(room, mr_lead_driver_keeper(run),
                 "millrace_stored_files{task=\"default\",kind=\"rounds\"} 4\n");
    for (unsigned round = 1; round <= 5; round++) {
        snprintf(name, sizeof name, "rounds/%u.json", round);
        assert_int_equal(access(room_path(room, name), F_OK) == 0, round > 2);
    }
    assert_true(has_sample(mr_lead_driver_keeper(run),
                           "millrace_retention_removed_total{task=\"default\",kind=\"rounds\"} 2"));
    assert_true(has_sample(mr_lead_driver_keeper(run),
                           "millrace_stored_files{task=\"default\",kind=\"models\"} 1"));
    assert_true(room_logged(room, "retention.removed task=default models=0 sums=0 rounds="));
    limits.rounds = 1; /* the newest two say how those rounds ended */
    mr_lead_driver_set_keep(run, &limits);
    await_sample(room, mr_lead_driver_keeper(run),
                 "millrace_stored_files{task=\"default\",kind=\"rounds\"} 3\n");
    assert_int_equal(access(room_path(room, "rounds/4.json"), F_OK), 0);
    assert_int_equal(access(room_path(room, "rounds/5.json"), F_OK), 0);
    end(room);
    room_restart(room);
    start(room);
    assert_int_equal(begin(room, &refusal), MR_REFUSAL_NONE);
    room_run_until(room, is_void, NULL);
    assert_int_equal(access(room_path(room, "rounds/6.json"), F_OK), 0);
    assert_int_equal(room->fatals, 0);
}

static bool is_fatal(void *context)
{
    const struct room *room = context;
    return room->fatals > 0;
}

/* What the folders hold is unknown then. */
static void test_removed_and_not_synced(void **state)
{
    struct room *room = *state;
    struct mr_refusal refusal;
    for (unsigned round = 1; round <= 3; round++) {
        assert_int_equal(begin(room, &refusal), MR_REFUSAL_NONE);
        room_run_until(room, is_void, NULL);
    }
    await_sample(room, mr_lead_driver_keeper(run),
                 "millrace_stored_files{task=\"default\",kind=\"rounds\"} 4\n");
    world_outside.unsynced = true;
    limits.rounds = 1;
    mr_lead_driver_set_keep(run, &limits);
    room_run_until(room, is_fatal, room);
    assert_non_null(strstr(room->fatal, "cannot sync "));
    world_outside.unsynced = false;
}

static bool has_no_log(void *context)
{
    return access(room_path(context, "commit-0"), F_OK) != 0 &&
           access(room_path(context, "commit-1"), F_OK) != 0;
}

static void test_logs_go(void **state)
{
    struct room *room = *state;
    struct mr_refusal refusal;
    assert_int_equal(begin(room, &refusal), MR_REFUSAL_NONE);
    room_run_until(room, is_void, NULL);
    limits.logs_days = 2;
    world_outside.ahead_ms = DAY_MS; /* not yet */
    mr_lead_driver_set_keep(run, &limits);
    await_sample(room, mr_lead_driver_keeper(run),
                 "millrace_stored_files{task=\"default\",kind=\"rounds\"} 2\n");
    assert_false(has_no_log(room));
    world_outside.ahead_ms = 3 * DAY_MS;
    mr_lead_driver_set_keep(run, &limits);
    room_run_until(room, has_no_log, room);
    for (unsigned lives = 0; lives < 2; lives++) { /* and the next round is none the worse */
        assert_int_equal(begin(room, &refusal), MR_REFUSAL_NONE);
        room_run_until(room, is_void, NULL);
        end(room);
        room_restart(room);
        start(room);
    }
    assert_false(room_logged(room, "round.lost"));
    assert_int_equal(room->fatals, 0);
}

/* --- the helper ------------------------------------------------------------------------------ */

static int open_helper(void **state)
{
    struct played *played = played_open();
    begin_with_room();
    limits = (struct mr_config_keep){.models = 1, .sums = 1, .rounds = 1};
    played->room->shared.keep = &limits;
    *state = played;
    return 0;
}

static int close_helper(void **state)
{
    played_close(*state);
    return 0;
}

static void test_helper_without_room(void **state)
{
    struct played *played = *state;
    struct reply reply;
    played_start(played);
    world_outside.free_bytes = 60000;
    played_ask_same(played, MR_PEER_PROPOSE, &reply);
    played_expect(&reply, MR_REFUSAL_NO_ROOM);
    assert_non_null(strstr(reply.text, "60000 bytes left"));
    assert_int_equal(played_state(played), MR_HELPER_IDLE);
    world_outside.free_bytes = GIB;
    played_ask_same(played, MR_PEER_PROPOSE, &reply);
    played_expect(&reply, MR_REFUSAL_NONE);
    reply_fini(&reply);
    world_outside.free_bytes = 60000; /* it is signed: asked again, it is answered again */
    played_ask_same(played, MR_PEER_PROPOSE, &reply);
    played_expect(&reply, MR_REFUSAL_NONE);
    reply_fini(&reply);
    played_end(played);
}

/* A model that no round knows, newer than those before. */
static void put_stray_model(struct room *room, const uint8_t *hash)
{
    struct mr_version version = {.kind = MR_VERSION_IMPORTED};
    const struct mr_next_model_answer *next = &room->world->revealed;
    struct mr_error error;
    uint8_t *bytes = malloc(next->model_bytes);
    assert_non_null(bytes);
    memcpy(bytes, next->model, next->model_bytes);
    bytes[next->model_bytes - 1] ^= 1;
    assert_int_equal(
        mr_store_write_model(room->shared.store, hash, bytes, next->model_bytes, "{}", &error), 0);
    free(bytes);
    memcpy(version.hash, hash, MR_HASH_BYTES);
    assert_int_equal(mr_versions_append(mr_store_versions(room->shared.store), &version, &error),
                     0);
}

/* Whatever is kept of the rest, the model that a signed round begins with stays, and so do the
 * round's own files. */
static void test_helper_keeps_what_it_signed(void **state)
{
    struct played *played = *state;
    struct room *room = played->room;
    struct reply reply;
    char name[8 + 2 * MR_HASH_BYTES + 16] = "models/";
    size_t length;
    struct mr_error error;
    const uint8_t stray[MR_HASH_BYTES] = {1};
    mr_hex_encode(name + 7, room->world->model_hash, MR_HASH_BYTES);
    strcat(name, ".json"); /* not the first model of this store: nothing but the round holds it */
    room_put(room, name, "{\"parent\": \"ff\"}", 16);
    uint8_t *body = played_until_reveal(played, &length);
    const struct mr_next_model_answer *next = &room->world->revealed;
    put_stray_model(room, stray); /* so the parent's place is gone */
    mr_helper_driver_set_keep(played->run, &limits);
    await_sample(room, mr_helper_driver_keeper(played->run),
                 "millrace_stored_files{task=\"default\",kind=\"models\"} 2\n");
    played_ask(played, MR_PEER_REVEAL, body, length, &reply);
    played_expect(&reply, MR_REFUSAL_NONE);
    reply_fini(&reply);
    free(body);
    /* Parent and child of the newest round stay; the stray one goes. */
    await_sample(room, mr_helper_driver_keeper(played->run),
                 "millrace_retention_removed_total{task=\"default\",kind=\"models\"} 1\n");
    assert_int_equal(access(room_path(room, "rounds/7.sum"), F_OK), 0);
    assert_int_equal(access(room_path(room, "rounds/7.json"), F_OK), 0);
    assert_memory_equal(mr_store_current(room->shared.store), next->model_hash, MR_HASH_BYTES);
    for (unsigned i = 0; i < 2; i++) {
        const uint8_t *of_round = i ? next->model_hash : room->world->model_hash;
        struct mr_model *model = mr_store_borrow(room->shared.store, of_round, &error);
        assert_non_null(model);
        mr_store_return(room->shared.store, model);
    }
    played_end(played);
    assert_int_equal(room->fatals, 0);
}

/* Given up by its lead while it was stored: what was not written is counted. */
static void test_an_end_that_is_not_written(void **state)
{
    struct played *played = *state;
    struct room *room = played->room;
    struct reply reveal, reply;
    size_t length;
    uint8_t *body = played_until_reveal(played, &length);
    played_put(played, MR_PEER_REVEAL, body, length, &reveal);
    room_run_until_made(room);
    played_ask(played, MR_PEER_VOID, NULL, 0, &reply);
    played_expect(&reply, MR_REFUSAL_NONE);
    reply_fini(&reply);
    free(body);
    await_sample(room, mr_helper_driver_keeper(played->run),
                 "millrace_records_kept_total{task=\"default\"} 1\n");
    played_end(played);
    assert_int_equal(room->fatals, 0);
}

int main(void)
{
#define LEAD(name)   cmocka_unit_test_setup_teardown(name, open_lead, close_lead)
#define HELPER(name) cmocka_unit_test_setup_teardown(name, open_helper, close_helper)
    const struct CMUnitTest tests[] = {
        LEAD(test_no_room_for_a_round),
        LEAD(test_no_room_for_what_is_kept),
        LEAD(test_audits_are_destroyed),
        LEAD(test_warning),
        LEAD(test_records_go),
        LEAD(test_removed_and_not_synced),
        LEAD(test_logs_go),
        HELPER(test_helper_without_room),
        HELPER(test_helper_keeps_what_it_signed),
        HELPER(test_an_end_that_is_not_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
