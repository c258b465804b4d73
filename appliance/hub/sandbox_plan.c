#include "appliance/hub/sandbox_plan.h"

#include <stdio.h>
#include <string.h>

static enum mr_sandbox_mode mode_of(const char *name)
{
    return strcmp(name, "off") == 0        ? MR_SANDBOX_OFF
           : strcmp(name, "required") == 0 ? MR_SANDBOX_REQUIRED
                                           : MR_SANDBOX_AUTO;
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

/* Only a lead dials. It may dial the whole address book, so that it can lead a task of other hubs
 * that is added while it runs. */
static unsigned ports_to_dial(uint16_t *ports, const struct mr_hub_config *config)
{
    unsigned count = 0;
    for (unsigned i = 0; leads_any(config) && i < config->hubs_count; i++) {
        if (config->hubs[i].index != config->identity.index) {
            ports[count++] = config->hubs[i].port;
        }
    }
    return count;
}

static unsigned paths_to_read(struct mr_sandbox_path *paths, const struct mr_hub_config *config)
{
    unsigned count = 0;
    paths[count++].path = config->identity.signing_key_file;
    paths[count++].path = config->identity.ca_file;
    paths[count++].path = config->identity.certificate_file;
    paths[count++].path = config->identity.private_key_file;
    for (unsigned i = 0; i < config->tasks_count; i++) {
        paths[count++].path = config->tasks[i].initial_model_file;
    }
    for (unsigned i = 0; i < config->hubs_count; i++) {
        paths[count++].path = config->hubs[i].public_key_file;
    }
    return count;
}

/* Where "auto" may come to a DPDK port, it has to be able to run it. */
static bool may_drive_hardware(const struct mr_hub_config *config)
{
    const char *source = config->upload.source;

    return strcmp(source, "dpdk") == 0 ||
           (strcmp(source, "auto") == 0 && *config->upload.dpdk_device != '\0');
}

/* The folder that a file lies in; "." where its path has none. */
static void folder_of(char folder[PATH_MAX], const char *path)
{
    snprintf(folder, PATH_MAX, "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash) {
        slash[slash == folder] = '\0';
    } else {
        strcpy(folder, ".");
    }
}

int mr_confinement_begin(struct mr_confinement *confinement, const struct mr_hub_config *config,
                         const char *config_file, struct mr_error *error)
{
    *confinement = (struct mr_confinement){.paths = {{0}}};
    snprintf(confinement->revocation_dir, sizeof confinement->revocation_dir, "%s",
             config->identity.revocation_file);
    char *slash = strrchr(confinement->revocation_dir, '/');
    if (slash) {
        slash[slash == confinement->revocation_dir] = '\0'; /* absolute: at least a slash is left */
    }
    folder_of(confinement->config_dir, config_file);
    unsigned read = paths_to_read(confinement->paths, config);
    confinement->paths[read++].path = confinement->revocation_dir;
    confinement->paths[read++].path = confinement->config_dir;
    const struct mr_sandbox_plan plan = {
        .mode = mode_of(config->sandbox.mode),
        .user = config->sandbox.user,
        .group = config->sandbox.group,
        .data_dir = config->data_dir,
        .paths = confinement->paths,
        .path_count = read,
        .listen_port = config->control.port,
        .dial_ports = confinement->ports,
        .dial_count = ports_to_dial(confinement->ports, config),
        .drives_hardware = may_drive_hardware(config),
    };
    return mr_sandbox_begin(&confinement->sandbox, &plan, error);
}

int mr_confinement_finish(struct mr_confinement *confinement, struct mr_hub *hub,
                          struct mr_error *error)
{
    struct mr_sandbox *sandbox = &confinement->sandbox;
    if (mr_sandbox_finish(sandbox, error) != 0) {
        return -1;
    }
    if (hub->api.plane && sandbox->parts[MR_SANDBOX_WORKERS].in_force) {
        mr_upload_plane_confine(hub->api.plane);
    }
    for (int i = 0; i < MR_SANDBOX_PARTS; i++) {
        const bool in_force = sandbox->parts[i].in_force;
        const bool asked = sandbox->plan.mode != MR_SANDBOX_OFF;
        mr_log_event(hub->log, in_force || !asked ? MR_LOG_INFO : MR_LOG_WARN, "sandbox.part",
                     "part=%s in_force=%s why=%s", mr_sandbox_part_name(i), in_force ? "yes" : "no",
                     sandbox->parts[i].why);
    }
    return 0;
}
