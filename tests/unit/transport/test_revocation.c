/* test_revocation.c - what was taken back: by its CA and number, with all that a CA signed, and not
 * by an older list. Two roots: "root" with two issuing CAs below it, and two of one name. */
#include "tests/unit/transport/party.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "transport/tls.h"

#define TURNS  50
#define DEVICE "URI:urn:millrace:device:00000000000000000000000000000001"

static char dir[64];
static struct party root, good, bad, old, new, of_good, of_bad, of_old, of_new;
static const long nobody[] = {0};

static const char *path_of(char path[96], const char *name)
{
    snprintf(path, 96, "%s/%s", dir, name);
    return path;
}

static void write_device(const char *stem, const struct party *device, const struct party *issuer)
{
    char path[96], name[32];
    snprintf(name, sizeof name, "%s.pem", stem);
    party_write(path_of(path, name), 2, (const struct party *[]){device, issuer});
    snprintf(name, sizeof name, "%s.key", stem);
    party_write_key(path_of(path, name), device);
}

static int set_up(void **state)
{
    char path[96];
    (void)state;
    strcpy(dir, "/tmp/mr-test-revocation-XXXXXX");
    assert_non_null(mkdtemp(dir));
    root = certify("root", NULL, 1, NULL, PARTY_LIFE_S);
    good = certify("good", &root, 2, NULL, PARTY_LIFE_S);
    bad = certify("bad", &root, 3, NULL, PARTY_LIFE_S);
    old = certify("Federation CA", NULL, 1, NULL, PARTY_LIFE_S);
    new = certify("Federation CA", NULL, 1, NULL, PARTY_LIFE_S);
    of_good = certify("of good", &good, 10, DEVICE, PARTY_LIFE_S);
    of_bad = certify("of bad", &bad, 10, DEVICE, PARTY_LIFE_S);
    of_old = certify("of old", &old, 20, DEVICE, PARTY_LIFE_S);
    of_new = certify("of new", &new, 10, DEVICE, PARTY_LIFE_S);
    write_device("good", &of_good, &good);
    write_device("bad", &of_bad, &bad);
    write_device("old", &of_old, &old);
    write_device("new", &of_new, &new);
    party_write(path_of(path, "root.pem"), 1, (const struct party *[]){&root});
    party_write(path_of(path, "all.pem"), 3, (const struct party *[]){&root, &good, &bad});
    party_write(path_of(path, "roll.pem"), 2, (const struct party *[]){&old, &new});
    return 0;
}

static int tear_down(void **state)
{
    struct party *const parties[] = {&root,    &good,   &bad,    &old,   &new,
                                     &of_good, &of_bad, &of_old, &of_new};
    char command[96];
    (void)state;
    for (size_t i = 0; i < sizeof parties / sizeof *parties; i++) {
        party_forget(parties[i]);
    }
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command);
}

/* --- handshakes ------------------------------------------------------------------------------ */

struct files {
    char ca[96], certificate[96], key[96], list[96];
    struct mr_tls_files files;
};

static const struct mr_tls_files *files_of(struct files *files, const char *ca, const char *stem,
                                           bool with_lists)
{
    char name[32];
    snprintf(name, sizeof name, "%s.pem", stem);
    files->files =
        (struct mr_tls_files){.ca_file = path_of(files->ca, ca),
                              .certificate_file = path_of(files->certificate, name),
                              .private_key_file = files->key,
                              .revocation_file = with_lists ? path_of(files->list, "list") : NULL};
    snprintf(name, sizeof name, "%s.key", stem);
    path_of(files->key, name);
    return &files->files;
}

static struct mr_tls *open_judge(const char *ca, const char *stem)
{
    struct files files;
    struct mr_tls *tls;
    struct mr_error error = {.text = ""};
    if (mr_tls_open(&tls, MR_TLS_SERVER, files_of(&files, ca, stem, true), &error) != 0) {
        fail_msg("%s", error.text);
    }
    return tls;
}

/* What the judge says of a client with that certificate. */
static enum mr_tls_refusal judge(struct mr_tls *tls, const char *ca, const char *stem,
                                 struct mr_tls_peer *seen)
{
    int fds[2];
    struct files files;
    struct mr_tls *client;
    struct mr_tls_peer other = {.expected_hub = MR_TLS_ANY_PEER};
    struct mr_error error;
    *seen = other;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    assert_int_equal(mr_tls_open(&client, MR_TLS_CLIENT, files_of(&files, ca, stem, false), &error),
                     0);
    SSL *here = mr_tls_connection(tls, fds[0], seen);
    SSL *there = mr_tls_connection(client, fds[1], &other);
    for (int i = 0; i < TURNS && !SSL_is_init_finished(here); i++) {
        SSL_do_handshake(there);
        SSL_do_handshake(here);
    }
    assert_int_equal(SSL_is_init_finished(here), seen->refusal == MR_TLS_ACCEPTED);
    SSL_free(here);
    SSL_free(there);
    mr_tls_close(client);
    close(fds[0]);
    close(fds[1]);
    return seen->refusal;
}

