#include "appliance/hub/hub_reload.h"

#include <string.h>

#include "appliance/api/routes.h"
#include "appliance/config/config_change.h"
#include "appliance/hub/hub_check.h"

struct reload {
    struct mr_hub *hub;
    struct mr_hub_config *fresh;
    bool refused; /* a key needs a restart */
    bool changed;
};

/* --- may it change? -------------------------------------------------------------------------- */

/* A task or a hub that is new or gone: its threads, files and ports have no place in the sandbox.
 */
static bool is_entry(const struct mr_config_change *change)
{
    return *change->before == '\0' ? strcmp(change->after, "there") == 0
                                   : strcmp(change->before, "there") == 0 && *change->after == '\0';
}

static void judge(void *context, const struct mr_config_change *change)
{
    struct reload *reload = context;
    reload->changed = true;
    if (change->change == MR_OPTION_RESTART || is_entry(change)) {
        reload->refused = true;
        mr_log_event(reload->hub->log, MR_LOG_ERROR, "config.refused", "key=%s why=needs a restart",
                     change->key);
    }
}

/* --- change ---------------------------------------------------------------------------------- */

static void tell(void *context, const struct mr_config_change *change)
{
    const struct reload *reload = context;
    mr_log_event(reload->hub->log, MR_LOG_INFO, "config.reloaded", "key=%s before=%s after=%s",
                 change->key, change->before, change->after);
}

/* From the task's next round on. */
static void set_policies(struct mr_hub *hub, const struct mr_hub_config *fresh)
{
    for (unsigned i = 0; i < hub->api.tasks_count; i++) {
        struct mr_api_task *served = hub->api.tasks[i];
        const struct mr_config_task *task = mr_hub_config_task(fresh, served->task.config->name);
        served->task.config = task;
        if (served->lead) {
            mr_lead_driver_set_policy(served->lead, &task->round);
        }
        if (served->helper) {
            mr_helper_driver_set_policy(served->helper, &task->round);
        }
    }
}

static void apply(const struct reload *reload)
{
    struct mr_hub *hub = reload->hub;
    mr_config_compare(hub->config, reload->fresh, tell, (void *)reload);
    set_policies(hub, reload->fresh);
    mr_routes_bound(hub->routes, reload->fresh);
    hub->config = reload->fresh;
    mr_log_set_level(hub->log, mr_log_level_named(hub->config->log_level));
}

void mr_hub_reload(struct mr_hub *hub, const char *config_file)
{
    struct reload reload = {.hub = hub};
    struct mr_error error = {.text = ""};
    mr_hub_reload_revocations(hub);
    if (mr_hub_check(&reload.fresh, config_file, &error) != 0) {
        mr_log_event(hub->log, MR_LOG_ERROR, "config.refused", "why=%s", error.text);
        return;
    }
    mr_config_compare(hub->config, reload.fresh, judge, &reload);
    if (!reload.changed || reload.refused || hub->reloads_count == MR_HUB_RELOADS_MAX) {
        if (!reload.changed) {
            mr_log_event(hub->log, MR_LOG_INFO, "config.reloaded", "key=none");
        } else if (!reload.refused) {
            mr_log_event(hub->log, MR_LOG_ERROR, "config.refused",
                         "why=it was changed %u times: needs a restart", hub->reloads_count);
        }
        mr_hub_config_free(reload.fresh);
        return;
    }
    /* Drivers still point into the configurations that they were opened with. */
    hub->reloads[hub->reloads_count++] = reload.fresh;
    apply(&reload);
}
