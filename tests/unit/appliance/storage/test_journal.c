/* test_journal.c - what the journal asks of its disk, and in which order: nothing counts before its
 * sync, nothing goes on after a failure, and no two files share a key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "appliance/storage/journal.h"
#include "appliance/storage/journal_seal.h"

/* A disk that keeps the last bytes it was given, and whose syncs can be made to fail. */
struct script {
    struct mr_disk ops;
    uint8_t last[512];
    size_t length;
    unsigned puts;
    bool unsynced; /* bytes were put since the last sync */
    bool broken;
};

static int script_read(void *context, const char *name, uint8_t **bytes, size_t *length,
                       struct mr_error *error)
{
    (void)context, (void)name, (void)bytes, (void)length, (void)error;
    return 1;
}

static int script_put(void *context, const char *name, const uint8_t *bytes, size_t length,
                      struct mr_error *error)
{
    struct script *script = context;
    (void)name, (void)error;
    assert_true(length <= sizeof script->last);
    memcpy(script->last, bytes, length);
    script->length = length;
    script->puts++;
    script->unsynced = true;
    return 0;
}

static int script_sync(void *context, const char *name, struct mr_error *error)
{
    struct script *script = context;
    (void)name;
    if (script->broken) {
        return mr_error_set(error, "EIO");
    }
    script->unsynced = false;
    return 0;
}

/* The file before goes only when the one that takes its place is safe. */
static int script_wipe(void *context, const char *name, struct mr_error *error)
{
    const struct script *script = context;
    (void)name, (void)error;
    assert_false(script->unsynced);
    return 0;
}

static struct mr_journal *begin(struct script *script)
{
    static const uint8_t private_key[32] = {5};
    struct mr_journal *journal;
    struct mr_journal_content newest;
    struct mr_error error;
    *script = (struct script){.ops = {.context = script,
                                      .read = script_read,
                                      .write = script_put,
                                      .append = script_put,
                                      .sync = script_sync,
                                      .wipe = script_wipe}};
    assert_int_equal(mr_journal_open(&journal, &script->ops, private_key, &newest, &error), 1);
    return journal;
}

static const uint8_t text[24] = "as good as any snapshot";
static const uint8_t salts[2][MR_JOURNAL_SALT_BYTES] = {{1}, {2}};

static void test_synced_before_it_counts(void **state)
{
    (void)state;
    struct script script;
    struct mr_error error;
    struct mr_journal *journal = begin(&script);
    assert_int_equal(mr_journal_save(journal, salts[0], text, sizeof text, &error), 0);
    assert_false(script.unsynced);
    assert_int_equal(mr_journal_append(journal, text, sizeof text, &error), 0);
    assert_false(script.unsynced);
    assert_int_equal(script.puts, 2);
    mr_journal_close(journal);
}

static void test_nothing_after_a_failure(void **state)
{
    (void)state;
    struct script script;
    struct mr_error error;
    struct mr_journal *journal = begin(&script);
    assert_int_equal(mr_journal_save(journal, salts[0], text, sizeof text, &error), 0);
    script.broken = true;
    assert_int_equal(mr_journal_append(journal, text, sizeof text, &error), -1);
    assert_string_equal(error.text, "EIO");
    script.broken = false; /* the disk says that all is well: what it holds is unknown */
    assert_int_equal(mr_journal_append(journal, text, sizeof text, &error), -1);
    assert_int_equal(mr_journal_save(journal, salts[1], text, sizeof text, &error), -1);
    assert_int_equal(script.puts, 2);
    mr_journal_close(journal);
}

/* A file's first unit always has number 0, which is its nonce: only the salt keeps two files from
 * being sealed with the same key stream. */
static void test_every_salt_its_own_key(void **state)
{
    (void)state;
    struct script script;
    struct mr_error error;
    uint8_t first[sizeof text];
    struct mr_journal *journal = begin(&script);
    const size_t cipher_at = MR_JOURNAL_HEAD_BYTES + 8;
    assert_int_equal(mr_journal_save(journal, salts[0], text, sizeof text, &error), 0);
    assert_int_equal(script.length, sizeof text + MR_JOURNAL_HEAD_BYTES + MR_JOURNAL_UNIT_EXTRA);
    memcpy(first, script.last + cipher_at, sizeof first);
    assert_int_equal(mr_journal_save(journal, salts[1], text, sizeof text, &error), 0);
    assert_memory_not_equal(first, script.last + cipher_at, sizeof first);
    mr_journal_close(journal);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_synced_before_it_counts),
        cmocka_unit_test(test_nothing_after_a_failure),
        cmocka_unit_test(test_every_salt_its_own_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