static void list(bool first, const struct party *ca, long number, long age_s, const long *numbers)
{
    char path[96];
    party_write_list(path_of(path, "list"), first, ca, number, age_s, numbers);
}

/* --- tests ----------------------------------------------------------------------------------- */

static void a_ca_that_is_taken_back_takes_its_devices_along(void **state)
{
    (void)state;
    struct mr_tls_peer before, seen;
    list(true, &root, 0, 0, nobody);
    list(false, &good, 0, 0, nobody);
    list(false, &bad, 0, 0, nobody);
    struct mr_tls *tls = open_judge("all.pem", "good");
    assert_int_equal(judge(tls, "all.pem", "bad", &before), MR_TLS_ACCEPTED);
    assert_false(mr_revocations_has(mr_tls_revocations(tls), &before.serial));
    list(true, &root, 0, 0, (const long[]){3, 0});
    list(false, &good, 0, 0, nobody);
    list(false, &bad, 0, 0, nobody);
    assert_int_equal(mr_tls_reload(tls, NULL), 0);
    assert_int_equal(judge(tls, "all.pem", "bad", &seen), MR_TLS_REVOKED);
    assert_non_null(strstr(seen.reason, "CN=bad is revoked"));
    assert_true(mr_revocations_has(mr_tls_revocations(tls), &before.serial)); /* who came before */
    assert_int_equal(judge(tls, "all.pem", "good", &seen), MR_TLS_ACCEPTED);
    assert_false(mr_revocations_has(mr_tls_revocations(tls), &seen.serial));
    mr_tls_close(tls);
}

/* The list of "bad" need not be there: it does not speak any more. */
static void the_better_reason_is_told(void **state)
{
    (void)state;
    struct mr_tls_peer seen;
    list(true, &root, 0, 0, (const long[]){3, 0});
    list(false, &good, 0, 0, nobody);
    struct mr_tls *tls = open_judge("root.pem", "good");
    assert_int_equal(judge(tls, "root.pem", "bad", &seen), MR_TLS_REVOKED);
    assert_int_equal(judge(tls, "root.pem", "good", &seen), MR_TLS_ACCEPTED);
    mr_tls_close(tls);
}

static void an_issuing_ca_without_a_list_lets_nobody_in(void **state)
{
    (void)state;
    struct mr_tls_peer seen;
    list(true, &root, 0, 0, nobody);
    list(false, &good, 0, 0, nobody); /* known by the judge's own chain */
    struct mr_tls *tls = open_judge("root.pem", "good");
    assert_int_equal(judge(tls, "root.pem", "good", &seen), MR_TLS_ACCEPTED);
    assert_int_equal(judge(tls, "root.pem", "bad", &seen), MR_TLS_NO_LIST);
    assert_non_null(strstr(seen.reason, "no revocation list of its CA (CN=bad)"));
    mr_tls_close(tls);
}

static void a_number_is_of_one_ca_alone(void **state)
{
    (void)state;
    struct mr_tls_peer seen;
    list(true, &old, 0, 0, (const long[]){10, 0}); /* which is of_new's number, by the other CA */
    list(false, &new, 0, 0, nobody);
    struct mr_tls *tls = open_judge("roll.pem", "old");
    assert_int_equal(judge(tls, "roll.pem", "new", &seen), MR_TLS_ACCEPTED);
    assert_false(mr_revocations_has(mr_tls_revocations(tls), &seen.serial));
    assert_int_equal(judge(tls, "roll.pem", "old", &seen), MR_TLS_ACCEPTED);
    list(true, &old, 0, 0, (const long[]){10, 20, 0});
    list(false, &new, 0, 0, (const long[]){20, 0});
    assert_int_equal(mr_tls_reload(tls, NULL), 0);
    assert_int_equal(judge(tls, "roll.pem", "new", &seen), MR_TLS_ACCEPTED);
    assert_int_equal(judge(tls, "roll.pem", "old", &seen), MR_TLS_REVOKED);
    mr_tls_close(tls);
}

static void assert_unreadable(const char *ca, const char *stem, const char *why)
{
    struct files files;
    struct mr_tls *tls;
    struct mr_error error = {.text = ""};
    assert_int_equal(mr_tls_open(&tls, MR_TLS_SERVER, files_of(&files, ca, stem, true), &error),
                     -1);
    if (!strstr(error.text, why)) {
        fail_msg("not '%s' but: %s", why, error.text);
    }
}

