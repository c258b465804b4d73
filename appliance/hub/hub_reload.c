#include "appliance/hub/hub_reload.h"

#include <stdio.h>
#include <string.h>

#include "appliance/api/routes.h"
#include "appliance/config/config_change.h"
#include "appliance/hub/hub_check.h"
#include "transport/certificate.h"
#include "transport/tls.h"

struct reload {
    struct mr_hub *hub;
    struct mr_hub_config *fresh;
    struct mr_tls *tls;
    bool refused; /* logged already */
    bool changed;
    /* Of the fresh configuration's tasks, in its order; kept ones are the API's own. */
    struct mr_api_task *tasks[MR_TASKS_MAX];
    bool added[MR_TASKS_MAX];
};

/* --- may it change? -------------------------------------------------------------------------- */

static void refuse(struct reload *reload, const char *key, const char *why)
{
    reload->refused = true;
    mr_log_event(reload->hub->log, MR_LOG_ERROR, "config.refused", "key=%s why=%s", key, why);
}

/* A hub that is new or gone: its port has no place in the sandbox, its key none among the pinned.
 */
static bool is_hub(const struct mr_config_change *change)
{
    return strncmp(change->key, "hubs.", 5) == 0;
}

static void judge(void *context, const struct mr_config_change *change)
{
    struct reload *reload = context;
    reload->changed = true;
    if (change->change == MR_OPTION_RESTART || is_hub(change)) {
        refuse(reload, change->key, "needs a restart");
    }
}

