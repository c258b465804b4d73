#include "edge-client/session/connections.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <unistd.h>

#include "edge-client/files/files.h"
#include "transport/dial.h"
#include "transport/tls_session.h"

/* A hub, as seen with one certificate. There until all are closed. */
struct place {
    LIST_ENTRY(place) in_all;
    struct mre_connections *all;
    char *name; /* the hub's address, our files */
    uint16_t hub_index;
    int gate; /* readable: nobody connects to it just now (an eventfd that counts as a semaphore) */
    struct mr_tls_ticket *ticket; /* of the next connection; NULL: none */
    LIST_HEAD(, mr_connection_shared) connections;
};

struct mr_connection_shared {
    LIST_ENTRY(mr_connection_shared) in_place;
    struct place *place;
    struct mr_h2_client *client;
    struct mr_tls_ticket *ticket; /* that the hub gave over it */
    unsigned holders, asking;
    uint64_t used_ms; /* last; by mr_monotonic_ms */
    bool is_retired;
};

struct mre_connections {
    pthread_mutex_t mutex; /* of all that is reached from here; nobody waits while holding it */
    LIST_HEAD(, place) places;
};

enum mre_result mre_connections_open(struct mre_connections **connections)
{
    *connections = calloc(1, sizeof **connections);
    if (!*connections) {
        return MRE_FAILED;
    }
    pthread_mutex_init(&(*connections)->mutex, NULL);
    return MRE_OK;
}

static void free_place(struct place *place)
{
    free(place->name);
    if (place->gate >= 0) {
        close(place->gate);
    }
    mr_tls_ticket_free(place->ticket);
    free(place);
}

void mre_connections_close(struct mre_connections *connections)
{
    if (!connections) {
        return;
    }
    while (!LIST_EMPTY(&connections->places)) {
        struct place *place = LIST_FIRST(&connections->places);
        LIST_REMOVE(place, in_all);
        free_place(place);
    }
    pthread_mutex_destroy(&connections->mutex);
    free(connections);
}

void mr_connections_forget(struct mre_connections *connections)
{
    struct place *place;
    pthread_mutex_lock(&connections->mutex);
    LIST_FOREACH(place, &connections->places, in_all) {
        mr_tls_ticket_free(place->ticket);
        place->ticket = NULL;
    }
    pthread_mutex_unlock(&connections->mutex);
}

/* --- hubs ------------------------------------------------------------------------------------ */

/* What tells it from others; malloc'd, NULL: out of memory. */
static char *name_of(const struct mr_h2_endpoint *endpoint)
{
    char *name;
    return asprintf(&name, "%s %u %u\n%s\n%s\n%s\n%s", endpoint->host, endpoint->port,
                    endpoint->hub_index, endpoint->ca_file, endpoint->certificate_file,
                    endpoint->private_key_file,
                    endpoint->revocation_file ? endpoint->revocation_file : "") < 0
               ? NULL
               : name;
}

/* Takes the name over. */
static struct place *new_place(struct mre_connections *all, char *name, uint16_t hub_index)
{
    struct place *place = calloc(1, sizeof *place);
    if (!place) {
        free(name);
        return NULL;
    }
    place->name = name;
    place->gate = mr_fd_above_standard(eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE));
    if (place->gate < 0) {
        free_place(place);
        return NULL;
    }
    place->all = all;
    place->hub_index = hub_index;
    LIST_INSERT_HEAD(&all->places, place, in_all);
    return place;
}

/* NULL: out of memory or descriptors. */
static struct place *place_of(struct mre_connections *all, const struct mr_h2_endpoint *endpoint)
{
    char *name = name_of(endpoint);
    struct place *place;
    if (!name) {
        return NULL;
    }
    pthread_mutex_lock(&all->mutex);
    LIST_FOREACH(place, &all->places, in_all) {
        if (strcmp(place->name, name) == 0) {
            break;
        }
    }
    if (place) {
        free(name);
    } else {
        place = new_place(all, name, endpoint->hub_index);
    }
    pthread_mutex_unlock(&all->mutex);
    return place;
}

/* One at a time connects, and the others find what came of it. An enum mr_h2_failure. */
static int pass_gate(const struct place *place, uint64_t deadline_ms, int wake_fd,
                     struct mr_error *error)
{
    uint64_t one;
    for (;;) {
        if (read(place->gate, &one, sizeof one) == (ssize_t)sizeof one) {
            return MR_H2_OK;
        }
        const int ready = mr_wait_fd(place->gate, POLLIN, deadline_ms, wake_fd);
        if (ready <= 0) {
            mr_error_set(error, "hub %u: %s", place->hub_index,
                         ready < 0 ? strerror(errno) : "no connection in time");
            return ready < 0 ? MR_H2_BROKEN : MR_H2_TIMEOUT;
        }
    }
}

static void leave_gate(const struct place *place)
{
    const uint64_t one = 1;
    const ssize_t written = write(place->gate, &one, sizeof one);
    (void)written; /* a count of one has room */
}

/* --- connections ----------------------------------------------------------------------------- */

