/* The throw-away CA: what is in its files, who may read them, and that nothing is overwritten. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "appliance/cli/pki.h"

static char *scratch(char *dir)
{
    strcpy(dir, "/tmp/mr-test-pki-XXXXXX");
    assert_non_null(mkdtemp(dir));
    return dir;
}

static void remove_scratch(const char *dir)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    assert_int_equal(system(command), 0);
}

static X509 *certificate(const char *dir, const char *file)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, file);
    FILE *in = fopen(path, "r");
    assert_non_null(in);
    X509 *found = PEM_read_X509(in, NULL, NULL, NULL);
    assert_non_null(found);
    fclose(in);
    return found;
}

static void assert_mode(const char *dir, const char *file, mode_t mode)
{
    char path[128];
    struct stat about;
    snprintf(path, sizeof path, "%s/%s", dir, file);
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(about.st_mode & 0777, mode);
}

static void read_hex(const char *dir, const char *file, uint8_t *out)
{
    char path[128], text[80] = {0};
    snprintf(path, sizeof path, "%s/%s", dir, file);
    FILE *in = fopen(path, "r");
    assert_non_null(in);
    assert_int_equal(fread(text, 1, sizeof text, in), 65);
    fclose(in);
    assert_int_equal(text[64], '\n');
    for (size_t i = 0; i < 32; i++) {
        unsigned byte;
        assert_int_equal(sscanf(text + 2 * i, "%2x", &byte), 1);
        out[i] = (uint8_t)byte;
    }
}

static void assert_uri(X509 *leaf, const char *uri)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
    assert_non_null(names);
    const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, 0);
    assert_int_equal(name->type, GEN_URI);
    assert_string_equal((const char *)ASN1_STRING_get0_data(name->d.ia5), uri);
    GENERAL_NAMES_free(names);
}

/* --- a federation of two hubs, three devices and two operators ---------------------------------
 */

static char federation[64];

static int make_federation(void **state)
{
    (void)state;
    struct mr_error error = {""};
    const struct mr_pki_plan plan = {
        .dir = scratch(federation), .hubs = 2, .devices = 3, .operators = 2, .readers = 1};
    return mr_pki_init(&plan, &error);
}

static int remove_federation(void **state)
{
    (void)state;
    remove_scratch(federation);
    return 0;
}

static void everyone_is_signed_by_the_ca(void **state)
{
    (void)state;
    static const char *const files[] = {"hub-0.pem",    "hub-1.pem",      "device-002.pem",
                                        "operator.pem", "operator-1.pem", "reader.pem"};
    X509 *ca = certificate(federation, "ca.pem");
    EVP_PKEY *ca_key = X509_get_pubkey(ca);
    assert_int_equal(X509_check_ca(ca), 1);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        X509 *leaf = certificate(federation, files[i]);
        assert_int_equal(X509_verify(leaf, ca_key), 1);
        X509_free(leaf);
    }
    EVP_PKEY_free(ca_key);
    X509_free(ca);
}

static void a_hub_is_server_and_client_under_its_names(void **state)
{
    (void)state;
    X509 *hub = certificate(federation, "hub-1.pem");
    assert_uri(hub, "urn:millrace:hub:1");
    assert_int_equal(X509_check_ip_asc(hub, "127.0.0.1", 0), 1);
    assert_int_equal(X509_check_host(hub, "localhost", 0, 0, NULL), 1);
    assert_int_equal(X509_check_ca(hub), 0);
    assert_int_equal(X509_check_purpose(hub, X509_PURPOSE_SSL_SERVER, 0), 1);
    assert_int_equal(X509_check_purpose(hub, X509_PURPOSE_SSL_CLIENT, 0), 1);
    X509_free(hub);
}

static void a_device_s_id_comes_from_its_name(void **state)
{
    (void)state;
    X509 *device = certificate(federation, "device-002.pem");
    uint8_t digest[EVP_MAX_MD_SIZE], id[MR_CLIENT_ID_BYTES];
    struct mr_identity identity = {.role = MR_ROLE_DEVICE};
    char uri[MR_IDENTITY_URI_MAX];
    assert_int_equal(EVP_Q_digest(NULL, "SHA256", NULL, "device-002", 10, digest, NULL), 1);
    mr_pki_device_id(id, 2, 3);
    assert_memory_equal(id, digest, sizeof id);
    memcpy(identity.client_id, id, sizeof id);
    mr_identity_format(uri, &identity);
    assert_uri(device, uri);
    X509_free(device);
}

