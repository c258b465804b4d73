/* client_certificate.c - preloaded into h2load, which has no option for a client certificate: every
 * TLS context gets the one that the environment names.
 *
 *   LD_PRELOAD=libclient_certificate.so MR_CERTIFICATE=x.pem MR_KEY=x.key h2load ... */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#include <openssl/ssl.h>

__attribute__((visibility("default"))) SSL_CTX *SSL_CTX_new(const SSL_METHOD *method)
{
    SSL_CTX *(*real)(const SSL_METHOD *) = NULL;
    const char *certificate = getenv("MR_CERTIFICATE"), *key = getenv("MR_KEY");

    *(void **)&real = dlsym(RTLD_NEXT, "SSL_CTX_new");
    SSL_CTX *context = real ? real(method) : NULL;
    if (!context || !certificate || !key ||
        SSL_CTX_use_certificate_chain_file(context, certificate) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1) {
        fputs("client_certificate: MR_CERTIFICATE and MR_KEY must name a certificate and its key\n",
              stderr);
        exit(1);
    }
    return context;
}
