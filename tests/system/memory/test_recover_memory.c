/* test_recover_memory.c - hubs that start again when memory runs out at any single allocation: the
 * round is taken up whole, or not at all and with a reason. */
#include <stdio.h>
#include <stdlib.h>

#include "appliance/round/drive/lead_log.h"
#include "appliance/round/drive/helper_journal.h"
#include "tests/system/memory/failing.h"
#include "tests/unit/appliance/storage/scratch.h"
#include "tests/unit/appliance/round/parties_internal.h"

#define DEVICES 3

static const struct world_options small = {.ring_bits = 16,
                                           .dimension = 50,
                                           .hubs = 2,
                                           .cohort_min = DEVICES,
                                           .quorum = DEVICES,
                                           .deadline_ms = 600000};

/* A round that came as far as the question of that step, which was never answered; as far as its
 * uploads for MR_PEER_VOID. */
static struct world *world_before(enum mr_peer_step step)
{
    struct world *world = world_open(&small);
    world->hold[step] = true;
    world_begin(world, NULL);
    for (unsigned i = 0; step != MR_PEER_PROPOSE && i < DEVICES; i++) {
        world_join(world, i, 0);
        if (step != MR_PEER_VOID || i + 1 < DEVICES) {
            world_stage(world, i);
        }
    }
    world_advance(world, 2000);
    return world;
}

/* --- a core that only listens ---------------------------------------------------------------- */

static void no_random(void *context, uint8_t *out, size_t bytes)
{
    (void)context;
    memset(out, 1, bytes);
}

static void no_timer(void *context, uint64_t at_ms)
{
    (void)context, (void)at_ms;
}

static int plane_begin(void *context, const struct mr_round_terms *terms, struct mr_error *error)
{
    (void)context, (void)terms, (void)error;
    return 0;
}

static void plane_collect(void *context, bool freeze)
{
    (void)context, (void)freeze;
}

static void no_ask(void *context, unsigned peer, enum mr_peer_step step, const uint8_t *body,
                   size_t length)
{
    (void)context, (void)peer, (void)step, (void)body, (void)length;
}

static void nothing(void *context)
{
    (void)context;
}

static enum mr_set_claim any_claim(void *context, const struct mr_frozen_set *set,
                                   struct mr_refusal *refusal)
{
    (void)context, (void)set, (void)refusal;
    return MR_SET_CLAIMED;
}

static const struct mr_lead_ops lead_ops = {.random = no_random,
                                            .timer = no_timer,
                                            .plane_begin = plane_begin,
                                            .plane_collect = plane_collect,
                                            .claim = any_claim,
                                            .ask = no_ask,
                                            .end = nothing,
                                            .round_changed = nothing};

static void no_save(void *context, const struct mr_journal_state *state)
{
    unsigned *saves = context;
    (void)state;
    ++*saves;
}

static const struct mr_helper_ops helper_ops = {.random = no_random,
                                                .save = no_save,
                                                .changed = nothing,
                                                .claim = any_claim,
                                                .release = nothing};

/* --- the lead -------------------------------------------------------------------------------- */

struct lead_case {
    struct world *world;
    enum mr_lead_state expected;
};

static bool recover_lead(void *context)
{
    const struct lead_case *one = context;
    const struct world *world = one->world;
    const struct mr_lead_config config = {.index = LEAD_INDEX,
                                          .private_key = world->private_keys[0]};
    const struct mr_lead_end end = {.published = false};
    struct mr_error error = {.text = ""};
    struct mr_commit_read read;
    struct mr_lead_report report = {.state = MR_LEAD_IDLE};
    struct mr_lead *lead = mr_lead_new(&config, &lead_ops, NULL);
    if (!lead) {
        return false;
    }
    if (mr_commit_state_parse(&read, world->log, world->log_bytes, &error) != 0) {
        assert_string_not_equal(error.text, "");
        mr_lead_free(lead);
        return false;
    }
    const int result = mr_lead_recover(lead, &read, world->packed, &end, 1, 1, &error);
    mr_lead_report(lead, &report);
    if (result != 0) { /* as if there had been nothing, but not lost */
        assert_int_equal(result, -1);
        assert_string_not_equal(error.text, "");
        assert_null(mr_lead_terms(lead));
        assert_int_equal(report.state, MR_LEAD_IDLE);
        assert_int_equal(report.committed, 0);
    } else if (report.state == MR_LEAD_VOID) {
        assert_string_not_equal(report.reason, "");
    } else {
        assert_int_equal(report.state, one->expected);
        assert_int_equal(report.committed, read.state.included_count);
    }
    mr_commit_read_fini(&read);
    mr_lead_free(lead);
    return report.state == one->expected;
}

