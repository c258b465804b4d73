#include "appliance/hub/hub.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "appliance/api/routes.h"
#include "appliance/storage/files.h"
#include "appliance/task/owner.h"
#include "appliance/task/released.h"
#include "base/secret.h"

/* A device has one or two; what a lost network left behind is closed by the time of the next. */
#define IDENTITY_CONNECTIONS_MAX 8
/* Tasks that a running hub may come to lead beside those that its file names at the start. */
#define TASKS_LED_SPARE 1u

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
        /* A round must not fail for a crowd of devices. */
        .trusted_roles = MR_ROLE_BIT(MR_ROLE_HUB),
        .yielding_roles = MR_ROLE_BIT(MR_ROLE_DEVICE) | MR_ROLE_BIT(MR_ROLE_READER),
        .connections_max = control->connections_max,
        .identity_connections_max = IDENTITY_CONNECTIONS_MAX,
        .streams_max = control->streams_max,
        .bodies_bytes_max = (size_t)control->bodies_bytes_max,
        .handshake_timeout_ms = control->handshake_timeout_ms,
        .idle_timeout_ms = control->idle_timeout_ms,
        .keep_ms = control->keep_ms,
        .kept_max = control->kept_max,
        .sessions_bytes_max = (size_t)control->sessions_bytes_max,
        .handshakes_max = control->handshakes_max,
        .handshake_threads = control->threads - 1,
        .source_connections_rate = control->source_connections_rate,
        .source_requests_rate = control->source_requests_rate,
        .identity_requests_rate = control->identity_requests_rate,
    };
    unsigned count;
    hub->routes = mr_routes_new(hub->config, &count);
    if (!hub->routes) {
        return mr_error_set(error, "out of memory");
    }
    const struct mr_route_table routes = {
        .rows = hub->routes, .count = count, .context = &hub->api};
    return mr_server_open(&hub->server, hub->loop, &config, &routes, hub->log, error);
}

static void server_metrics(void *context, struct mr_metrics *metrics)
{
    const struct mr_hub *hub = context;
    mr_server_metrics(hub->server, metrics);
    mr_log_metrics(hub->log, metrics);
}

static void fill_api(struct mr_hub *hub)
{
    hub->api = (struct mr_api){.hub_index = hub->config->identity.index,
                               .data_dir = hub->config->data_dir,
                               .cpu_level = hub->kernels->name,
                               .started_ms = mr_loop_now_ms(hub->loop),
                               .loop = hub->loop,
                               .log = hub->log,
                               .metrics = server_metrics,
                               .metrics_context = hub};
}

/* Whether data_dir is what this hub left. A task's folder says so by itself; here it is about those
 * that the copy does not have. */
static int look_at_age(struct mr_hub *hub, bool is_new, struct mr_error *error)
{
    const char *data_dir = hub->config->data_dir;
    char why[MR_AGE_WHY_BYTES];
    if (mr_age_place_read(&hub->place, hub->config->identity.generation_file, error) != 0) {
        return -1;
    }
    struct mr_age_place place = hub->place;
    if (hub->counter && mr_age_counter_read(hub->counter, &place, error) != 0) {
        return -1;
    }
    const int look = mr_age_look(data_dir, &place, is_new, why, error);
    hub->behind = look == MR_AGE_BEHIND;
    if (look == MR_AGE_COPY || hub->behind) {
        memcpy(hub->copied, why, sizeof why);
        mr_log_event(hub->log, MR_LOG_ERROR, "hub.copied", "data_dir=%s why=%s", data_dir, why);
    }
    return look < 0 ? -1 : 0;
}

/* Where the TPM has a counter, at what it stands: it is counted after the tasks. */
static int bind_new(struct mr_hub *hub, struct mr_error *error)
{
    struct mr_age_place place = hub->place;
    return hub->counter && mr_age_counter_read(hub->counter, &place, error) != 0
               ? -1
               : mr_age_bind(hub->config->data_dir, &place, error);
}

