/* connections.h - connections to hubs that all clients of a process share: one for each hub, as
 * long as they show the same certificate there (docs/decisions/0080).
 *
 * A connection belongs to those who took it and goes with the last of them. Who holds one asks over
 * it, at the same time as others, and may derive keys from it also once it is lost or retired. Any
 * thread. */
#ifndef MR_SESSION_CONNECTIONS_H
#define MR_SESSION_CONNECTIONS_H

#include <stddef.h>
#include <stdint.h>

#include "edge-client/include/millrace_edge.h"
#include "transport/h2_client.h"

struct mr_connection_shared;

/* A connection for that endpoint, whose `ticket` is not used: the one that is there, or a new one.
 * One that is there is not taken where it is retired, has rested for more than endpoint->keep_ms,
 * or where its hub takes no more requests at once than there are holders. Waits for another thread
 * that is connecting to the same hub. 0: a new one; 1: one that others have asked over; else an
 * enum mr_h2_failure. */
int mr_connections_take(struct mre_connections *connections, const struct mr_h2_endpoint *endpoint,
                        unsigned timeout_ms, struct mr_connection_shared **taken,
                        struct mr_error *error);
/* The holder needs it no more. */
void mr_connections_leave(struct mr_connection_shared *connection);
/* Nobody is given it from now on, and who holds it is refused over it at the next question; what is
 * under way goes on. The holder leaves. */
void mr_connections_retire(struct mr_connection_shared *connection);

/* As mr_h2_client_*; asking counts as use. */
int mr_connections_ask(struct mr_connection_shared *connection, const struct mr_h2_request *request,
                       struct mr_h2_response *response, struct mr_error *error);
struct mr_h2_client *mr_connections_client(const struct mr_connection_shared *connection);

/* Sessions that could be taken up are forgotten (benches). */
void mr_connections_forget(struct mre_connections *connections);

#endif
