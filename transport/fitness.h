/* fitness.h - whether certificate, key and CAs serve their purpose: not what form they have, but
 * what the other side of a handshake will say of them. Tried with a whole handshake in memory, of
 * ourselves with ourselves, so that what is checked is what is used later. */
#ifndef MR_TRANSPORT_FITNESS_H
#define MR_TRANSPORT_FITNESS_H

#include <stdbool.h>

#include "transport/tls.h"

/* What a certificate is for. */
struct mr_tls_purpose {
    bool serves, dials;
    enum mr_role role;  /* whose identity it has to carry: a device's, an operator's, or a hub's, */
    uint16_t hub_index; /* and then of which */
};

/* 0, or -1 with an error that says what is wrong with which file, and the remedy. Reads the files,
 * as mr_tls_open. */
int mr_tls_check_fitness(const struct mr_tls_files *files, const struct mr_tls_purpose *purpose,
                         struct mr_error *error);

#endif
