#include "base/base64.h"

#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/assert.h"

void mr_base64_encode(char *text, const uint8_t *data, size_t bytes)
{
    MR_ASSERT(bytes <= MR_BASE64_BYTES_MAX);
    EVP_EncodeBlock((unsigned char *)text, data, (int)bytes);
}

int mr_base64_decode(uint8_t *data, size_t bytes, const char *text, size_t length)
{
    uint8_t padded[MR_BASE64_BYTES_MAX + 3];
    char again[MR_BASE64_LENGTH(MR_BASE64_BYTES_MAX) + 1];
    MR_ASSERT(bytes <= MR_BASE64_BYTES_MAX);
    if (length != MR_BASE64_LENGTH(bytes)) {
        return -1;
    }
    /* OpenSSL forgives white space and stray bits; writing it again shows whether it had to. */
    int status = -1;
    if (EVP_DecodeBlock(padded, (const unsigned char *)text, (int)length) >= 0) {
        mr_base64_encode(again, padded, bytes);
        if (CRYPTO_memcmp(again, text, length) == 0) {
            memcpy(data, padded, bytes);
            status = 0;
        }
    }
    OPENSSL_cleanse(padded, sizeof padded);
    OPENSSL_cleanse(again, sizeof again);
    return status;
}
