#include "appliance/config/hub_config.h"

#include <stddef.h>
#include <string.h>

#include "appliance/config/fill.h"
#include "appliance/config/hub_check.h"

int mr_hub_config_load(struct mr_hub_config **config, const char *path, struct mr_error *error)
{
    struct mr_document document;
    struct mr_hub_config *made = NULL;
    *config = NULL;
    if (mr_document_open(&document, path, error) != 0) {
        return -1;
    }
    int bad = mr_config_fill(&made, &document, error);
    if (bad == 0) {
        bad = mr_config_check_rules(made, &document, error);
    }
    if (bad == 0) {
        bad = mr_config_check_files(made, &document, error);
    }
    mr_document_close(&document);
    if (bad != 0) {
        mr_hub_config_free(made);
        return -1;
    }
    *config = made;
    return 0;
}

void mr_hub_config_free(struct mr_hub_config *config)
{
    if (config) {
        mr_config_release(config);
    }
}

const struct mr_config_hub *mr_hub_config_address(const struct mr_hub_config *config,
                                                  uint16_t index)
{
    for (unsigned i = 0; i < config->hubs_count; i++) {
        if (config->hubs[i].index == index) {
            return &config->hubs[i];
        }
    }
    return NULL;
}

const struct mr_config_task *mr_hub_config_task(const struct mr_hub_config *config,
                                                const char *name)
{
    for (unsigned i = 0; i < config->tasks_count; i++) {
        if (strcmp(config->tasks[i].name, name) == 0) {
            return &config->tasks[i];
        }
    }
    return NULL;
}

bool mr_hub_config_leads(const struct mr_hub_config *config, const struct mr_config_task *task)
{
    return task->hubs[0] == config->identity.index;
}
