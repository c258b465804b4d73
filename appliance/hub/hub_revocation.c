/* hub_revocation.c - the list of revoked certificates: read again on SIGHUP and when the file has
 * changed, and told to the round. */
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "appliance/hub/hub.h"
#include "appliance/hub/hub_lists.h"

#define LOOK_MS 5000

static int64_t ns_of(const struct timespec *time)
{
    return (int64_t)time->tv_sec * 1000000000 + time->tv_nsec;
}

/* True when the file is another than the last time. */
static bool has_changed(struct mr_hub *hub)
{
    struct stat about;
    if (stat(hub->config->identity.revocation_file, &about) != 0) {
        return false; /* between two of its versions, or gone: the old list holds */
    }
    const int64_t seen[4] = {(int64_t)about.st_ino, ns_of(&about.st_mtim), ns_of(&about.st_ctim),
                             (int64_t)about.st_size};
    if (memcmp(seen, hub->revocation_seen, sizeof seen) == 0) {
        return false;
    }
    memcpy(hub->revocation_seen, seen, sizeof seen);
    return true;
}

static void tell(const struct mr_hub *hub)
{
    const struct mr_revocations *revocations = mr_server_revocations(hub->server);
    const bool expired = mr_revocations_ends(revocations) < (int64_t)time(NULL);
    mr_log_event(hub->log, expired ? MR_LOG_WARN : MR_LOG_INFO, "revocation.loaded",
                 "certificates=%zu expired=%s", mr_revocations_count(revocations),
                 expired ? "yes" : "no");
}

/* What failed may have nothing to do with the file, so the next look tries again, and again; the
 * log hears of it once. */
static void note_failure(struct mr_hub *hub, const struct mr_error *error)
{
    memset(hub->revocation_seen, 0, sizeof hub->revocation_seen);
    if (strcmp(hub->revocation_why.text, error->text) != 0) {
        hub->revocation_why = *error;
        mr_log_event(hub->log, MR_LOG_ERROR, "revocation.failed", "why=%s", error->text);
    }
}

/* They hold all the same where that cannot be written. */
static void note_lists(struct mr_hub *hub)
{
    struct mr_error error;
    if (mr_hub_lists_note(hub->config->data_dir, mr_server_revocations(hub->server), &error) != 0) {
        mr_log_event(hub->log, MR_LOG_ERROR, "revocation.failed", "why=%s", error.text);
    }
}

static void read_again(struct mr_hub *hub)
{
    struct mr_error error = {.text = ""};
    if (mr_server_reload_revocations(hub->server, &error) != 0) {
        note_failure(hub, &error);
        return;
    }
    hub->revocation_why.text[0] = '\0';
    tell(hub);
    note_lists(hub);
    for (unsigned i = 0; i < hub->api.tasks_count; i++) {
        if (hub->api.tasks[i]->lead) {
            mr_lead_revocation(mr_lead_driver_core(hub->api.tasks[i]->lead));
        }
    }
}

void mr_hub_reload_revocations(struct mr_hub *hub)
{
    if (hub->revocation_timer) {
        hub->revocation_why.text[0] = '\0'; /* whoever asks gets an answer */
        (void)has_changed(hub);
        read_again(hub);
    }
}

static void on_look(void *context)
{
    struct mr_hub *hub = context;
    if (has_changed(hub)) {
        read_again(hub);
    }
    mr_timer_arm(hub->revocation_timer, mr_loop_now_ms(hub->loop) + LOOK_MS);
}

int mr_hub_watch_revocations(struct mr_hub *hub, struct mr_error *error)
{
    if (*hub->config->identity.revocation_file == '\0') {
        return 0;
    }
    hub->revocation_timer = mr_timer_open(hub->loop, on_look, hub);
    if (!hub->revocation_timer) {
        return mr_error_set(error, "out of memory");
    }
    (void)has_changed(hub);
    tell(hub);
    note_lists(hub);
    mr_timer_arm(hub->revocation_timer, mr_loop_now_ms(hub->loop) + LOOK_MS);
    return 0;
}

bool mr_hub_revoked(void *context, const struct mr_serial *serial)
{
    const struct mr_hub *hub = context;
    if (!hub->server) {
        return false; /* a start that failed: what the lead's threads said is heard, to no effect */
    }
    const struct mr_revocations *revocations = mr_server_revocations(hub->server);
    return revocations && mr_revocations_has(revocations, serial);
}
