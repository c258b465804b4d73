/* relay.c - a path of our own between devices and a hub: UDP both ways, later than sent, some
 * datagrams much later so that others overtake them.
 *
 *   net_relay LISTEN_HOST PORT HUB_HOST DELAY_US LATE_PERCENT LATE_US [HEADERS]
 *
 * Every sender gets a socket of its own towards the hub. HEADERS is a file of
 * tests/system/net/headers.h. On standard input: "account" is answered with what went to the hub
 * since the last "begin"; the end of it ends the relay. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/system/net/headers.h"

#define SENDERS     256u
#define QUEUE       16384u
#define BYTES_MOST  2048u
#define BUFFER      (8 << 20)
#define FIRST_POLLS 2u /* standard input and the devices' socket */

struct late {
    uint64_t due_us;
    uint32_t sender;
    uint32_t length;
    bool to_hub;
    uint8_t bytes[BYTES_MOST];
};

struct relay {
    struct sockaddr_in hub;
    uint64_t delay_us, late_us, random;
    unsigned late_percent;
    struct sockaddr_in senders[SENDERS];
    struct pollfd polls[FIRST_POLLS + SENDERS];
    unsigned sender_count;
    struct late *heap[QUEUE]; /* the next one due first */
    struct late *spare[QUEUE];
    unsigned waiting, spares;
    struct headers *headers;
    uint64_t sent, overflow, first_us, last_us; /* towards the hub */
};