static void test_lead(void **state)
{
    static const struct {
        enum mr_peer_step step;
        enum mr_lead_state expected;
        const char *name;
    } cases[] = {
        {MR_PEER_PROPOSE, MR_LEAD_PROPOSED, "a lead that proposes"},
        {MR_PEER_VOID, MR_LEAD_OPEN, "an open lead"},
        {MR_PEER_FREEZE, MR_LEAD_COMMITTING, "a lead that froze"},
    };
    (void)state;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct lead_case one = {world_before(cases[i].step), cases[i].expected};
        failing_each(recover_lead, &one, cases[i].name);
        world_close(one.world);
    }
}

/* --- a helper -------------------------------------------------------------------------------- */

struct helper_case {
    struct world *world;
    enum mr_helper_state expected;
};

static bool recover_helper(void *context)
{
    const struct helper_case *one = context;
    const struct world_helper *dead = &one->world->helpers[1];
    const struct mr_helper_config config = {
        .task = "default",
        .index = one->world->hubs[1].index,
        .private_key = one->world->private_keys[1],
        .hubs = one->world->hubs,
        .hubs_count = 2,
        .policy = {.cohort_min = DEVICES, .share_bytes_max = 1 << 20}};
    const size_t records = dead->journal_bytes - dead->snapshot_bytes;
    struct mr_error error = {.text = ""};
    struct mr_journal_read read;
    struct mr_helper_report report;
    unsigned saves = 0;
    struct mr_helper *helper = mr_helper_new(&config, &helper_ops, &saves);
    if (!helper) {
        return false;
    }
    if (mr_journal_state_parse(&read, dead->journal, dead->snapshot_bytes, &error) != 0) {
        assert_string_not_equal(error.text, "");
        mr_helper_free(helper);
        return false;
    }
    const int result =
        mr_journal_records_parse(&read, dead->journal + dead->snapshot_bytes, records, &error) == 0
            ? mr_helper_recover(helper, &read, &error)
            : -1;
    const bool good = result == 0;
    mr_helper_report(helper, &report);
    assert_int_equal(saves, good); /* nothing is answered before it is written anew */
    if (good) {
        assert_int_equal(report.state, one->expected);
    } else { /* as if there had been nothing, but not lost */
        assert_int_equal(result, -1);
        assert_string_not_equal(error.text, "");
        assert_null(mr_helper_terms(helper));
        assert_int_equal(report.admitted, 0);
        assert_int_equal(report.included, 0);
    }
    mr_journal_read_fini(&read);
    mr_helper_free(helper);
    return good;
}

static void test_helper(void **state)
{
    static const struct {
        enum mr_peer_step step;
        enum mr_helper_state expected;
        const char *name;
    } cases[] = {
        {MR_PEER_VOID, MR_HELPER_ADMITTING, "a helper that admits"},
        {MR_PEER_OPEN, MR_HELPER_EXPANDING, "a helper with a set"},
        {MR_PEER_REVEAL, MR_HELPER_EXPANDING, "a helper that opened"},
    };
    (void)state;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct helper_case one = {world_before(cases[i].step), cases[i].expected};
        failing_each(recover_helper, &one, cases[i].name);
        world_close(one.world);
    }
    struct helper_case ended = {world_open(&small), MR_HELPER_DONE};
    world_begin(ended.world, NULL);
    world_fill(ended.world, DEVICES);
    world_advance(ended.world, 2000);
    failing_each(recover_helper, &ended, "a helper that is done");
    world_close(ended.world);
}

/* --- the files ------------------------------------------------------------------------------- */

struct files {
    char *dir;
    struct world *world;
};

