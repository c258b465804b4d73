#include "appliance/cli/pki.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "appliance/cli/pki_certificate.h"
#include "appliance/cli/pki_file.h"

#define DAY_S        (24 * 60 * 60)
#define DAYS_DEFAULT 90
#define EARLY_S      (-5 * 60) /* clocks of devices are not all right */

static const char *const local_names[] = {"localhost", "127.0.0.1", "::1"};

/* What issuing needs, loaded once for the whole folder. */
struct authority {
    const char *dir;
    bool force;
    int64_t until_s;
    EVP_PKEY *key;
    X509 *certificate;
};

static void authority_fini(struct authority *authority)
{
    EVP_PKEY_free(authority->key);
    X509_free(authority->certificate);
}

/* A key, a certificate for it, and both in files. */
static int issue(const struct authority *authority, const struct mr_pki_leaf *leaf,
                 struct mr_error *error)
{
    int status = -1;
    X509 *certificate = NULL;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    if (!key) {
        return mr_error_set(error, "%s: the cryptographic library makes no P-256 key", leaf->stem);
    }
    certificate = mr_pki_certificate(leaf, key, authority->certificate, authority->key, error);
    if (certificate && mr_pki_write_key(authority->dir, leaf->stem, key, leaf->force, error) == 0 &&
        mr_pki_write_certificate(authority->dir, leaf->stem, certificate, leaf->force, error) ==
            0) {
        status = 0;
    }
    X509_free(certificate);
    EVP_PKEY_free(key);
    return status;
}

static int issue_identity(const struct authority *authority, const char *stem,
                          const struct mr_identity *identity, const char *const *names,
                          unsigned name_count, struct mr_error *error)
{
    char uri[MR_IDENTITY_URI_MAX];
    const char *const uris[] = {uri};
    mr_identity_format(uri, identity);
    const struct mr_pki_leaf leaf = {
        .stem = stem,
        .uris = uris,
        .uri_count = 1,
        .host_names = names,
        .host_name_count = name_count,
        .from_s = EARLY_S,
        .until_s = authority->until_s,
        .force = authority->force,
    };
    return issue(authority, &leaf, error);
}

static int make_authority(struct authority *authority, struct mr_error *error)
{
    authority->key = EVP_EC_gen("P-256");
    if (!authority->key) {
        return mr_error_set(error, "ca: the cryptographic library makes no P-256 key");
    }
    const struct mr_pki_leaf ca = {.stem = "ca", .from_s = EARLY_S, .until_s = authority->until_s};
    authority->certificate = mr_pki_certificate(&ca, authority->key, NULL, authority->key, error);
    if (!authority->certificate ||
        mr_pki_write_key(authority->dir, "ca", authority->key, authority->force, error) != 0) {
        return -1;
    }
    return mr_pki_write_certificate(authority->dir, "ca", authority->certificate, authority->force,
                                    error);
}

static int make_signing_key(const struct authority *authority, unsigned hub, struct mr_error *error)
{
    uint8_t seed[32], public_key[32];
    size_t seed_bytes = sizeof seed, public_bytes = sizeof public_key;
    char file[MR_PKI_STEM_MAX + 16];
    int status = -1;
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    if (!key || EVP_PKEY_get_raw_private_key(key, seed, &seed_bytes) != 1 ||
        EVP_PKEY_get_raw_public_key(key, public_key, &public_bytes) != 1) {
        mr_error_set(error, "hub-%u: the cryptographic library makes no Ed25519 key", hub);
    } else {
        snprintf(file, sizeof file, "hub-%u.sign.key", hub);
        status = mr_pki_write_hex(authority->dir, file, seed, sizeof seed, 0600, authority->force,
                                  error);
        if (status == 0) {
            snprintf(file, sizeof file, "hub-%u.sign.pub", hub);
            status = mr_pki_write_hex(authority->dir, file, public_key, sizeof public_key, 0644,
                                      authority->force, error);
        }
    }
    OPENSSL_cleanse(seed, sizeof seed);
    EVP_PKEY_free(key);
    return status;
}

static int make_hubs(const struct authority *authority, const struct mr_pki_plan *plan,
                     struct mr_error *error)
{
    const char *const *names = plan->host_name_count ? plan->host_names : local_names;
    const unsigned name_count =
        plan->host_name_count ? plan->host_name_count : sizeof local_names / sizeof *local_names;
    for (unsigned i = 0; i < plan->hubs; i++) {
        char stem[MR_PKI_STEM_MAX];
        const struct mr_identity identity = {.role = MR_ROLE_HUB, .hub_index = (uint16_t)i};
        snprintf(stem, sizeof stem, "hub-%u", i);
        if (issue_identity(authority, stem, &identity, names, name_count, error) != 0 ||
            make_signing_key(authority, i, error) != 0) {
            return -1;
        }
    }
    return 0;
}

