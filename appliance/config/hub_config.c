#include "appliance/config/hub_config.h"

#include "appliance/config/fill.h"
#include "appliance/config/hub_check.h"

static int load(struct mr_hub_config **config, const char *path, bool files, struct mr_error *error)
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
    if (bad == 0 && files) {
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

int mr_hub_config_load(struct mr_hub_config **config, const char *path, struct mr_error *error)
{
    return load(config, path, true, error);
}

int mr_hub_config_read(struct mr_hub_config **config, const char *path, struct mr_error *error)
{
    return load(config, path, false, error);
}

void mr_hub_config_free(struct mr_hub_config *config)
{
    if (config) {
        mr_config_release(config);
    }
}
