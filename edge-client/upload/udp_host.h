/* udp_host.h - where a device may send its datagrams. */
#ifndef MR_UPLOAD_UDP_HOST_H
#define MR_UPLOAD_UDP_HOST_H

#include <stdbool.h>

/* A grant names the address; the lead alone says so. It is taken if it is the one that the lead was
 * reached at, or the one that all hubs have signed as the lead's name: else a lead could have every
 * device of its fleet send chunks to somebody else. Numeric addresses, IPv4 within IPv6 or not;
 * `peer` and `announced` may be anything. */
bool mr_udp_host_allowed(const char *host, const char *peer, const char *announced);

#endif