void mr_pki_device_stem(char *stem, unsigned index, unsigned devices)
{
    const char *format = "device-%03u";
    if (devices > 10000) {
        format = "device-%05u";
    } else if (devices > 1000) {
        format = "device-%04u";
    }
    snprintf(stem, MR_PKI_STEM_MAX, format, index);
}

void mr_pki_device_id(uint8_t *client_id, unsigned index, unsigned devices)
{
    char stem[MR_PKI_STEM_MAX];
    uint8_t digest[EVP_MAX_MD_SIZE];
    mr_pki_device_stem(stem, index, devices);
    if (EVP_Q_digest(NULL, "SHA256", NULL, stem, strlen(stem), digest, NULL) != 1) {
        memset(digest, 0,
               sizeof digest); /* a library without SHA-256 makes no certificate either */
    }
    memcpy(client_id, digest, MR_CLIENT_ID_BYTES);
}

static int make_devices(const struct authority *authority, const struct mr_pki_plan *plan,
                        struct mr_error *error)
{
    for (unsigned i = 0; i < plan->devices; i++) {
        char stem[MR_PKI_STEM_MAX];
        struct mr_identity identity = {.role = MR_ROLE_DEVICE};
        mr_pki_device_stem(stem, i, plan->devices);
        mr_pki_device_id(identity.client_id, i, plan->devices);
        if (plan->random_ids && mr_pki_random(identity.client_id, MR_CLIENT_ID_BYTES, error) != 0) {
            return -1;
        }
        if (issue_identity(authority, stem, &identity, NULL, 0, error) != 0) {
            return -1;
        }
    }
    return 0;
}

/* Certificates named "operator", "operator-1" and so on. */
static int make_named(const struct authority *authority, enum mr_role role, const char *word,
                      unsigned count, struct mr_error *error)
{
    for (unsigned i = 0; i < count; i++) {
        struct mr_identity identity = {.role = role};
        char *name = identity.name;
        snprintf(name, sizeof identity.name, i ? "%s-%u" : "%s", word, i);
        if (issue_identity(authority, name, &identity, NULL, 0, error) != 0) {
            return -1;
        }
    }
    return 0;
}

static int check_plan(const struct mr_pki_plan *plan, struct mr_error *error)
{
    if (plan->hubs > MR_PKI_HUBS_MAX) {
        return mr_error_set(error, "%u hubs: at most %d", plan->hubs, MR_PKI_HUBS_MAX);
    }
    if (plan->devices > MR_PKI_DEVICES_MAX) {
        return mr_error_set(error, "%u devices: at most %d", plan->devices, MR_PKI_DEVICES_MAX);
    }
    if (plan->operators > MR_PKI_OPERATORS_MAX) {
        return mr_error_set(error, "%u operators: at most %d", plan->operators,
                            MR_PKI_OPERATORS_MAX);
    }
    if (plan->readers > MR_PKI_OPERATORS_MAX) {
        return mr_error_set(error, "%u readers: at most %d", plan->readers, MR_PKI_OPERATORS_MAX);
    }
    if (plan->days > 3650) {
        return mr_error_set(error, "%u days: a throw-away CA lives at most 3650", plan->days);
    }
    if (mkdir(plan->dir, 0700) != 0 && errno != EEXIST) {
        return mr_error_set(error, "cannot make the folder %s: %s", plan->dir, strerror(errno));
    }
    return 0;
}

int mr_pki_init(const struct mr_pki_plan *plan, struct mr_error *error)
{
    if (check_plan(plan, error) != 0) {
        return -1;
    }
    struct authority authority = {
        .dir = plan->dir,
        .force = plan->force,
        .until_s = (int64_t)(plan->days ? plan->days : DAYS_DEFAULT) * DAY_S,
    };
    int status = make_authority(&authority, error);
    if (status == 0) {
        status = make_hubs(&authority, plan, error);
    }
    if (status == 0) {
        status = make_devices(&authority, plan, error);
    }
    if (status == 0) {
        status = make_named(&authority, MR_ROLE_OPERATOR, "operator", plan->operators, error);
    }
    if (status == 0) {
        status = make_named(&authority, MR_ROLE_READER, "reader", plan->readers, error);
    }
    authority_fini(&authority);
    return status;
}

int mr_pki_issue(const char *dir, const struct mr_pki_leaf *leaf, struct mr_error *error)
{
    struct authority authority = {.dir = dir};
    int status = mr_pki_read(dir, "ca", &authority.certificate, &authority.key, error);
    if (status == 0) {
        status = issue(&authority, leaf, error);
    }
    authority_fini(&authority);
    return status;
}
