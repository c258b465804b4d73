#include "appliance/ingest/udp_socket.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/udp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BIND_PATIENCE_MS 1000u
#define BIND_PAUSE_MS    10u

static struct addrinfo *parse(const char *host, uint16_t port)
{
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC,
        .ai_socktype = SOCK_DGRAM,
        .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
    };
    struct addrinfo *found = NULL;
    char service[8];

    snprintf(service, sizeof service, "%u", port);
    return getaddrinfo(host, service, &hints, &found) == 0 ? found : NULL;
}

/* The host of an address, IPv4 v4-mapped. */
static struct in6_addr host_of(const void *name)
{
    struct mr_peer_address peer;

    mr_peer_from_sockaddr(&peer, name);
    return peer.host;
}

static bool is_wildcard(const struct in6_addr *host)
{
    return IN6_IS_ADDR_UNSPECIFIED(host) ||
           (IN6_IS_ADDR_V4MAPPED(host) && memcmp(&host->s6_addr[12], "\0\0\0\0", 4) == 0);
}

static bool is_loopback(const struct in6_addr *host)
{
    return IN6_IS_ADDR_LOOPBACK(host) || (IN6_IS_ADDR_V4MAPPED(host) && host->s6_addr[12] == 127);
}

/* An address of this machine: it is what we would reach it from. (Whether it can be bound does not
 * tell where net.ipv4.ip_nonlocal_bind is set.) */
static bool is_local(const struct addrinfo *address)
{
    const struct in6_addr host = host_of(address->ai_addr);
    struct sockaddr_storage self = {0};
    socklen_t length = sizeof self;
    const int fd = socket(address->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        return false;
    }
    const bool reached = connect(fd, address->ai_addr, address->ai_addrlen) == 0 &&
                         getsockname(fd, (struct sockaddr *)&self, &length) == 0;
    close(fd);
    if (!reached) {
        return false;
    }
    const struct in6_addr from = host_of(&self);
    return is_loopback(&host) || IN6_ARE_ADDR_EQUAL(&from, &host);
}

/* Where to listen. A socket that listens everywhere answers from the address that the kernel likes
 * best, and a device hears only the one that it was told: where we have that one we bind to it. */
static struct addrinfo *choose(const struct mr_packet_source_config *config)
{
    struct addrinfo *listen = parse(config->listen_host, config->port);
    struct addrinfo *told = NULL;

    if (!listen || !config->advertise_host) {
        return listen;
    }
    const struct in6_addr host = host_of(listen->ai_addr);
    if (is_wildcard(&host)) {
        told = parse(config->advertise_host, config->port);
    }
    if (told && is_local(told)) {
        freeaddrinfo(listen);
        return told;
    }
    if (told) {
        freeaddrinfo(told);
    }
    return listen;
}

static int resolve(const struct mr_packet_source_config *config, struct addrinfo **found,
                   struct mr_error *error)
{
    *found = choose(config);
    if (!*found) {
        return mr_error_set(error,
                            "listen_host \"%s\" is not a numeric address: use an IPv4 or IPv6 "
                            "address of this machine, \"0.0.0.0\" or \"::\"",
                            config->listen_host);
    }
    return 0;
}

static void set_option(int fd, int level, int option, int value)
{
    /* Best effort: each option set here has a fallback (smaller buffer, no GRO). */
    (void)setsockopt(fd, level, option, &value, sizeof value);
}

static uint32_t size_receive_buffer(int fd, uint32_t bytes)
{
    int granted = 0;
    socklen_t length = sizeof granted;

    if (bytes > INT32_MAX / 2) {
        bytes = INT32_MAX / 2;
    }
    if (bytes > 0) {
        set_option(fd, SOL_SOCKET, SO_RCVBUF, (int)bytes);
        set_option(fd, SOL_SOCKET, SO_RCVBUFFORCE, (int)bytes); /* beyond rmem_max where allowed */
    }
    if (getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &granted, &length) != 0 || granted < 0) {
        return 0;
    }
    return (uint32_t)granted / 2; /* the kernel doubles the value for its own bookkeeping */
}

