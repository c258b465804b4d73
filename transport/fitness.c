#include "transport/fitness.h"

#include <stdio.h>
#include <time.h>

#include <openssl/err.h>

#include "transport/certificate.h"

#define TURNS_MAX 16 /* of each end; a handshake needs a few */

struct end {
    struct mr_tls *tls;
    SSL *ssl;
    struct mr_tls_peer judgement; /* of the other end */
};

struct trial {
    const struct mr_tls_files *files;
    const struct mr_tls_purpose *purpose;
    struct end server, client;
};

/* --- in words -------------------------------------------------------------------------------- */

static void hub_uri(char uri[MR_IDENTITY_URI_MAX], uint16_t index)
{
    const struct mr_identity identity = {.role = MR_ROLE_HUB, .hub_index = index};
    mr_identity_format(uri, &identity);
}

static void remedy_of(char *text, size_t room, const struct trial *trial,
                      enum mr_tls_refusal refusal)
{
    static const char *const wanted[] = {[MR_ROLE_NONE] = "of its role",
                                         [MR_ROLE_DEVICE] = "urn:millrace:device:<32 hex digits>",
                                         [MR_ROLE_OPERATOR] = "urn:millrace:operator:<name>",
                                         [MR_ROLE_READER] = "urn:millrace:reader:<name>"};
    char uri[MR_IDENTITY_URI_MAX], now[MR_CERTIFICATE_TIME_MAX];
    switch (refusal) {
    case MR_TLS_EXPIRED:
        mr_certificate_time(now, (int64_t)time(NULL));
        snprintf(text, room,
                 "have the CA issue a new one, or set this machine's clock (its date "
                 "is %.10s)",
                 now);
        return;
    case MR_TLS_NO_IDENTITY:
    case MR_TLS_WRONG_HUB:
        if (trial->purpose->role == MR_ROLE_HUB) {
            hub_uri(uri, trial->purpose->hub_index);
        } else {
            snprintf(uri, sizeof uri, "%s", wanted[trial->purpose->role]);
        }
        snprintf(text, room, "have one issued whose subjectAltName holds the URI %s", uri);
        return;
    case MR_TLS_REVOKED:
        snprintf(text, room, "have the CA issue a new one, with a new key");
        return;
    case MR_TLS_NO_LIST:
        snprintf(text, room, "add the CA's list to %s (an empty one: millrace pki crl)",
                 trial->files->revocation_file);
        return;
    case MR_TLS_WRONG_USE:
        snprintf(text, room,
                 "have one issued with extendedKeyUsage %s and keyUsage digitalSignature, or "
                 "without either",
                 !trial->purpose->serves  ? "clientAuth"
                 : !trial->purpose->dials ? "serverAuth"
                                          : "serverAuth, clientAuth");
        return;
    default:
        snprintf(text, room,
                 "it must lead up to a CA of %s; CAs in between stand behind it in its file",
                 trial->files->ca_file);
    }
}

static int complain(const struct trial *trial, const struct mr_tls_peer *judgement,
                    const char *whose, struct mr_error *error)
{
    char remedy[256];
    remedy_of(remedy, sizeof remedy, trial, judgement->refusal);
    return mr_error_set(error, "certificate_file %s: %s will refuse it: %s; %s",
                        trial->files->certificate_file, whose, judgement->reason, remedy);
}

/* --- the handshake --------------------------------------------------------------------------- */

static int open_end(struct end *end, const struct trial *trial, enum mr_tls_side side,
                    struct mr_error *error)
{
    end->judgement.expected_hub =
        trial->purpose->role == MR_ROLE_HUB ? trial->purpose->hub_index : MR_TLS_ANY_PEER;
    if (mr_tls_open(&end->tls, side, trial->files, error) != 0) {
        return -1;
    }
    end->ssl = mr_tls_connection(end->tls, -1, &end->judgement);
    return end->ssl ? 0 : mr_error_set(error, "TLS: out of memory");
}

static int join(struct end *server, struct end *client, struct mr_error *error)
{
    BIO *here, *there;
    if (BIO_new_bio_pair(&here, 0, &there, 0) != 1) {
        return mr_error_set(error, "TLS: out of memory");
    }
    SSL_set_bio(server->ssl, here, here);
    SSL_set_bio(client->ssl, there, there);
    return 0;
}

/* The client judges and goes on, so that the server's word is heard as well. 0, or -1 where it came
 * to no end although neither end refused the other's certificate. */
static int shake_hands(struct trial *trial, struct mr_error *error)
{
    SSL *server = trial->server.ssl, *client = trial->client.ssl;
    SSL_set_verify(client, SSL_VERIFY_NONE, SSL_get_verify_callback(client));
    ERR_clear_error();
    for (int i = 0; i < TURNS_MAX && !SSL_is_init_finished(server); i++) {
        const int ahead = SSL_do_handshake(client), answer = SSL_do_handshake(server);
        const int client_wants = SSL_get_error(client, ahead);
        const int server_wants = SSL_get_error(server, answer);
        if ((ahead != 1 && client_wants != SSL_ERROR_WANT_READ) ||
            (answer != 1 && server_wants != SSL_ERROR_WANT_READ)) {
            break;
        }
    }
    if (SSL_is_init_finished(server) || trial->server.judgement.refusal != MR_TLS_ACCEPTED ||
        trial->client.judgement.refusal != MR_TLS_ACCEPTED) {
        return 0;
    }
    return mr_error_set(error,
                        "certificate_file %s: no handshake comes about with it: %s; keys for TLS "
                        "are ECDSA P-256, P-384 or P-521, Ed25519, or RSA of 2,048 bits or more",
                        trial->files->certificate_file,
                        mr_tls_reason("its key cannot sign as TLS 1.3 asks for"));
}

static int judge_role(const struct trial *trial, struct mr_error *error)
{
    struct mr_tls_peer judgement = trial->server.judgement;
    if (judgement.identity.role == trial->purpose->role) {
        return 0;
    }
    char uri[MR_IDENTITY_URI_MAX];
    mr_identity_format(uri, &judgement.identity);
    judgement.refusal = MR_TLS_NO_IDENTITY;
    snprintf(judgement.reason, sizeof judgement.reason, "the certificate is that of %s", uri);
    return complain(trial, &judgement, "hubs", error);
}

static int judge(struct trial *trial, struct mr_error *error)
{
    const struct mr_tls_purpose *purpose = trial->purpose;
    if (open_end(&trial->server, trial, MR_TLS_SERVER, error) != 0 ||
        open_end(&trial->client, trial, MR_TLS_CLIENT, error) != 0 ||
        join(&trial->server, &trial->client, error) != 0 || shake_hands(trial, error) != 0) {
        return -1;
    }
    if (purpose->serves && trial->client.judgement.refusal != MR_TLS_ACCEPTED) {
        return complain(trial, &trial->client.judgement, "whoever connects", error);
    }
    if (purpose->dials && trial->server.judgement.refusal != MR_TLS_ACCEPTED) {
        return complain(trial, &trial->server.judgement, "the hubs that it is shown to", error);
    }
    return purpose->dials && purpose->role != MR_ROLE_HUB ? judge_role(trial, error) : 0;
}

int mr_tls_check_fitness(const struct mr_tls_files *files, const struct mr_tls_purpose *purpose,
                         struct mr_error *error)
{
    struct trial trial = {.files = files, .purpose = purpose};
    const int status = judge(&trial, error);
    SSL_free(trial.server.ssl);
    SSL_free(trial.client.ssl);
    mr_tls_close(trial.server.tls);
    mr_tls_close(trial.client.tls);
    ERR_clear_error();
    return status;
}
