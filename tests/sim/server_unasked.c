/* server_unasked.c - what hubs link of the HTTP/2 server and no simulated round depends on. */
#include "appliance/http/server.h"

/* The routes of the operator name these; nobody asks them here. */
uint16_t mr_server_port(const struct mr_server *server)
{
    (void)server;
    return 1;
}

void mr_server_metrics(const struct mr_server *server, struct mr_metrics *metrics)
{
    (void)server;
    (void)metrics;
}

/* No certificate is ever taken back here. */
int mr_server_reload_revocations(struct mr_server *server, struct mr_error *error)
{
    (void)server;
    (void)error;
    return 0;
}

const struct mr_revocations *mr_server_revocations(const struct mr_server *server)
{
    (void)server;
    return NULL;
}

/* Nor does one run out. */
int64_t mr_server_ends(const struct mr_server *server, enum mr_tls_term term)
{
    (void)server, (void)term;
    return INT64_MAX;
}
