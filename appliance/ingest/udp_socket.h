/* udp_socket.h - a worker's UDP socket: bound, GRO asked for, buffer sized. Set-up only, except for
 * the two address conversions. */
#ifndef MR_INGEST_UDP_SOCKET_H
#define MR_INGEST_UDP_SOCKET_H

#include <sys/socket.h>

#include "appliance/ingest/packet_source.h"

struct mr_udp_socket {
    int fd;                        /* -1: closed */
    sa_family_t family;            /* AF_INET or AF_INET6 */
    uint16_t port;                 /* host order */
    uint32_t receive_buffer_bytes; /* what the kernel granted */
};

/* 0 or -1; the error names the address and the remedy. */
int mr_udp_socket_open(struct mr_udp_socket *udp, const struct mr_packet_source_config *config,
                       struct mr_error *error);
void mr_udp_socket_close(struct mr_udp_socket *udp);

/* From the kernel's form to ours and back. `name` is sockaddr_in or sockaddr_in6. Returns the
 * length of the sockaddr that was written. */
void mr_peer_from_sockaddr(struct mr_peer_address *peer, const void *name);
socklen_t mr_peer_to_sockaddr(struct sockaddr_in6 *name, sa_family_t family,
                              const struct mr_peer_address *peer);

#endif
