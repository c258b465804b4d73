#include "appliance/config/hub_check.h"

#include <string.h>

#include "appliance/config/hub_check_internal.h"
#include "kernels/kernels.h"

static int at(const struct mr_place *place, const char *section, unsigned entry, const char *name)
{
    return mr_document_blame(place->document, section, entry, name, place->error);
}

/* --- the top, control and upload ------------------------------------------------------------ */

static int check_top(const struct mr_hub_config *config, const struct mr_place *place)
{
    uint32_t mask;
    if (mr_cpu_mask_parse(config->cpu_mask, &mask) != 0) {
        mr_error_set(place->error,
                     "must be all, a list such as avx2,avx512, or -avx512 to leave one out, not "
                     "'%s'",
                     config->cpu_mask);
        return at(place, "", 0, "cpu_mask");
    }
    if (config->control.bodies_bytes_max < config->upload.share_bytes_max) {
        mr_error_set(place->error,
                     "must hold at least one upload over HTTP/2 (upload.share_bytes_max, %llu)",
                     (unsigned long long)config->upload.share_bytes_max);
        return at(place, "control", 0, "bodies_bytes_max");
    }
    return 0;
}

/* How many CPU numbers the list holds, or -1 if it is no list of numbers. */
static int count_cpus(const char *list)
{
    int count = 0;
    while (*list != '\0') {
        const size_t digits = strspn(list, "0123456789");
        if (digits == 0 || digits > 4 || (list[digits] != ',' && list[digits] != '\0')) {
            return -1;
        }
        count++;
        list += digits;
        if (*list == ',' && *++list == '\0') {
            return -1;
        }
    }
    return count;
}

static bool leads_any(const struct mr_hub_config *config)
{
    for (unsigned i = 0; i < config->tasks_count; i++) {
        if (mr_hub_config_leads(config, &config->tasks[i])) {
            return true;
        }
    }
    return false;
}

static int check_upload(const struct mr_hub_config *config, const struct mr_place *place)
{
    const struct mr_config_upload *upload = &config->upload;
    const int cpus = count_cpus(upload->worker_cpus);
    if (*upload->worker_cpus != '\0' && cpus != (int)upload->workers) {
        mr_error_set(place->error, "must list one CPU for each of the %u workers, not '%s'",
                     upload->workers, upload->worker_cpus);
        return at(place, "upload", 0, "worker_cpus");
    }
    if (upload->port_base != 0 && upload->port_base + upload->workers - 1 > 65535) {
        mr_error_set(place->error, "leaves no ports for %u workers: at most %u", upload->workers,
                     65536 - upload->workers);
        return at(place, "upload", 0, "port_base");
    }
    if (upload->window_total < upload->window_max) {
        mr_error_set(place->error, "must be at least window_max (%u)", upload->window_max);
        return at(place, "upload", 0, "window_total");
    }
    const bool wildcard =
        strcmp(upload->advertise_host, "0.0.0.0") == 0 || strcmp(upload->advertise_host, "::") == 0;
    if (wildcard && leads_any(config)) {
        mr_error_set(place->error,
                     "must be the address at which devices reach this hub: %s is none they can "
                     "send to",
                     upload->advertise_host);
        return at(place, "upload", 0, "advertise_host");
    }
    return 0;
}

/* --- the hubs ------------------------------------------------------------------------------- */

static int check_hub(const struct mr_hub_config *config, unsigned entry,
                     const struct mr_place *place)
{
    const struct mr_config_hub *hub = &config->hubs[entry];
    if (hub->name[strspn(hub->name, "abcdefghijklmnopqrstuvwxyz0123456789.-")] != '\0') {
        mr_error_set(place->error, "must be of a-z, 0-9, dots and hyphens, not '%s'", hub->name);
        return at(place, "hubs", entry, "name");
    }
    for (unsigned i = 0; i < entry; i++) {
        if (config->hubs[i].index == hub->index) {
            mr_error_set(place->error, "%u is taken by the entry in line %u", hub->index,
                         mr_document_line(place->document, "hubs", i, "index"));
            return at(place, "hubs", entry, "index");
        }
    }
    return 0;
}

static int check_hubs(const struct mr_hub_config *config, const struct mr_place *place)
{
    for (unsigned i = 0; i < config->hubs_count; i++) {
        if (check_hub(config, i, place) != 0) {
            return -1;
        }
    }
    if (!mr_hub_config_address(config, config->identity.index)) {
        mr_error_set(place->error, "%u is not in the list of hubs: add this hub to 'hubs'",
                     config->identity.index);
        return at(place, "identity", 0, "index");
    }
    return 0;
}

int mr_config_check_rules(struct mr_hub_config *config, struct mr_document *document,
                          struct mr_error *error)
{
    const struct mr_place place = {document, error};
    if (check_hubs(config, &place) != 0) {
        return -1;
    }
    for (unsigned i = 0; i < config->tasks_count; i++) {
        if (mr_config_check_task(config, i, &place) != 0 ||
            mr_config_check_privacy(config, i, &place) != 0 ||
            mr_config_check_watermark(config, i, &place) != 0 ||
            mr_config_check_accept(config, i, &place) != 0) {
            return -1;
        }
    }
    return check_top(config, &place) != 0 || check_upload(config, &place) != 0 ? -1 : 0;
}