/* The newest of two generations, or an error; never the one before as if it were the newest. */
static bool commit_log_of(const struct mr_disk *disk, const struct mr_commit_state *state,
                          struct mr_error *error)
{
    struct mr_commit_log *log;
    struct mr_commit_read read;
    uint64_t generation = 0;
    int found = mr_lead_log_open(&log, disk, &read, error);
    if (found < 0) {
        return false;
    }
    mr_commit_read_fini(&read);
    bool good = true;
    for (unsigned i = 0; i < 2 && good; i++) {
        good = mr_lead_log_write(log, state, error) == 0;
    }
    mr_commit_log_close(log);
    if (!good || (found = mr_lead_log_open(&log, disk, &read, error)) < 0) {
        return false;
    }
    assert_int_equal(found, 0);
    generation = mr_commit_log_generation(log);
    assert_int_equal(read.state.included_count, state->included_count);
    mr_commit_read_fini(&read);
    mr_commit_log_close(log);
    failing_spare(true);
    assert_int_equal(mr_lead_log_open(&log, disk, &read, error), 0);
    assert_int_equal(mr_commit_log_generation(log), generation);
    mr_commit_read_fini(&read);
    mr_commit_log_close(log);
    return true;
}

static bool commit_log(void *context)
{
    const struct files *files = context;
    struct mr_disk_file *disk = NULL;
    struct mr_commit_read read;
    struct mr_error error = {.text = ""};
    const bool opened = mr_disk_file_open(&disk, files->dir, &error) == 0;
    bool good = opened && mr_commit_state_parse(&read, files->world->log, files->world->log_bytes,
                                                &error) == 0;
    if (good) {
        good = commit_log_of(mr_disk_file_ops(disk), &read.state, &error);
        mr_commit_read_fini(&read);
    }
    if (!good) {
        assert_string_not_equal(error.text, "");
    }
    mr_disk_file_close(disk);
    return good;
}

/* One snapshot, one record of a seed, both read back. */
static bool journal_of(const struct mr_disk *disk, const struct world *world,
                       struct mr_error *error)
{
    static const uint8_t salt[MR_JOURNAL_SALT_BYTES] = {9};
    const struct world_helper *helper = &world->helpers[1];
    struct mr_journal *journal;
    struct mr_journal_read read;
    int found = mr_helper_journal_open(&journal, disk, world->private_keys[1], &read, error);
    if (found < 0) {
        return false;
    }
    if (found == 0) {
        mr_journal_read_fini(&read);
    }
    bool good =
        mr_journal_save(journal, salt, helper->journal, helper->snapshot_bytes, error) == 0 &&
        mr_journal_append(journal, helper->journal + helper->snapshot_bytes,
                          helper->journal_bytes - helper->snapshot_bytes, error) == 0;
    mr_journal_close(journal);
    if (!good) {
        return false;
    }
    if (mr_helper_journal_open(&journal, disk, world->private_keys[1], &read, error) != 0) {
        failing_spare(true); /* an error, not a journal that is not there or lacks its records */
        assert_int_equal(
            mr_helper_journal_open(&journal, disk, world->private_keys[1], &read, error), 0);
        assert_int_equal(read.state.count, DEVICES);
        good = false;
    }
    assert_int_equal(read.state.count, DEVICES);
    mr_journal_read_fini(&read);
    good = mr_journal_wipe(journal, error) == 0 && good;
    mr_journal_close(journal);
    return good;
}

static bool journal(void *context)
{
    const struct files *files = context;
    struct mr_disk_file *disk = NULL;
    struct mr_error error = {.text = ""};
    const bool good = mr_disk_file_open(&disk, files->dir, &error) == 0 &&
                      journal_of(mr_disk_file_ops(disk), files->world, &error);
    if (!good) {
        assert_string_not_equal(error.text, "");
    }
    mr_disk_file_close(disk);
    return good;
}

static void test_files(void **state)
{
    struct files files = {scratch_open(), world_before(MR_PEER_VOID)};
    (void)state;
    failing_each(commit_log, &files, "the commit log");
    failing_each(journal, &files, "the journal");
    world_close(files.world);
    scratch_close(files.dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lead),
        cmocka_unit_test(test_helper),
        cmocka_unit_test(test_files),
    };
    failing_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
