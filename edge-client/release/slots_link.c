/* slots_link.c - FILE itself: a link to one of the copies. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "edge-client/files/files.h"
#include "edge-client/release/slots_internal.h"

/* What the link has to say: seen from the folder that FILE is in. */
static void link_text(char text[MR_SLOTS_PATH_BYTES], const struct mr_slots *slots,
                      const char *copy)
{
    const char *slash = strrchr(slots->folder, '/');
    snprintf(text, MR_SLOTS_PATH_BYTES, "%s/%s", slash ? slash + 1 : slots->folder, copy);
}

static bool leads_there(const struct mr_slots *slots, const char *wanted)
{
    char found[MR_SLOTS_PATH_BYTES];
    const ssize_t length = readlink(slots->file, found, sizeof found - 1);
    return length > 0 && (size_t)length == strlen(wanted) &&
           memcmp(found, wanted, (size_t)length) == 0;
}

int mr_slots_lead(const struct mr_slots *slots, const char *copy, struct mr_error *error)
{
    char text[MR_SLOTS_PATH_BYTES], fresh[MR_SLOTS_PATH_BYTES];
    link_text(text, slots, copy);
    if (leads_there(slots, text)) {
        return 0;
    }
    snprintf(fresh, sizeof fresh, "%s/link", slots->folder);
    if ((unlink(fresh) && errno != ENOENT) || symlink(text, fresh) || rename(fresh, slots->file) ||
        mr_name_sync(slots->file)) {
        return mr_error_set(error, "%s cannot be made to lead to %s: %s", slots->file, text,
                            strerror(errno));
    }
    return 0;
}

int mr_slots_check_file(const struct mr_slots *slots, struct mr_error *error)
{
    struct stat about;
    char found[MR_SLOTS_PATH_BYTES] = "";
    if (lstat(slots->file, &about) != 0) {
        return errno == ENOENT ? 0 : mr_error_set(error, "%s: %s", slots->file, strerror(errno));
    }
    if (S_ISLNK(about.st_mode) && readlink(slots->file, found, sizeof found - 1) > 0 &&
        strstr(found, MR_SLOTS_SUFFIX "/")) {
        return 0;
    }
    return mr_error_set(error,
                        "%s is there already, and no link into %s: move it away, or name another "
                        "file",
                        slots->file, slots->folder);
}
