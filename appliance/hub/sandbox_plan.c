#include "appliance/hub/sandbox_plan.h"

#include <stdlib.h>
#include <string.h>

static enum mr_sandbox_mode mode_of(const char *name)
{
    return strcmp(name, "off") == 0        ? MR_SANDBOX_OFF
           : strcmp(name, "required") == 0 ? MR_SANDBOX_REQUIRED
                                           : MR_SANDBOX_AUTO;
}

/* Only a lead dials. It may dial the whole address book, so that it can lead a task of other hubs
 * that is added while it runs. */
static unsigned ports_to_dial(uint16_t *ports, const struct mr_hub_config *config)
{
    unsigned count = 0;
    for (unsigned i = 0; mr_hub_tasks_led(config) > 0 && i < config->hubs_count; i++) {
        if (config->hubs[i].index != config->identity.index) {
            ports[count++] = config->hubs[i].port;
        }
    }
    return count;
}

/* The folder that a file lies in; "." where its path has none. NULL: out of memory. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash) {
        return strdup(".");
    }
    return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

static int allow_folder(struct mr_confinement *confinement, const char *file)
{
    if (*file == '\0') {
        return 0;
    }
    char *folder = folder_of(file);
    if (!folder) {
        return -1;
    }
    for (unsigned i = 0; i < confinement->paths_count; i++) {
        if (strcmp(confinement->paths[i].path, folder) == 0) {
            free(folder);
            return 0;
        }
    }
    confinement->paths[confinement->paths_count++].path = folder;
    return 0;
}

static int allow_folders(struct mr_confinement *confinement, const struct mr_hub_config *config,
                         const char *config_file)
{
    const struct mr_config_identity *identity = &config->identity;
    const char *const files[] = {
        config_file,
        identity->signing_key_file,
        identity->ca_file,
        identity->certificate_file,
        identity->private_key_file,
        identity->revocation_file,
        identity->generation_file,
    };
    int failed = 0;
    for (unsigned i = 0; i < sizeof files / sizeof files[0]; i++) {
        failed |= allow_folder(confinement, files[i]);
    }
    for (unsigned i = 0; i < config->tasks_count; i++) {
        failed |= allow_folder(confinement, config->tasks[i].initial_model_file);
        failed |= allow_folder(confinement, config->tasks[i].releases.tags_file);
        failed |= allow_folder(confinement, config->tasks[i].watermark.key_file);
    }
    for (unsigned i = 0; i < config->hubs_count; i++) {
        failed |= allow_folder(confinement, config->hubs[i].public_key_file);
    }
    return failed;
}

/* Where "auto" may come to a DPDK port, it has to be able to run it. */
static bool may_drive_hardware(const struct mr_hub_config *config)
{
    const char *source = config->upload.source;

    return strcmp(source, "dpdk") == 0 ||
           (strcmp(source, "auto") == 0 && *config->upload.dpdk_device != '\0');
}

int mr_confinement_begin(struct mr_confinement *confinement, const struct mr_hub_config *config,
                         const char *config_file, struct mr_error *error)
{
    *confinement = (struct mr_confinement){.paths = {{0}}};
    if (allow_folders(confinement, config, config_file) != 0) {
        return mr_error_set(error, "out of memory");
    }
    const struct mr_sandbox_plan plan = {
        .mode = mode_of(config->sandbox.mode),
        .user = config->sandbox.user,
        .group = config->sandbox.group,
        .data_dir = config->data_dir,
        .paths = confinement->paths,
        .path_count = confinement->paths_count,
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

void mr_confinement_end(struct mr_confinement *confinement)
{
    for (unsigned i = 0; i < confinement->paths_count; i++) {
        free((char *)confinement->paths[i].path);
    }
    confinement->paths_count = 0;
}
