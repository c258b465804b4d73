/* identity.h - who a certificate speaks for.
 *
 * One URI in the certificate's subjectAltName names the role and the identity:
 *   urn:millrace:device:<32 lower-case hex digits>   the 16-byte client id
 *   urn:millrace:hub:<index>                         decimal 0..65535, 0 is not special
 *   urn:millrace:operator:<name>                     1..32 of [a-z0-9-]
 *   urn:millrace:reader:<name>                       likewise: a cache or a dashboard
 * A certificate with none, with two, or with a malformed one has no role and is refused. */
#ifndef MR_WIRE_IDENTITY_H
#define MR_WIRE_IDENTITY_H

#include <stdint.h>

#define MR_CLIENT_ID_BYTES  16
#define MR_IDENTITY_URI_MAX 64 /* with NUL */
/* See struct mr_serial. */
#define MR_SERIAL_OWN_BYTES   8
#define MR_SERIAL_ABOVE_BYTES 6
#define MR_SERIAL_ABOVE       2
#define MR_SERIAL_BYTES       (MR_SERIAL_OWN_BYTES + MR_SERIAL_ABOVE * MR_SERIAL_ABOVE_BYTES)

enum mr_role {
    MR_ROLE_NONE = 0,
    MR_ROLE_DEVICE = 1,
    MR_ROLE_HUB = 2,
    MR_ROLE_OPERATOR = 3,
    MR_ROLE_READER = 4, /* models, releases and deltas, nothing else */
};

struct mr_identity {
    enum mr_role role;
    uint8_t client_id[MR_CLIENT_ID_BYTES]; /* device */
    uint16_t hub_index;                    /* hub */
    char name[33];                         /* operator, reader */
};

/* What a certificate is taken back by: a hash of its CA's key and the number that this CA gave it,
 * cut to 8 bytes; then the same of that CA's own certificate and of the one above, 6 bytes each,
 * zeros where there is none. A number alone would name a certificate of every CA. The root's own
 * certificate is not in it: whoever no longer trusts a root takes it out of the CA file. */
struct mr_serial {
    uint8_t bytes[MR_SERIAL_BYTES];
};

/* Returns 0, or -1 for a URI of another form (identity then has MR_ROLE_NONE). */
int mr_identity_parse(struct mr_identity *identity, const char *uri);

/* Writes the URI into uri[MR_IDENTITY_URI_MAX]. The identity must have a role. */
void mr_identity_format(char *uri, const struct mr_identity *identity);

#endif
