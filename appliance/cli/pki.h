/* pki.h - a throw-away CA with a certificate for every hub, device, operator and reader of a
 * federation.
 *
 * For demos and tests: whoever holds the folder can speak for everybody in it. A real federation
 * has each operator make its own keys, and a CA whose key is never on a hub.
 *
 * The folder then holds, with keys readable by their owner only:
 *   ca.pem ca.key
 *   hub-0.pem hub-0.key hub-0.sign.key hub-0.sign.pub …      sign: Ed25519, 32 bytes in hex
 *   device-000.pem device-000.key …                          three digits, or as many as it takes
 *   operator.pem operator.key (operator-1.pem … for more)
 *   reader.pem reader.key (likewise)
 *   revoked.pem                                              once a certificate was taken back
 * TLS keys are ECDSA P-256, files are PEM. */
#ifndef MR_CLI_PKI_H
#define MR_CLI_PKI_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "wire/identity.h"

#define MR_PKI_HUBS_MAX      64
#define MR_PKI_DEVICES_MAX   100000
#define MR_PKI_OPERATORS_MAX 64

struct mr_pki_plan {
    const char *dir; /* made when missing (its parent must be there) */
    unsigned hubs;
    unsigned devices;
    unsigned operators;
    unsigned readers;              /* caches and dashboards; no more than MR_PKI_OPERATORS_MAX */
    const char *const *host_names; /* names and addresses put into every hub's certificate */
    unsigned host_name_count;      /* 0: localhost, 127.0.0.1 and ::1 */
    unsigned days;                 /* validity; 0: 90 */
    bool
        random_ids; /* client ids at random; otherwise a hash of "device-000", the same each time */
    bool force;     /* overwrite what is there */
};

/* Makes it all. 0, or -1 with an error that says which file and what to do. */
int mr_pki_init(const struct mr_pki_plan *plan, struct mr_error *error);

/* The client id that mr_pki_init gives device `index` of `devices` without random_ids: the first 16
 * bytes of SHA-256 of the file's stem. */
void mr_pki_device_id(uint8_t *client_id, unsigned index, unsigned devices);

/* The stem of a device's files ("device-007"); `stem` has room for MR_PKI_STEM_MAX. */
#define MR_PKI_STEM_MAX 32
void mr_pki_device_stem(char *stem, unsigned index, unsigned devices);

/* One more certificate of the CA in `dir`, as <stem>.pem and <stem>.key. */
struct mr_pki_leaf {
    const char *stem;
    const char *const *uris; /* urn:millrace:…; none and two are for tests */
    unsigned uri_count;
    const char *const *host_names;
    unsigned host_name_count;
    int64_t from_s, until_s; /* validity, seconds from now; negative is the past */
    bool force;
};
int mr_pki_issue(const char *dir, const struct mr_pki_leaf *leaf, struct mr_error *error);

/* Takes <stem>.pem back: adds it to revoked.pem (a CRL in PEM), which is made where missing. NULL:
 * none; the list is signed anew, an empty one where there was none. */
int mr_pki_revoke(const char *dir, const char *stem, struct mr_error *error);

#endif