/* With the mutex. What the hub gave over it serves the next connection. */
static void retire(struct mr_connection_shared *connection)
{
    struct place *place = connection->place;
    connection->is_retired = true;
    mr_h2_client_retire(connection->client);
    if (connection->ticket) {
        mr_tls_ticket_free(place->ticket);
        place->ticket = connection->ticket;
        connection->ticket = NULL;
    }
}

/* A box on the way may have forgotten one that rests; one that is waited on is not at rest. */
static bool is_fit(const struct mr_connection_shared *connection, unsigned keep_ms)
{
    return connection->asking > 0 || mr_monotonic_ms() - connection->used_ms <= keep_ms;
}

/* One that is there, with one holder more; NULL: none. */
static struct mr_connection_shared *join(struct place *place, unsigned keep_ms)
{
    struct mr_connection_shared *found;
    pthread_mutex_lock(&place->all->mutex);
    LIST_FOREACH(found, &place->connections, in_place) {
        if (!found->is_retired && !is_fit(found, keep_ms)) {
            retire(found);
        }
        if (!found->is_retired && found->holders < mr_h2_client_streams_max(found->client)) {
            found->holders++;
            break;
        }
    }
    pthread_mutex_unlock(&place->all->mutex);
    return found;
}

static int dial(struct place *place, const struct mr_h2_endpoint *endpoint, uint64_t deadline_ms,
                struct mr_connection_shared **taken, struct mr_error *error)
{
    struct mr_connection_shared *made = calloc(1, sizeof *made);
    struct mr_h2_endpoint with_ticket = *endpoint;
    const uint64_t now_ms = mr_monotonic_ms();
    if (!made) {
        mr_error_set(error, "hub %u: out of memory", endpoint->hub_index);
        return MR_H2_BROKEN;
    }
    made->place = place;
    made->holders = 1;
    with_ticket.ticket = &made->ticket;
    pthread_mutex_lock(&place->all->mutex);
    made->ticket = place->ticket;
    place->ticket = NULL;
    pthread_mutex_unlock(&place->all->mutex);
    const int failure =
        mr_h2_client_open(&made->client, &with_ticket,
                          deadline_ms > now_ms ? (unsigned)(deadline_ms - now_ms) : 0, error);
    pthread_mutex_lock(&place->all->mutex);
    if (failure != MR_H2_OK) {
        mr_tls_ticket_free(place->ticket);
        place->ticket = made->ticket;
    } else {
        made->used_ms = mr_monotonic_ms();
        LIST_INSERT_HEAD(&place->connections, made, in_place);
    }
    pthread_mutex_unlock(&place->all->mutex);
    if (failure != MR_H2_OK) {
        free(made);
        return failure;
    }
    *taken = made;
    return MR_H2_OK;
}

int mr_connections_take(struct mre_connections *connections, const struct mr_h2_endpoint *endpoint,
                        unsigned timeout_ms, struct mr_connection_shared **taken,
                        struct mr_error *error)
{
    const uint64_t deadline_ms = mr_monotonic_ms() + timeout_ms;
    struct place *place = place_of(connections, endpoint);
    if (!place) {
        mr_error_set(error, "hub %u: out of memory or descriptors", endpoint->hub_index);
        return MR_H2_BROKEN;
    }
    int status = pass_gate(place, deadline_ms, endpoint->wake_fd, error);
    if (status != MR_H2_OK) {
        return status;
    }
    *taken = join(place, endpoint->keep_ms);
    status = *taken ? 1 : dial(place, endpoint, deadline_ms, taken, error);
    leave_gate(place);
    return status;
}

static void leave(struct mr_connection_shared *connection, bool for_all)
{
    pthread_mutex_t *mutex = &connection->place->all->mutex;
    pthread_mutex_lock(mutex);
    const bool is_last = --connection->holders == 0;
    if (for_all || is_last) {
        retire(connection);
    }
    if (is_last) {
        LIST_REMOVE(connection, in_place);
    }
    pthread_mutex_unlock(mutex);
    if (is_last) {
        mr_h2_client_close(connection->client);
        free(connection);
    }
}

void mr_connections_leave(struct mr_connection_shared *connection)
{
    leave(connection, false);
}

void mr_connections_retire(struct mr_connection_shared *connection)
{
    leave(connection, true);
}

int mr_connections_ask(struct mr_connection_shared *connection, const struct mr_h2_request *request,
                       struct mr_h2_response *response, struct mr_error *error)
{
    pthread_mutex_t *mutex = &connection->place->all->mutex;
    pthread_mutex_lock(mutex);
    connection->asking++;
    pthread_mutex_unlock(mutex);
    const int failure = mr_h2_client_request(connection->client, request, response, error);
    pthread_mutex_lock(mutex);
    connection->asking--;
    if (failure == MR_H2_OK) {
        connection->used_ms = mr_monotonic_ms();
    }
    pthread_mutex_unlock(mutex);
    return failure;
}

struct mr_h2_client *mr_connections_client(const struct mr_connection_shared *connection)
{
    return connection->client;
}