/* Nobody else writes there, and it is this hub's. */
static int take_data_dir(struct mr_hub *hub, struct mr_error *error)
{
    const struct mr_hub_config *config = hub->config;
    struct mr_owner owner = {.hub = config->identity.index};
    for (unsigned i = 0; i < config->hubs_count; i++) {
        if (hub->book[i].index == owner.hub) {
            owner.public_key = hub->book[i].public_key;
        }
    }
    if (mr_dir_make(config->data_dir, error) != 0) {
        return mr_error_prefix(error, "data_dir");
    }
    const int locked = mr_folder_lock(&hub->lock, config->data_dir, error);
    if (locked != 0) {
        return locked > 0 ? MR_HUB_DATA_DIR_IN_USE : -1;
    }
    /* A folder that was a hub's before has a ledger: one that is gone is not made anew. */
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/owner.json", config->data_dir);
    const bool is_new = access(path, F_OK) != 0;
    if (mr_owner_check(config->data_dir, &owner, error) != 0 ||
        look_at_age(hub, is_new, error) != 0 ||
        mr_released_open(&hub->api.released, config->data_dir, is_new, hub->loop, error) != 0) {
        return -1;
    }
    if (is_new && bind_new(hub, error) != 0) {
        return -1;
    }
    return mr_owner_claim(config->data_dir, &owner, error);
}

/* After the tasks: a hub that is killed before finds the copy again. */
static int settle(struct mr_hub *hub, struct mr_error *error)
{
    if (hub->counter) {
        return mr_age_counter_begin(hub->counter, hub->config->data_dir, &hub->place, error);
    }
    return mr_age_bind(hub->config->data_dir, &hub->place, error);
}

int mr_hub_open(struct mr_hub *hub, bool rebuild, struct mr_error *error)
{
    const int taken = take_data_dir(hub, error);
    if (taken != 0) {
        return taken;
    }
    if (mr_hub_open_tasks(hub, rebuild, error) != 0) {
        return -1;
    }
    return settle(hub, error) != 0 || open_server(hub, error) != 0 ||
                   mr_hub_watch_revocations(hub, error) != 0
               ? -1
               : mr_hub_watch_terms(hub, error);
}

static int open_plane(struct mr_hub *hub, struct mr_error *error)
{
    const unsigned led = mr_hub_tasks_led(hub->config);
    hub->tasks_led_max = led > 0 ? led + TASKS_LED_SPARE : 0;
    if (led == 0) {
        return 0;
    }
    if (mr_hub_open_plane(hub, hub->tasks_led_max, error) != 0) {
        return -1;
    }
    hub->api.held = mr_held_grants_open(hub->loop, &mr_routes_held_ops, &hub->api);
    if (!hub->api.held) {
        return mr_error_set(error, "out of memory");
    }
    mr_upload_plane_on_room(hub->api.plane, mr_held_grants_look, hub->api.held);
    return 0;
}

int mr_hub_prepare(struct mr_hub **out, const struct mr_hub_config *config,
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
    fill_api(hub);
    if (mr_hub_read_keys(hub, error) != 0 || open_plane(hub, error) != 0) {
        mr_hub_close(hub);
        return -1;
    }
    *out = hub;
    return 0;
}

int mr_hub_open_counter(struct mr_age_counter **counter, const struct mr_hub_config *config,
                        struct mr_error *error)
{
    const struct mr_config_identity *identity = &config->identity;
    struct mr_tpm_counter *tpm;
    *counter = NULL;
    if (!mr_tpm_counter_wanted(identity->tpm)) {
        return 0;
    }
    if (mr_tpm_counter_open(&tpm, identity->tpm, identity->tpm_index, true, error) != 0) {
        return -1;
    }
    *counter = mr_age_counter_new(tpm, identity->tpm_count_s);
    if (!*counter) {
        mr_tpm_counter_close(tpm);
        return mr_error_set(error, "out of memory");
    }
    return 0;
}

void mr_hub_take_counter(struct mr_hub *hub, struct mr_age_counter *counter)
{
    hub->counter = counter;
}

/* Nothing is promised any more. One that is not counted is found out less: no more than that. */
static void end_counter(struct mr_hub *hub)
{
    struct mr_error error;
    if (hub->counter && mr_age_counter_end(hub->counter, &error) != 0) {
        mr_log_event(hub->log, MR_LOG_WARN, "hub.not_counted", "why=%s", error.text);
    }
    mr_age_counter_free(hub->counter);
}

void mr_hub_close(struct mr_hub *hub)
{
    if (!hub) {
        return;
    }
    mr_hub_close_tasks(hub);
    end_counter(hub);
    if (hub->server) {
        mr_server_close(hub->server);
    }
    if (hub->revocation_timer) {
        mr_timer_close(hub->revocation_timer);
    }
    if (hub->terms_timer) {
        mr_timer_close(hub->terms_timer);
    }
    mr_hub_free_tasks(hub);
    free(hub->routes);
    for (unsigned i = 0; i < hub->reloads_count; i++) {
        mr_hub_config_free(hub->reloads[i]);
    }
    mr_folder_unlock(hub->lock);
    mr_secret_free(hub);
}
