#include "transport/certificate_time.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

/* ASN1_TIME_diff reckons from now where its first time is NULL. */
static int64_t seconds_until(const ASN1_TIME *begin)
{
    int days = 0, seconds = 0;
    if (ASN1_TIME_diff(&days, &seconds, NULL, begin) != 1) {
        return 0;
    }
    const int64_t left = (int64_t)days * 86400 + seconds;
    return left > 0 ? left : 0;
}

int64_t mr_certificate_begins_in_s(const char *path)
{
    BIO *file = BIO_new_file(path, "r");
    X509 *certificate = file ? PEM_read_bio_X509(file, NULL, NULL, NULL) : NULL;
    const int64_t left = certificate ? seconds_until(X509_get0_notBefore(certificate)) : 0;
    X509_free(certificate);
    BIO_free(file);
    ERR_clear_error();
    return left;
}
