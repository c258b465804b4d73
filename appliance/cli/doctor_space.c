/* doctor_space.c - how much room there is for data_dir. */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "appliance/cli/doctor.h"
#include "appliance/storage/folder.h"

#define MIB (UINT64_C(1) << 20)
/* With less, one round of a large model may not fit. */
#define FREE_LEAST (1024 * MIB)

void mr_doctor_space(struct mr_finding *finding, const struct mr_doctor_subject *subject)
{
    struct mr_error error = {""};
    uint64_t free_bytes = 0, size_bytes = 0;
    char above[PATH_MAX];
    const char *dir = subject->dir;
    if (subject->config && access(dir, F_OK) != 0 && strrchr(dir, '/') > dir) {
        /* The hub makes it at its first start. */
        snprintf(above, sizeof above, "%.*s", (int)(strrchr(dir, '/') - dir), dir);
        dir = above;
    }
    if (mr_folder_space(dir, &free_bytes, &size_bytes, &error) != 0) {
        mr_finding_set(finding, MR_FINDING_WARN, "give the hub's data_dir with --dir", "%s",
                       error.text);
        return;
    }
    const bool little = free_bytes < FREE_LEAST || free_bytes < size_bytes / 20;
    mr_finding_set(
        finding, little ? MR_FINDING_WARN : MR_FINDING_OK,
        little ? "a round needs room for its model, its sum and its logs, and is refused "
                 "without: make room, or keep less (tasks.keep)"
               : NULL,
        "%s: %" PRIu64 " MiB of %" PRIu64 " MiB are free", dir, free_bytes / MIB, size_bytes / MIB);
}