static bool is_leaving(const struct mr_hub *hub, const char *name)
{
    for (unsigned i = 0; i < hub->leaving_count; i++) {
        if (strcmp(hub->leaving[i]->task.config->name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* The plane, and what the process gave up, were planned when the hub started. */
static void judge_task(struct reload *reload, const struct mr_config_task *task, unsigned led)
{
    const struct mr_hub *hub = reload->hub;
    char key[8 + MR_TASK_NAME_MAX];
    snprintf(key, sizeof key, "tasks.%s", task->name);
    if (is_leaving(hub, task->name)) {
        refuse(reload, key,
               "the task was removed a moment ago and its threads have not ended yet: "
               "try again after task.ended");
    } else if (mr_hub_config_leads(reload->fresh, task) && !hub->api.plane) {
        refuse(reload, key,
               "needs a restart: this hub led nothing when it started, so that it has "
               "no upload plane");
    } else if (mr_hub_config_leads(reload->fresh, task) && led > hub->tasks_led_max) {
        refuse(reload, key,
               "needs a restart: the upload plane is planned for fewer tasks that "
               "this hub leads");
    }
}

static void judge_tasks(struct reload *reload)
{
    const struct mr_hub *hub = reload->hub;
    const unsigned led = mr_hub_tasks_led(reload->fresh);
    unsigned kept = 0;
    unsigned added = 0;
    for (unsigned i = 0; i < reload->fresh->tasks_count; i++) {
        const struct mr_config_task *task = &reload->fresh->tasks[i];
        if (mr_api_task_find(&hub->api, task->name)) {
            kept++;
        } else {
            added++;
            judge_task(reload, task, led);
        }
    }
    if (hub->leaving_count + hub->api.tasks_count - kept + added > MR_HUB_LEAVING_MAX) {
        refuse(reload, "tasks", "too many removed tasks have not ended yet: try again later");
    }
    if (reload->changed && hub->reloads_count == MR_HUB_RELOADS_MAX) {
        refuse(reload, "tasks", "the file was changed too many times: needs a restart");
    }
}

/* --- what can fail --------------------------------------------------------------------------- */

static int read_certificates(struct reload *reload, struct mr_error *error)
{
    const struct mr_config_identity *identity = &reload->fresh->identity;
    const struct mr_tls_files files = mr_hub_tls_files(identity);
    if (mr_tls_open(&reload->tls, MR_TLS_SERVER, &files, error) != 0) {
        return -1;
    }
    const struct mr_revocations *fresh = mr_tls_revocations(reload->tls);
    if (mr_revocations_follow(fresh, mr_server_revocations(reload->hub->server), error) != 0) {
        mr_tls_close(reload->tls);
        reload->tls = NULL;
        return mr_error_prefix(error, "identity.revocation_file");
    }
    return 0;
}

/* An added task is at work from here on, but nobody can reach it yet. */
static int open_tasks(struct reload *reload, struct mr_error *error)
{
    struct mr_hub *hub = reload->hub;
    for (unsigned i = 0; i < reload->fresh->tasks_count; i++) {
        const struct mr_config_task *task = &reload->fresh->tasks[i];
        reload->tasks[i] = mr_api_task_find(&hub->api, task->name);
        if (!reload->tasks[i]) {
            if (mr_hub_task_open(hub, &reload->tasks[i], reload->fresh, task, error) != 0) {
                return -1;
            }
            reload->added[i] = true;
        }
    }
    return 0;
}

/* --- change ---------------------------------------------------------------------------------- */

static void tell(void *context, const struct mr_config_change *change)
{
    const struct reload *reload = context;
    mr_log_event(reload->hub->log, MR_LOG_INFO, "config.reloaded", "key=%s before=%s after=%s",
                 change->key, change->before, change->after);
}

/* The policy from the task's next round on; the files at its next connection to another hub. */
static void update_task(struct mr_api_task *served, const struct mr_hub_config *fresh,
                        const struct mr_config_task *task)
{
    served->task.config = task;
    mr_task_set_endpoints(&served->task, fresh);
    mr_releases_set_policy(served->releases, &task->releases);
    if (served->lead) {
        mr_lead_driver_set_policy(served->lead, &task->round);
        mr_lead_driver_set_accept(served->lead, &task->accept);
        mr_lead_driver_set_keep(served->lead, &task->keep);
        mr_lead_driver_set_endpoints(served->lead, served->task.endpoints);
    }
    if (served->helper) {
        mr_helper_driver_set_policy(served->helper, &task->round, &task->accept);
        mr_helper_driver_set_keep(served->helper, &task->keep);
    }
}

static void remove_tasks(const struct reload *reload)
{
    struct mr_hub *hub = reload->hub;
    for (unsigned i = 0; i < hub->api.tasks_count; i++) {
        struct mr_api_task *served = hub->api.tasks[i];
        if (!mr_hub_config_task(reload->fresh, served->task.config->name)) {
            mr_log_event(hub->log, MR_LOG_INFO, "task.removed", "task=%s",
                         served->task.config->name);
            mr_hub_task_leave(hub, served);
        }
    }
}

static void list_tasks(const struct reload *reload)
{
    struct mr_hub *hub = reload->hub;
    const struct mr_hub_config *fresh = reload->fresh;
    for (unsigned i = 0; i < fresh->tasks_count; i++) {
        struct mr_api_task *served = reload->tasks[i];
        if (reload->added[i]) {
            mr_log_event(hub->log, MR_LOG_INFO, "task.added", "task=%s role=%s",
                         fresh->tasks[i].name, served->lead ? "lead" : "helper");
        } else {
            update_task(served, fresh, &fresh->tasks[i]);
        }
        hub->api.tasks[i] = served;
    }
    hub->api.tasks_count = fresh->tasks_count;
    mr_hub_tell_shared_models(hub);
}

static void use_certificates(struct reload *reload)
{
    struct mr_hub *hub = reload->hub;
    char expiry[MR_CERTIFICATE_TIME_MAX];
    mr_certificate_time(expiry, mr_tls_ends(reload->tls, MR_TLS_TERM_OWN));
    mr_server_renew(hub->server, reload->tls);
    mr_log_event(hub->log, MR_LOG_INFO, "certificate.loaded", "expires=%s", expiry);
    mr_hub_tell_terms(hub);
}

static void apply(struct reload *reload)
{
    struct mr_hub *hub = reload->hub;
    mr_config_compare(hub->config, reload->fresh, tell, reload);
    remove_tasks(reload);
    list_tasks(reload);
    mr_routes_bound(hub->routes, reload->fresh);
    hub->config = reload->fresh;
    mr_log_set_level(hub->log, mr_log_level_named(hub->config->log_level));
}

/* Tasks that were opened in vain go as any other; they need the configuration until then. */
static void take_back(struct reload *reload)
{
    for (unsigned i = 0; i < reload->fresh->tasks_count; i++) {
        if (reload->added[i]) {
            mr_hub_task_leave(reload->hub, reload->tasks[i]);
        }
    }
    mr_tls_close(reload->tls);
}

static void reload_changed(struct reload *reload)
{
    struct mr_hub *hub = reload->hub;
    struct mr_error error = {.text = ""};
    /* Kept to the end in any case: drivers point into the configurations that they came with. */
    hub->reloads[hub->reloads_count++] = reload->fresh;
    if (open_tasks(reload, &error) != 0) {
        mr_log_event(hub->log, MR_LOG_ERROR, "config.refused", "why=%s", error.text);
        take_back(reload);
        return;
    }
    use_certificates(reload);
    apply(reload);
}

/* The file that says which devices have which tag may be another, under the same name. */
static void read_tags(const struct mr_hub *hub)
{
    for (unsigned i = 0; i < hub->api.tasks_count; i++) {
        const struct mr_api_task *served = hub->api.tasks[i];
        mr_releases_set_policy(served->releases, &served->task.config->releases);
    }
}

void mr_hub_reload(struct mr_hub *hub, const char *config_file)
{
    struct reload reload = {.hub = hub};
    struct mr_error error = {.text = ""};
    mr_hub_reload_revocations(hub);
    if (mr_hub_check_again(&reload.fresh, config_file, &error) != 0) {
        mr_log_event(hub->log, MR_LOG_ERROR, "config.refused", "why=%s", error.text);
        return;
    }
    mr_config_compare(hub->config, reload.fresh, judge, &reload);
    judge_tasks(&reload);
    if (!reload.refused && read_certificates(&reload, &error) != 0) {
        reload.refused = true;
        mr_log_event(hub->log, MR_LOG_ERROR, "config.refused", "why=%s", error.text);
    }
    if (!reload.refused && reload.changed) {
        reload_changed(&reload);
        return;
    }
    if (!reload.refused) {
        use_certificates(&reload);
        read_tags(hub);
        mr_log_event(hub->log, MR_LOG_INFO, "config.reloaded", "key=none");
    }
    mr_hub_config_free(reload.fresh);
}
