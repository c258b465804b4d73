#include "appliance/hub/hub.h"

#include <stdlib.h>
#include <string.h>

#include "appliance/api/routes.h"
#include "base/secret.h"

/* A device has one or two; what a lost network left behind is closed by the time of the next. */
#define IDENTITY_CONNECTIONS_MAX 8

/* Something the hub must not go on without: it stops, with a word that says why. */
static void on_fatal(void *context, const char *text)
{
    struct mr_hub *hub = context;
    mr_log_event(hub->log, MR_LOG_ERROR, "hub.fatal", "why=%s", text);
    hub->failed = true;
    mr_loop_stop(hub->loop);
}

static bool takes_role(const struct mr_hub *hub, const char *role)
{
    const char *configured = hub->config->round.role;
    return strcmp(configured, "both") == 0 || strcmp(configured, role) == 0;
}

/* The first hub of the list leads, all others help. */
static int open_roles(struct mr_hub *hub, struct mr_error *error)
{
    const struct mr_round_context context = {
        .task = "default",
        .config = hub->config,
        .hubs = hub->hubs,
        .hubs_count = hub->config->hubs_count,
        .private_key = hub->private_key,
        .loop = hub->loop,
        .log = hub->log,
        .store = hub->store,
        .kernels = hub->kernels,
        .fatal = on_fatal,
        .fatal_context = hub,
        .revoked = mr_hub_revoked,
        .revoked_context = hub,
    };
    const struct mr_lead_listener lead = {.admitted = mr_routes_admitted,
                                          .refused = mr_routes_refused,
                                          .changed = mr_routes_changed,
                                          .context = hub};
    const struct mr_helper_listener helper = {
        .answer = mr_routes_answered, .refuse = mr_routes_refused, .context = hub};
    const bool first = hub->hubs[0].index == hub->config->identity.index;
    const char *role = first ? "lead" : "helper";
    if (!takes_role(hub, role)) {
        return mr_error_set(error,
                            "round.role: hub %u is the %s by its place in the list of hubs, but "
                            "its role is %s (set it to %s or both)",
                            hub->config->identity.index, role, hub->config->round.role, role);
    }
    return first ? mr_lead_driver_open(&hub->lead, &context, &lead, error)
                 : mr_helper_driver_open(&hub->helper, &context, &helper, error);
}

static int open_server(struct mr_hub *hub, struct mr_error *error)
{
    const struct mr_config_control *control = &hub->config->control;
    const struct mr_server_config config = {
        .listen_host = control->listen_host,
        .port = control->port,
        .ca_file = hub->config->identity.ca_file,
        .certificate_file = hub->config->identity.certificate_file,
        .private_key_file = hub->config->identity.private_key_file,
        .revocation_file = hub->config->identity.revocation_file,
        .connections_max = control->connections_max,
        .identity_connections_max = IDENTITY_CONNECTIONS_MAX,
        .streams_max = control->streams_max,
        .bodies_bytes_max = (size_t)control->bodies_bytes_max,
        .handshake_timeout_ms = control->handshake_timeout_ms,
        .idle_timeout_ms = control->idle_timeout_ms,
        .handshakes_max = control->handshakes_max,
        .source_connections_rate = control->source_connections_rate,
        .source_requests_rate = control->source_requests_rate,
        .identity_requests_rate = control->identity_requests_rate,
    };
    unsigned count;
    hub->routes = mr_routes_new(hub->config, &count);
    if (!hub->routes) {
        return mr_error_set(error, "out of memory");
    }
    return mr_server_open(&hub->server, hub->loop, &config, hub->routes, count, hub, hub->log,
                          error);
}

static int open_parts(struct mr_hub *hub, struct mr_error *error)
{
    const struct mr_hub_config *config = hub->config;
    hub->waiting = mr_waiting_open(hub->loop, hub);
    if (!hub->waiting) {
        return mr_error_set(error, "out of memory");
    }
    if (mr_hub_read_keys(hub, error) != 0 ||
        mr_store_open(&hub->store, config->data_dir, config->round.initial_model_file, error) !=
            0 ||
        open_roles(hub, error) != 0) {
        return -1;
    }
    return open_server(hub, error) == 0 ? mr_hub_watch_revocations(hub, error) : -1;
}

int mr_hub_open(struct mr_hub **out, const struct mr_hub_config *config,
                const struct mr_kernels *kernels, struct mr_loop *loop, struct mr_log *log,
                struct mr_error *error)
{
    struct mr_hub *hub = mr_secret_new(sizeof *hub); /* the signing key is in it */
    if (!hub) {
        return mr_error_set(error, "out of memory");
    }
    hub->config = config;
    hub->kernels = kernels;
    hub->loop = loop;
    hub->log = log;
    hub->started_ms = mr_loop_now_ms(loop);
    if (open_parts(hub, error) != 0) {
        mr_hub_close(hub);
        return -1;
    }
    *out = hub;
    return 0;
}

static void stop_loop(void *context)
{
    mr_loop_stop(context);
}

void mr_hub_close(struct mr_hub *hub)
{
    if (!hub) {
        return;
    }
    if (hub->lead) {
        mr_lead_driver_stop(hub->lead);
    }
    if (hub->helper) {
        mr_helper_driver_stop(hub->helper);
    }
    mr_loop_post(hub->loop, stop_loop, hub->loop); /* after all that the threads posted */
    mr_loop_run(hub->loop);
    mr_waiting_close(hub->waiting);
    hub->waiting = NULL;
    mr_helper_driver_close(hub->helper);
    mr_lead_driver_close(hub->lead);
    if (hub->server) {
        mr_server_close(hub->server);
    }
    if (hub->revocation_timer) {
        mr_timer_close(hub->revocation_timer);
    }
    mr_store_close(hub->store);
    free(hub->routes);
    mr_secret_free(hub);
}
