/* doctor_build.c - what this build has in it. */
#include "appliance/cli/doctor.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

void mr_doctor_tls(struct mr_finding *finding, const char *dir)
{
    (void)dir;
    EVP_CIPHER *aead = EVP_CIPHER_fetch(NULL, "AES-128-GCM", NULL);
    EVP_PKEY_CTX *signature = EVP_PKEY_CTX_new_id(EVP_PKEY_ED25519, NULL);
    const bool good = aead != NULL && signature != NULL;
    EVP_CIPHER_free(aead);
    EVP_PKEY_CTX_free(signature);
    mr_finding_set(finding, good ? MR_FINDING_OK : MR_FINDING_MISSING,
                   good ? NULL : "use an OpenSSL provider with AES-128-GCM and Ed25519", "%s",
                   OpenSSL_version(OPENSSL_VERSION));
}

void mr_doctor_ipsec_mb(struct mr_finding *finding, const char *dir)
{
    (void)dir;
#ifdef MR_HAVE_IPSEC_MB
    mr_finding_set(finding, MR_FINDING_OK, NULL, "built in: opens uploads");
#else
    mr_finding_set(finding, MR_FINDING_OK, NULL, "not built in: OpenSSL opens uploads");
#endif
}

void mr_doctor_dpdk(struct mr_finding *finding, const char *dir)
{
    (void)dir;
#ifdef MR_HAVE_DPDK
    mr_finding_set(finding, MR_FINDING_OK, NULL, "built in: upload.source dpdk");
#else
    mr_finding_set(finding, MR_FINDING_OK, NULL, "not built in: datagrams come through the kernel");
#endif
}
