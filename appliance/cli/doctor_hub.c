/* doctor_hub.c - one hub's configuration, judged as the user that the hub runs as. */
#include "appliance/cli/doctor.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "appliance/config/round_warnings.h"

#define MIB (1u << 20)

int mr_doctor_become(const char *user, struct mr_error *error)
{
    const struct passwd *entry = getpwnam(user);
    if (!entry) {
        return mr_error_set(error, "--user: there is no user %s on this machine", user);
    }
    if (entry->pw_uid == geteuid()) {
        return 0;
    }
    if (geteuid() != 0) {
        return mr_error_set(error, "--user: only root can judge as %s: run it as root, or as %s",
                            user, user);
    }
    if (initgroups(user, entry->pw_gid) != 0 || setgid(entry->pw_gid) != 0 ||
        setuid(entry->pw_uid) != 0) {
        return mr_error_set(error, "--user: cannot become %s: %s", user, strerror(errno));
    }
    return 0;
}

static unsigned tasks_led(const struct mr_hub_config *config)
{
    unsigned led = 0;
    for (unsigned i = 0; i < config->tasks_count; i++) {
        led += mr_hub_config_leads(config, &config->tasks[i]);
    }
    return led;
}

void mr_doctor_user(struct mr_finding *finding, const struct mr_doctor_subject *subject)
{
    const struct passwd *entry = getpwuid(geteuid());
    const char *name = entry ? entry->pw_name : "a user without a name";
    const bool root = geteuid() == 0;
    const bool becomes = subject->config && *subject->config->sandbox.user != '\0';
    if (root && !becomes) {
        mr_finding_set(finding, MR_FINDING_WARN,
                       "give the user that the hub runs as: --user millrace for the unit",
                       "judged as root, who may read and do what the hub may not");
        return;
    }
    mr_finding_set(finding, MR_FINDING_OK, NULL, "judged as %s%s%s; limits are this shell's", name,
                   becomes ? ", the files as " : "", becomes ? subject->config->sandbox.user : "");
}

/* The very check that the hub's start asks. */
void mr_doctor_config(struct mr_finding *finding, const struct mr_doctor_subject *subject)
{
    if (!subject->file) {
        return;
    }
    if (!subject->config) {
        mr_finding_set(finding, MR_FINDING_MISSING,
                       "the hub does not start so: mend it, then `millrace config check FILE`",
                       "%s", subject->wrong);
        return;
    }
    for (unsigned i = 0; i < subject->config->tasks_count; i++) {
        struct mr_error shared;
        if (mr_shared_model_warning(&shared, subject->config, i)) {
            mr_finding_set(finding, MR_FINDING_WARN,
                           "give it a first model with a name of its own in the header: "
                           "`millrace config check FILE` says how",
                           "task %s begins with the same model file as another: a device in both "
                           "makes rounds void",
                           subject->config->tasks[i].name);
            return;
        }
    }
    mr_finding_set(finding, MR_FINDING_OK, NULL, "%s: hub %u, %u tasks, leads %u", subject->file,
                   subject->config->identity.index, subject->config->tasks_count,
                   tasks_led(subject->config));
}

void mr_doctor_memory(struct mr_finding *finding, const struct mr_doctor_subject *subject)
{
    const long long free_kib = mr_doctor_number("/proc/meminfo", "MemAvailable:", 10);
    if (!subject->config || free_kib < 0 || tasks_led(subject->config) == 0) {
        return; /* or a helper, which stages nothing */
    }
    const struct mr_config_upload *upload = &subject->config->upload;
    const unsigned long long needs =
        (unsigned long long)upload->workers * upload->slots_per_worker * upload->share_bytes_max;
    const unsigned long long has = (unsigned long long)free_kib * 1024;
    mr_finding_set(finding, needs < has ? MR_FINDING_OK : MR_FINDING_MISSING,
                   needs < has ? NULL
                               : "upload.share_bytes_max need be no larger than the model's share; "
                                 "or fewer upload.slots_per_worker",
                   "%llu MiB of staging (workers * slots_per_worker * share_bytes_max), %llu MiB "
                   "are free",
                   needs / MIB, has / MIB);
}