static void a_signing_key_has_its_public_half_beside_it(void **state)
{
    (void)state;
    uint8_t seed[32], public_key[32], derived[32];
    size_t length = sizeof derived;
    read_hex(federation, "hub-1.sign.key", seed);
    read_hex(federation, "hub-1.sign.pub", public_key);
    EVP_PKEY *sign = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, sizeof seed);
    assert_int_equal(EVP_PKEY_get_raw_public_key(sign, derived, &length), 1);
    assert_memory_equal(derived, public_key, sizeof derived);
    EVP_PKEY_free(sign);
}

static void secrets_are_for_their_owner_only(void **state)
{
    (void)state;
    static const char *const secret[] = {"ca.key", "hub-0.key", "hub-0.sign.key", "device-000.key",
                                         "operator.key"};
    for (size_t i = 0; i < sizeof secret / sizeof *secret; i++) {
        assert_mode(federation, secret[i], 0600);
    }
}

/* --- plans -------------------------------------------------------------------------------------
 */

static void what_is_there_stays_unless_forced(void **state)
{
    (void)state;
    char dir[64];
    struct mr_error error = {""};
    struct mr_pki_plan plan = {.dir = scratch(dir), .hubs = 1};
    assert_int_equal(mr_pki_init(&plan, &error), 0);
    X509 *first = certificate(dir, "ca.pem");
    assert_int_equal(mr_pki_init(&plan, &error), -1);
    assert_non_null(strstr(error.text, "ca.key exists"));
    X509 *same = certificate(dir, "ca.pem");
    assert_int_equal(X509_cmp(first, same), 0);
    plan.force = true;
    assert_int_equal(mr_pki_init(&plan, &error), 0);
    X509 *other = certificate(dir, "ca.pem");
    assert_int_not_equal(X509_cmp(first, other), 0);
    assert_int_not_equal(X509_NAME_cmp(X509_get_subject_name(first), X509_get_subject_name(other)),
                         0);
    X509_free(first);
    X509_free(same);
    X509_free(other);
    remove_scratch(dir);
}

static void impossible_plans_are_refused(void **state)
{
    (void)state;
    struct mr_error error = {""};
    struct mr_pki_plan plan = {.dir = "/nonexistent/pki", .hubs = 1};
    assert_int_equal(mr_pki_init(&plan, &error), -1);
    assert_non_null(strstr(error.text, "/nonexistent/pki"));
    plan.hubs = MR_PKI_HUBS_MAX + 1;
    assert_int_equal(mr_pki_init(&plan, &error), -1);
    assert_non_null(strstr(error.text, "65 hubs"));
    const struct mr_pki_leaf leaf = {.stem = "x", .until_s = 60};
    assert_int_equal(mr_pki_issue("/nonexistent", &leaf, &error), -1);
    assert_non_null(strstr(error.text, "millrace pki init"));
}

static void file_names_have_as_many_digits_as_it_takes(void **state)
{
    (void)state;
    char stem[MR_PKI_STEM_MAX];
    mr_pki_device_stem(stem, 7, 30);
    assert_string_equal(stem, "device-007");
    mr_pki_device_stem(stem, 999, 1000);
    assert_string_equal(stem, "device-999");
    mr_pki_device_stem(stem, 7, 1001);
    assert_string_equal(stem, "device-0007");
    mr_pki_device_stem(stem, 99999, 100000);
    assert_string_equal(stem, "device-99999");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everyone_is_signed_by_the_ca),
        cmocka_unit_test(a_hub_is_server_and_client_under_its_names),
        cmocka_unit_test(a_device_s_id_comes_from_its_name),
        cmocka_unit_test(a_signing_key_has_its_public_half_beside_it),
        cmocka_unit_test(secrets_are_for_their_owner_only),
        cmocka_unit_test(what_is_there_stays_unless_forced),
        cmocka_unit_test(impossible_plans_are_refused),
        cmocka_unit_test(file_names_have_as_many_digits_as_it_takes),
    };
    return cmocka_run_group_tests(tests, make_federation, remove_federation);
}