static void lists_that_would_fool_are_refused(void **state)
{
    (void)state;
    char path[96];
    list(true, &old, 0, 0, nobody);
    assert_unreadable("roll.pem", "old", "no list of certificate 2 of ca_file (CN=Federation CA)");
    list(true, &root, 0, 0, nobody);
    list(false, &root, 0, 60, nobody);
    assert_unreadable("root.pem", "good", "list 2 is of CN=root as list 1 is");
    list(true, &root, 0, 0, nobody);
    list(false, &bad, 0, 0, nobody);
    assert_unreadable("root.pem", "good", "list 2, of CN=bad, is not signed by a CA that is known");
    party_write(path_of(path, "list"), 1, (const struct party *[]){&root});
    assert_unreadable("root.pem", "good", "holds no revocation list");
    list(true, &root, 0, 0, nobody);
    assert_int_equal(truncate(path_of(path, "list"), 200), 0);
    assert_unreadable("root.pem", "good", "list: ");
}

/* A CA's certificate beside its list makes it known. */
static void a_ca_may_stand_beside_its_list(void **state)
{
    (void)state;
    char path[96];
    struct mr_tls_peer seen;
    party_write(path_of(path, "list"), 1, (const struct party *[]){&bad});
    list(false, &root, 0, 0, nobody);
    list(false, &good, 0, 0, nobody);
    list(false, &bad, 0, 0, nobody);
    struct mr_tls *tls = open_judge("root.pem", "good");
    assert_int_equal(judge(tls, "root.pem", "bad", &seen), MR_TLS_ACCEPTED);
    mr_tls_close(tls);
}

static void assert_older(struct mr_tls *tls, const char *ca, const char *stem)
{
    struct mr_error error = {.text = ""};
    struct mr_tls_peer seen;
    assert_int_equal(mr_tls_reload(tls, &error), -1);
    assert_non_null(strstr(error.text, "older than the one that was in force"));
    assert_int_equal(judge(tls, ca, stem, &seen), MR_TLS_REVOKED);
}

/* By the list's number where both have one, else by its date. */
static void an_older_list_is_noticed(void **state)
{
    (void)state;
    struct mr_tls_peer seen;
    list(true, &old, 7, 60, (const long[]){20, 0});
    list(false, &new, 0, 60, nobody);
    struct mr_tls *tls = open_judge("roll.pem", "new");
    list(true, &old, 6, 0, nobody);
    list(false, &new, 0, 60, nobody);
    assert_older(tls, "roll.pem", "old");
    list(true, &old, 0, 120, nobody);
    list(false, &new, 0, 60, nobody);
    assert_older(tls, "roll.pem", "old");
    list(true, &old, 8, 0, nobody); /* taken back in again, by a newer list */
    list(false, &new, 0, 60, nobody);
    assert_int_equal(mr_tls_reload(tls, NULL), 0);
    assert_int_equal(judge(tls, "roll.pem", "old", &seen), MR_TLS_ACCEPTED);
    mr_tls_close(tls);
}

static int follow(const struct mr_tls *tls, const char *note, struct mr_error *error)
{
    return mr_revocations_follow_note(mr_tls_revocations(tls), note, error);
}

/* Over a restart. */
static void an_older_list_is_noticed_by_its_note(void **state)
{
    (void)state;
    struct mr_error error = {.text = ""};
    list(true, &old, 10, 60, nobody); /* which is more than 9, as text less */
    list(false, &new, 0, 60, nobody);
    struct mr_tls *tls = open_judge("roll.pem", "new");
    char *note = mr_revocations_note(mr_tls_revocations(tls));
    assert_non_null(note);
    assert_int_equal(follow(tls, note, &error), 0);
    assert_int_equal(follow(tls, "", &error), 0);
    assert_int_equal(follow(tls, "nonsense\n", &error), -1);
    mr_tls_close(tls);
    list(true, &old, 9, 0, nobody);
    list(false, &new, 0, 60, nobody);
    tls = open_judge("roll.pem", "new");
    assert_int_equal(follow(tls, note, &error), -1);
    assert_non_null(strstr(error.text, "number 9 of"));
    mr_tls_close(tls);
    list(true, &old, 11, 0, nobody);
    list(false, &new, 0, 120, nobody);
    tls = open_judge("roll.pem", "new");
    assert_int_equal(follow(tls, note, &error), -1);
    assert_non_null(strstr(error.text, "list 2"));
    mr_tls_close(tls);
    free(note);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ca_that_is_taken_back_takes_its_devices_along),
        cmocka_unit_test(the_better_reason_is_told),
        cmocka_unit_test(an_issuing_ca_without_a_list_lets_nobody_in),
        cmocka_unit_test(a_number_is_of_one_ca_alone),
        cmocka_unit_test(lists_that_would_fool_are_refused),
        cmocka_unit_test(a_ca_may_stand_beside_its_list),
        cmocka_unit_test(an_older_list_is_noticed),
        cmocka_unit_test(an_older_list_is_noticed_by_its_note),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
