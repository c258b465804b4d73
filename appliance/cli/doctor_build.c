/* doctor_build.c - what this build has in it. */
#include "appliance/cli/doctor.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "appliance/upload/open.h"

void mr_doctor_tls(struct mr_finding *finding, const struct mr_doctor_subject *subject)
{
    (void)subject;
    EVP_CIPHER *aead = EVP_CIPHER_fetch(NULL, "AES-128-GCM", NULL);
    EVP_PKEY_CTX *signature = EVP_PKEY_CTX_new_id(EVP_PKEY_ED25519, NULL);
    const bool good = aead && signature;
    EVP_CIPHER_free(aead);
    EVP_PKEY_CTX_free(signature);
    mr_finding_set(
        finding, good ? MR_FINDING_OK : MR_FINDING_MISSING,
        good ? NULL
             : "install OpenSSL 3 with its default provider: AES-128-GCM and Ed25519 are needed",
        "%s", OpenSSL_version(OPENSSL_VERSION));
}

/* The very opener a worker would take. */
void mr_doctor_opener(struct mr_finding *finding, const struct mr_doctor_subject *subject)
{
    (void)subject;
    struct mr_error error = {""};
    struct mr_opener *opener = mr_opener_open(MR_OPENER_AUTO, 1, 0, &error);
    if (!opener) {
        mr_finding_set(finding, MR_FINDING_MISSING,
                       "no upload can be opened: build Millrace with libipsec-mb-dev, or with an "
                       "OpenSSL that has AES-128-GCM",
                       "%s", error.text);
        return;
    }
    mr_finding_set(finding, MR_FINDING_OK, NULL, "%s: %s", mr_opener_name(opener),
                   mr_opener_why(opener));
    mr_opener_close(opener);
}