static uint16_t bound_port(int fd)
{
    struct sockaddr_in6 name = {0};
    socklen_t length = sizeof name;

    if (getsockname(fd, (struct sockaddr *)&name, &length) != 0) {
        return 0;
    }
    return ntohs(name.sin6_port); /* at the same offset in sockaddr_in */
}

/* A ring of the process before this one may hold the port for tens of milliseconds after its end:
 * the kernel takes rings down behind its back. 0 or an errno. */
static int bind_patiently(int fd, const struct sockaddr *address, socklen_t length)
{
    const struct timespec pause = {.tv_nsec = BIND_PAUSE_MS * 1000000};
    for (unsigned waited_ms = 0; bind(fd, address, length) != 0; waited_ms += BIND_PAUSE_MS) {
        if (errno != EADDRINUSE || waited_ms >= BIND_PATIENCE_MS) {
            return errno;
        }
        nanosleep(&pause, NULL);
    }
    return 0;
}

int mr_udp_socket_open(struct mr_udp_socket *udp, const struct mr_packet_source_config *config,
                       struct mr_error *error)
{
    struct addrinfo *found = NULL;

    memset(udp, 0, sizeof *udp);
    udp->fd = -1;
    if (resolve(config, &found, error) != 0) {
        return -1;
    }
    udp->family = (sa_family_t)found->ai_family;
    udp->fd = socket(found->ai_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (udp->fd < 0) {
        freeaddrinfo(found);
        return mr_error_set(error, "cannot make a UDP socket: %s", strerror(errno));
    }
    if (found->ai_family == AF_INET6) {
        set_option(udp->fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
    }
    set_option(udp->fd, SOL_UDP, UDP_GRO, 1);
    udp->receive_buffer_bytes = size_receive_buffer(udp->fd, config->receive_buffer_bytes);
    const int failed = bind_patiently(udp->fd, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    if (failed != 0) {
        mr_udp_socket_close(udp);
        return mr_error_set(error,
                            "cannot bind UDP %s port %u: %s; choose another port_base, or a "
                            "listen_host that this machine has",
                            config->listen_host, config->port, strerror(failed));
    }
    udp->port = bound_port(udp->fd);
    return 0;
}

void mr_udp_socket_close(struct mr_udp_socket *udp)
{
    if (udp->fd >= 0) {
        close(udp->fd);
    }
    udp->fd = -1;
}

void mr_peer_from_sockaddr(struct mr_peer_address *peer, const void *name)
{
    sa_family_t family;

    memcpy(&family, name, sizeof family);
    memset(peer, 0, sizeof *peer);
    if (family == AF_INET6) {
        struct sockaddr_in6 six;
        memcpy(&six, name, sizeof six);
        peer->host = six.sin6_addr;
        peer->port = ntohs(six.sin6_port);
    } else {
        struct sockaddr_in four;
        memcpy(&four, name, sizeof four);
        peer->host.s6_addr[10] = 0xff;
        peer->host.s6_addr[11] = 0xff;
        memcpy(&peer->host.s6_addr[12], &four.sin_addr, 4);
        peer->port = ntohs(four.sin_port);
    }
}

socklen_t mr_peer_to_sockaddr(struct sockaddr_in6 *name, sa_family_t family,
                              const struct mr_peer_address *peer)
{
    memset(name, 0, sizeof *name);
    if (family == AF_INET6) {
        name->sin6_family = AF_INET6;
        name->sin6_port = htons(peer->port);
        name->sin6_addr = peer->host;
        return sizeof *name;
    }
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(peer->port)};
    memcpy(&four.sin_addr, &peer->host.s6_addr[12], 4);
    memcpy(name, &four, sizeof four);
    return sizeof four;
}
