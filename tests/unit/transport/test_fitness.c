/* test_fitness.c - what a handshake would say of certificate, key and CA, said before one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "appliance/cli/pki.h"
#include "transport/fitness.h"

#define DAY_S (24L * 3600)
#define HUB_0 "urn:millrace:hub:0"

static char dir[64], foreign[64];

static void issue(const char *in, const char *stem, unsigned uri_count, const char *const *uris,
                  int64_t from_s, int64_t until_s)
{
    struct mr_error error = {.text = ""};
    const struct mr_pki_leaf leaf = {.stem = stem,
                                     .uris = uris,
                                     .uri_count = uri_count,
                                     .from_s = from_s,
                                     .until_s = until_s,
                                     .force = true};
    if (mr_pki_issue(in, &leaf, &error) != 0) {
        fail_msg("%s", error.text);
    }
}

static int make(char folder[64], const char *pattern)
{
    struct mr_error error;
    snprintf(folder, 64, "%s", pattern);
    assert_non_null(mkdtemp(folder));
    const struct mr_pki_plan plan = {
        .dir = folder, .hubs = 2, .devices = 1, .operators = 1, .force = true};
    return mr_pki_init(&plan, &error);
}

static int set_up(void **state)
{
    (void)state;
    if (make(dir, "/tmp/mr-test-fitness-XXXXXX") != 0 ||
        make(foreign, "/tmp/mr-test-foreign-XXXXXX") != 0) {
        return -1;
    }
    const char *const own[] = {HUB_0}, *const two[] = {HUB_0, "urn:millrace:hub:1"};
    issue(dir, "over", 1, own, -2 * DAY_S, -DAY_S);
    issue(dir, "early", 1, own, DAY_S, 2 * DAY_S);
    issue(dir, "nobody", 0, own, -DAY_S, DAY_S);
    issue(dir, "two", 2, two, -DAY_S, DAY_S);
    return 0;
}

static int tear_down(void **state)
{
    char command[256];
    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s' '%s'", dir, foreign);
    return system(command);
}

struct paths {
    char ca[128], certificate[128], key[128], list[128];
    struct mr_tls_files files;
};

static const struct mr_tls_files *files_of(struct paths *paths, const char *ca_dir,
                                           const char *stem, const char *key_stem)
{
    snprintf(paths->ca, sizeof paths->ca, "%s/ca.pem", ca_dir);
    snprintf(paths->certificate, sizeof paths->certificate, "%s/%s.pem", dir, stem);
    snprintf(paths->key, sizeof paths->key, "%s/%s.key", dir, key_stem);
    paths->files = (struct mr_tls_files){.ca_file = paths->ca,
                                         .certificate_file = paths->certificate,
                                         .private_key_file = paths->key};
    return &paths->files;
}

static const struct mr_tls_purpose as_hub_0 = {
    .serves = true, .dials = true, .role = MR_ROLE_HUB, .hub_index = 0};
static const struct mr_tls_purpose as_device = {.dials = true, .role = MR_ROLE_DEVICE};

static void assert_unfit(const struct mr_tls_files *files, const struct mr_tls_purpose *purpose,
                         const char *why, const char *remedy)
{
    struct mr_error error = {.text = ""};
    assert_int_equal(mr_tls_check_fitness(files, purpose, &error), -1);
    if (!strstr(error.text, why) || !strstr(error.text, remedy)) {
        fail_msg("not '%s' and '%s' but: %s", why, remedy, error.text);
    }
}

static void what_is_fit_passes(void **state)
{
    (void)state;
    struct paths paths;
    struct mr_error error = {.text = ""};
    const struct mr_tls_purpose as_hub_1 = {
        .serves = true, .dials = true, .role = MR_ROLE_HUB, .hub_index = 1};
    assert_int_equal(
        mr_tls_check_fitness(files_of(&paths, dir, "hub-0", "hub-0"), &as_hub_0, &error), 0);
    assert_int_equal(
        mr_tls_check_fitness(files_of(&paths, dir, "hub-1", "hub-1"), &as_hub_1, &error), 0);
    assert_int_equal(
        mr_tls_check_fitness(files_of(&paths, dir, "device-000", "device-000"), &as_device, &error),
        0);
}

static void a_time_that_is_not_now(void **state)
{
    (void)state;
    struct paths paths;
    assert_unfit(files_of(&paths, dir, "over", "over"), &as_hub_0, "expired on 20", "issue a new");
    assert_unfit(files_of(&paths, dir, "early", "early"), &as_hub_0, "is not valid before 20",
                 "set this machine's clock");
}

static void an_identity_that_is_not_its_own(void **state)
{
    (void)state;
    struct paths paths;
    assert_unfit(files_of(&paths, dir, "hub-1", "hub-1"), &as_hub_0, "but of urn:millrace:hub:1",
                 "the URI " HUB_0);
    assert_unfit(files_of(&paths, dir, "nobody", "nobody"), &as_hub_0, "exactly one millrace",
                 "the URI " HUB_0);
    assert_unfit(files_of(&paths, dir, "two", "two"), &as_hub_0, "exactly one millrace",
                 "the URI " HUB_0);
    assert_unfit(files_of(&paths, dir, "device-000", "device-000"), &as_hub_0,
                 "but of urn:millrace:d", "the URI " HUB_0);
    assert_unfit(files_of(&paths, dir, "operator", "operator"), &as_device,
                 "that of urn:millrace:operator", "urn:millrace:device:");
}

static void a_ca_that_did_not_sign_it(void **state)
{
    (void)state;
    struct paths paths;
    assert_unfit(files_of(&paths, foreign, "hub-0", "hub-0"), &as_hub_0,
                 "unable to get local issuer", "lead up to a CA of");
    assert_unfit(files_of(&paths, foreign, "device-000", "device-000"), &as_device,
                 "unable to get local issuer", "lead up to a CA of");
}

static void a_key_of_another_certificate(void **state)
{
    (void)state;
    struct paths paths;
    assert_unfit(files_of(&paths, dir, "hub-0", "hub-1"), &as_hub_0, "key values mismatch",
                 "the key of");
}

static void join_files(const char *name, const char *first, const char *second)
{
    char command[320];
    snprintf(command, sizeof command, "cd '%s' && cat %s %s > %s && chmod 600 %s", dir, first,
             second, name, name);
    assert_int_equal(system(command), 0);
}

/* What would be passed over in silence. */
static void files_with_more_than_belongs_there(void **state)
{
    (void)state;
    struct paths paths;
    struct mr_error error = {.text = ""};
    join_files("two-keys.key", "hub-0.key", "hub-1.key");
    assert_unfit(files_of(&paths, dir, "hub-0", "two-keys"), &as_hub_0, "2 keys are in it",
                 "leave the one");
    join_files("more.pem", "hub-0.pem", "hub-1.pem");
    assert_unfit(files_of(&paths, dir, "more", "hub-0"), &as_hub_0,
                 "certificate 2 in it (CN=hub-1) did not sign", "our own stands first");
    join_files("more.pem", "hub-0.pem", "ca.pem");
    assert_int_equal(
        mr_tls_check_fitness(files_of(&paths, dir, "more", "hub-0"), &as_hub_0, &error), 0);
}

/* Its own CA took it back. */
static void a_certificate_on_the_list(void **state)
{
    (void)state;
    struct paths paths;
    struct mr_error error = {.text = ""};
    (void)files_of(&paths, dir, "hub-0", "hub-0");
    snprintf(paths.list, sizeof paths.list, "%s/revoked.pem", dir);
    paths.files.revocation_file = paths.list;
    assert_int_equal(mr_pki_revoke(dir, "device-000", &error), 0);
    assert_int_equal(mr_tls_check_fitness(&paths.files, &as_hub_0, &error), 0);
    assert_int_equal(mr_pki_revoke(dir, "hub-0", &error), 0);
    assert_unfit(&paths.files, &as_hub_0, "CN=hub-0 is revoked", "issue a new one");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_fit_passes),
        cmocka_unit_test(a_time_that_is_not_now),
        cmocka_unit_test(an_identity_that_is_not_its_own),
        cmocka_unit_test(a_ca_that_did_not_sign_it),
        cmocka_unit_test(a_key_of_another_certificate),
        cmocka_unit_test(files_with_more_than_belongs_there),
        cmocka_unit_test(a_certificate_on_the_list),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
