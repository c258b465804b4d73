/* hub_terms.c - what runs out: this hub's certificate, a CA above it, a revocation list. Said in
 * the log 30, 7 and 1 days before and when it is over, and in the metrics all the time. A hub whose
 * certificate runs out goes on: connections that are there hold, and a new file and SIGHUP mend it;
 * nothing would be gained by stopping. */
#include <inttypes.h>
#include <time.h>

#include "appliance/hub/hub.h"
#include "transport/certificate.h"

#define DAY_S   86400
#define LOOK_MS (3600u * 1000)

/* How near the end is: one more for each of these that is past. */
static const int64_t steps_days[] = {30, 7, 1, 0};
#define STEPS (sizeof steps_days / sizeof *steps_days)

static unsigned step_of(int64_t left_s)
{
    unsigned step = 0;
    while (step < STEPS && left_s < steps_days[step] * DAY_S) {
        step++;
    }
    return step;
}

static void look(struct mr_hub *hub, enum mr_tls_term term)
{
    const int64_t ends = mr_server_ends(hub->server, term);
    const int64_t left_s = ends == INT64_MAX ? INT64_MAX : ends - (int64_t)time(NULL);
    const unsigned step = step_of(left_s);
    const bool nearer = step > hub->terms_said[term];
    char text[MR_CERTIFICATE_TIME_MAX];
    hub->terms_said[term] = step;
    if (!nearer) {
        return;
    }
    mr_certificate_time(text, ends);
    if (step == STEPS) {
        mr_log_event(hub->log, MR_LOG_ERROR, "certificate.expired", "certificate=%s expired=%s",
                     mr_tls_term_names[term], text);
    } else {
        mr_log_event(hub->log, MR_LOG_WARN, "certificate.expires",
                     "certificate=%s days=%" PRId64 " expires=%s", mr_tls_term_names[term],
                     left_s / DAY_S, text);
    }
}

static void look_at_all(struct mr_hub *hub)
{
    for (int term = 0; term < MR_TLS_TERMS; term++) {
        look(hub, (enum mr_tls_term)term);
    }
}

static void on_look(void *context)
{
    struct mr_hub *hub = context;
    look_at_all(hub);
    mr_timer_arm(hub->terms_timer, mr_loop_now_ms(hub->loop) + LOOK_MS);
}

/* New files: what is near its end is said again. */
void mr_hub_tell_terms(struct mr_hub *hub)
{
    for (int term = 0; term < MR_TLS_TERMS; term++) {
        hub->terms_said[term] = 0;
    }
    look_at_all(hub);
}

static bool has_terms(const struct mr_hub *hub)
{
    for (int term = 0; term < MR_TLS_TERMS; term++) {
        if (mr_server_ends(hub->server, (enum mr_tls_term)term) != INT64_MAX) {
            return true;
        }
    }
    return false;
}

int mr_hub_watch_terms(struct mr_hub *hub, struct mr_error *error)
{
    if (!has_terms(hub)) {
        return 0;
    }
    hub->terms_timer = mr_timer_open(hub->loop, on_look, hub);
    if (!hub->terms_timer) {
        return mr_error_set(error, "out of memory");
    }
    mr_hub_tell_terms(hub);
    mr_timer_arm(hub->terms_timer, mr_loop_now_ms(hub->loop) + LOOK_MS);
    return 0;
}