static void fail(const char *what)
{
    fprintf(stderr, "net_relay: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* xorshift64 (Marsaglia 2003). */
static uint64_t draw(struct relay *relay)
{
    relay->random ^= relay->random << 13;
    relay->random ^= relay->random >> 7;
    relay->random ^= relay->random << 17;
    return relay->random;
}

static int open_socket(void)
{
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const int bytes = BUFFER;

    if (fd < 0) {
        fail("socket");
    }
    /* Beyond the machine's limit where this process may. */
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes);
    return fd;
}

/* --- what waits ------------------------------------------------------------------------------ */

static void heap_push(struct relay *relay, struct late *late)
{
    unsigned at = relay->waiting++;

    while (at > 0 && relay->heap[(at - 1) / 2]->due_us > late->due_us) {
        relay->heap[at] = relay->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    relay->heap[at] = late;
}

static struct late *heap_pop(struct relay *relay)
{
    struct late *first = relay->heap[0], *last = relay->heap[--relay->waiting];
    unsigned at = 0;

    for (unsigned child; (child = 2 * at + 1) < relay->waiting; at = child) {
        if (child + 1 < relay->waiting &&
            relay->heap[child + 1]->due_us < relay->heap[child]->due_us) {
            child++;
        }
        if (last->due_us <= relay->heap[child]->due_us) {
            break;
        }
        relay->heap[at] = relay->heap[child];
    }
    relay->heap[at] = last;
    return first;
}

static struct late *late_new(struct relay *relay)
{
    struct late *late;

    if (relay->spares > 0) {
        return relay->spare[--relay->spares];
    }
    late = malloc(sizeof *late);
    if (!late) {
        fail("out of memory");
    }
    return late;
}

static void queue_up(struct relay *relay, struct late *late)
{
    const bool is_late = draw(relay) % 100 < relay->late_percent;

    if (relay->waiting == QUEUE) {
        relay->overflow++;
        free(late);
        return;
    }
    late->due_us = now_us() + relay->delay_us + (is_late ? draw(relay) % relay->late_us : 0);
    heap_push(relay, late);
}

/* --- both ways ------------------------------------------------------------------------------- */

static uint32_t sender_of(struct relay *relay, const struct sockaddr_in *from)
{
    uint32_t i = 0;

    while (i < relay->sender_count &&
           (relay->senders[i].sin_port != from->sin_port ||
            relay->senders[i].sin_addr.s_addr != from->sin_addr.s_addr)) {
        i++;
    }
    if (i < relay->sender_count) {
        return i;
    }
    /* A place again: a device's socket lasts for one upload. */
    if (i == SENDERS) {
        i = (uint32_t)(draw(relay) % SENDERS);
        close(relay->polls[FIRST_POLLS + i].fd);
    } else {
        relay->sender_count++;
    }
    const int fd = open_socket();
    if (connect(fd, (const struct sockaddr *)&relay->hub, sizeof relay->hub) != 0) {
        fail("the way to the hub");
    }
    relay->senders[i] = *from;
    relay->polls[FIRST_POLLS + i] = (struct pollfd){.fd = fd, .events = POLLIN};
    return i;
}

static void take(struct relay *relay, int fd, bool to_hub, uint32_t sender)
{
    for (;;) {
        struct sockaddr_in from;
        socklen_t from_length = sizeof from;
        struct late *late = late_new(relay);
        const ssize_t n = recvfrom(fd, late->bytes, sizeof late->bytes, 0, (struct sockaddr *)&from,
                                   &from_length);
        if (n < 0) {
            relay->spare[relay->spares++] = late;
            return;
        }
        late->length = (uint32_t)n;
        late->to_hub = to_hub;
        late->sender = to_hub ? sender_of(relay, &from) : sender;
        queue_up(relay, late);
    }
}

static void show_header(struct relay *relay, const struct late *late)
{
    struct headers *headers = relay->headers;

    if (!headers || late->length < MR_DATAGRAM_HEADER_BYTES) {
        return;
    }
    memcpy(headers->bytes[headers->written % HEADERS_KEPT], late->bytes, MR_DATAGRAM_HEADER_BYTES);
    headers->written++;
}

static void deliver(struct relay *relay, struct late *late)
{
    if (late->to_hub) {
        if (send(relay->polls[FIRST_POLLS + late->sender].fd, late->bytes, late->length, 0) >= 0) {
            relay->last_us = now_us();
            if (relay->sent++ == 0) {
                relay->first_us = relay->last_us;
            }
            show_header(relay, late);
        }
    } else {
        const struct sockaddr_in *to = &relay->senders[late->sender];
        (void)sendto(relay->polls[1].fd, late->bytes, late->length, 0, (const struct sockaddr *)to,
                     sizeof *to);
    }
    if (relay->spares < QUEUE) {
        relay->spare[relay->spares++] = late;
    } else {
        free(late);
    }
}

static bool answer(struct relay *relay)
{
    char line[64];

    if (!fgets(line, sizeof line, stdin)) {
        return false;
    }
    if (strcmp(line, "begin\n") == 0) {
        relay->sent = 0;
        relay->overflow = 0;
        relay->first_us = relay->last_us;
    }
    printf("{\"sent\": %" PRIu64 ", \"waiting\": %u, \"overflow\": %" PRIu64
           ", \"seconds\": %.6f}\n",
           relay->sent, relay->waiting, relay->overflow,
           (double)(relay->last_us - relay->first_us) * 1e-6);
    return true;
}

static void carry(struct relay *relay)
{
    for (;;) {
        const uint64_t now = now_us();
        struct timespec wait = {.tv_sec = 1};
        while (relay->waiting > 0 && relay->heap[0]->due_us <= now) {
            deliver(relay, heap_pop(relay));
        }
        if (relay->waiting > 0) {
            const uint64_t left = relay->heap[0]->due_us - now;
            wait = (struct timespec){.tv_sec = (time_t)(left / 1000000),
                                     .tv_nsec = (long)(left % 1000000) * 1000};
        }
        if (ppoll(relay->polls, FIRST_POLLS + relay->sender_count, &wait, NULL) < 0) {
            fail("ppoll");
        }
        if (relay->polls[0].revents != 0 && !answer(relay)) {
            return;
        }
        const unsigned count = relay->sender_count;
        take(relay, relay->polls[1].fd, true, 0);
        for (unsigned i = 0; i < count; i++) {
            if (relay->polls[FIRST_POLLS + i].revents != 0) {
                take(relay, relay->polls[FIRST_POLLS + i].fd, false, i);
            }
        }
    }
}

static void show_headers(struct relay *relay, const char *path)
{
    const int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (fd < 0 || ftruncate(fd, sizeof *relay->headers) != 0) {
        fail(path);
    }
    relay->headers = mmap(NULL, sizeof *relay->headers, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (relay->headers == MAP_FAILED) {
        fail(path);
    }
    close(fd);
}

int main(int argc, char **argv)
{
    static struct relay relay = {.random = UINT64_C(0x9e3779b97f4a7c15)};

    if (argc < 7) {
        fprintf(stderr,
                "usage: net_relay HOST PORT HUB_HOST DELAY_US LATE_PERCENT LATE_US [HEADERS]\n");
        return 2;
    }
    const uint16_t port = htons((uint16_t)strtoul(argv[2], NULL, 10));
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = port};
    relay.hub = own;
    if (inet_pton(AF_INET, argv[1], &own.sin_addr) != 1 ||
        inet_pton(AF_INET, argv[3], &relay.hub.sin_addr) != 1) {
        fail("not an IPv4 address");
    }
    relay.delay_us = strtoull(argv[4], NULL, 10);
    relay.late_percent = (unsigned)strtoul(argv[5], NULL, 10);
    relay.late_us = strtoull(argv[6], NULL, 10) + 1;
    if (argc > 7) {
        show_headers(&relay, argv[7]);
    }
    relay.polls[0] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
    relay.polls[1] = (struct pollfd){.fd = open_socket(), .events = POLLIN};
    if (bind(relay.polls[1].fd, (const struct sockaddr *)&own, sizeof own) != 0) {
        fail("bind");
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    puts("READY");
    carry(&relay);
    return 0;
}
