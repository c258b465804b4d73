#include "edge-client/upload/udp_host.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

/* As IPv6, without a zone. False: it is no numeric address. */
static bool parse(struct in6_addr *out, const char *host)
{
    char text[64];
    struct in_addr four;
    const int length = snprintf(text, sizeof text, "%s", host);
    if (length < 0 || (size_t)length >= sizeof text) {
        return false;
    }
    text[strcspn(text, "%")] = '\0';
    if (inet_pton(AF_INET6, text, out) == 1) {
        return true;
    }
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (inet_pton(AF_INET, text, &four) != 1) {
        return false;
    }
    memcpy(out->s6_addr, mapped, sizeof mapped);
    memcpy(out->s6_addr + sizeof mapped, &four, sizeof four);
    return true;
}

static bool is_same(const struct in6_addr *address, const char *other)
{
    struct in6_addr parsed;
    return parse(&parsed, other) && memcmp(address, &parsed, sizeof parsed) == 0;
}

bool mr_udp_host_allowed(const char *host, const char *peer, const char *announced)
{
    struct in6_addr address;
    return parse(&address, host) && (is_same(&address, peer) || is_same(&address, announced));
}
