/* tickets.h - sessions that devices may take up again, in bounded memory.
 *
 * An entry is what a hub needs for a handshake without certificates, and whom the last full one
 * authenticated. It serves once. Threads that shake hands may ask for it at the same time, and what
 * they ask (unix_s, is_revoked) is asked on them. Nothing of it is ever written to a disk. */
#ifndef MR_HTTP_TICKETS_H
#define MR_HTTP_TICKETS_H

#include <stddef.h>
#include <stdint.h>

#include "transport/tls_session.h"

struct mr_tickets;

struct mr_tickets_config {
    size_t bytes_max;        /* of all; beyond: the oldest go */
    uint32_t roles;          /* bits (1 << role) of those that may resume */
    int64_t (*unix_s)(void); /* NULL: the system's clock */
    /* Whether a certificate is revoked by now. */
    int (*is_revoked)(void *context, const struct mr_serial *serial);
    void *context;
};

struct mr_tickets *mr_tickets_open(const struct mr_tickets_config *config); /* NULL: no memory */
void mr_tickets_close(struct mr_tickets *sessions);                         /* NULL allowed */
/* For mr_tls_sessions_set. */
const struct mr_tls_sessions *mr_tickets_hooks(const struct mr_tickets *sessions);
/* A newer certificate of that name is in use: what older ones have left is forgotten. */
void mr_tickets_supersede(struct mr_tickets *sessions, const struct mr_tls_peer *newest);
/* The hub's own files are other ones now. */
void mr_tickets_forget_all(struct mr_tickets *sessions);
unsigned mr_tickets_count(struct mr_tickets *sessions);
size_t mr_tickets_bytes(struct mr_tickets *sessions); /* as bounded */

#endif
