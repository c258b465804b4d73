/* test_log.c - what a client says to the caller's log, and what is never in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "tests/unit/edge-client/scene.h"

struct seen {
    char text[3][65536]; /* by level, a line each */
};

static void hear(void *context, enum mre_log_level level, const char *line)
{
    struct seen *seen = context;
    assert_in_range(level, MRE_LOG_DEBUG, MRE_LOG_WARNING);
    assert_null(strchr(line, '\n'));
    const size_t used = strlen(seen->text[level]);
    snprintf(seen->text[level] + used, sizeof seen->text[level] - used, "%s\n", line);
}

static enum mre_result play(struct scene *scene, struct seen *seen)
{
    memset(seen, 0, sizeof *seen);
    struct mre_client *client = fake_client(&scene->fake, MRE_TRANSPORT_UDP, NULL);
    mre_client_log(client, hear, seen);
    const enum mre_result result =
        mre_client_round(client, 1000, scene_train, &scene->trained, &scene->outcome);
    mre_client_log(client, NULL, NULL);
    struct mre_outcome end;
    mre_client_end(client, 1, &end); /* nobody hears */
    mre_client_close(client);
    return result;
}

static void expect(const struct seen *seen, enum mre_log_level level, const char *part)
{
    if (!strstr(seen->text[level], part)) {
        fail_msg("no \"%s\" in:\n%s", part, seen->text[level]);
    }
}

static void test_a_round(void **state)
{
    SCENE(s);
    struct seen seen;
    assert_int_equal(play(&s, &seen), MRE_COMMITTED);
    expect(&seen, MRE_LOG_DEBUG, "waiting\n");
    expect(&seen, MRE_LOG_DEBUG, "connected to hub 4, hub.test port 8443\n");
    expect(&seen, MRE_LOG_DEBUG, "round 1: training\n");
    expect(&seen, MRE_LOG_INFO, "round 1: committed: ");
    expect(&seen, MRE_LOG_WARNING, s.outcome.warning); /* the fake's steps are coarse */
    for (unsigned level = 0; level < 3; level++) {
        assert_null(strstr(seen.text[level], "ending")); /* of the call that nobody hears */
        for (unsigned hub = 1; hub < s.fake.hub_count; hub++) {
            char hex[2 * MR_SEED_BYTES + 1];
            mr_hex_encode(hex, s.fake.seeds[0][hub], MR_SEED_BYTES);
            assert_null(strstr(seen.text[level], hex));
        }
    }
    fake_fini(&s.fake);
}

static void test_tried_again(void **state)
{
    SCENE(s);
    struct seen seen;
    s.fake.busy_seeds = 2;
    assert_int_equal(play(&s, &seen), MRE_COMMITTED);
    expect(&seen, MRE_LOG_INFO, "round 1: tried again: refused (busy)");
    fake_fini(&s.fake);
}

static void test_what_somebody_has_to_look_at(void **state)
{
    SCENE(s);
    struct seen seen;
    s.fake.corrupt_model = true;
    assert_int_equal(play(&s, &seen), MRE_BAD_MODEL);
    expect(&seen, MRE_LOG_WARNING, "round 1: bad-model: the model that the lead sent does not");
    fake_fini(&s.fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_round),
        cmocka_unit_test(test_tried_again),
        cmocka_unit_test(test_what_somebody_has_to_look_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
