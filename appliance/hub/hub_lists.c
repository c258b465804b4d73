#include "appliance/hub/hub_lists.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/storage/files.h"

static int path_of(char path[PATH_MAX], const char *data_dir, struct mr_error *error)
{
    const int length = snprintf(path, PATH_MAX, "%s/revocations-seen", data_dir);
    return length > 0 && length < PATH_MAX ? 0
                                           : mr_error_set(error, "data_dir: the path is too long");
}

int mr_hub_lists_check(const char *data_dir, const struct mr_revocations *lists,
                       struct mr_error *error)
{
    char path[PATH_MAX];
    uint8_t *note = NULL;
    size_t length = 0;
    if (!lists) {
        return 0;
    }
    if (path_of(path, data_dir, error) != 0) {
        return -1;
    }
    const int got = mr_file_read(path, &note, &length, error);
    if (got != 0) {
        return got < 0 ? -1 : 0;
    }
    const int older = mr_revocations_follow_note(lists, (const char *)note, error);
    free(note);
    return older == 0 ? 0 : mr_error_prefix(error, "identity.revocation_file (seen: %s)", path);
}

int mr_hub_lists_note(const char *data_dir, const struct mr_revocations *lists,
                      struct mr_error *error)
{
    char path[PATH_MAX];
    char *note = mr_revocations_note(lists);
    if (!note) {
        return mr_error_set(error, "out of memory");
    }
    int status = path_of(path, data_dir, error);
    if (status == 0) {
        status = mr_file_replace(path, note, strlen(note), error);
    }
    free(note);
    return status;
}
