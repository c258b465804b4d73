#include "appliance/config/device_tags.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

#define BLANK      " \t\r\n"
#define LINE_BYTES 256

struct reading {
    struct mr_device_tags *tags;
    const struct mr_config_rollout *rollout;
    const char *path;
    unsigned line;
    size_t room;
    struct mr_error *error;
};

static int compare(const void *a, const void *b)
{
    const struct mr_device_tag *one = a, *other = b;
    return memcmp(one->client_id, other->client_id, MR_CLIENT_ID_BYTES);
}

static int add(struct reading *reading, const struct mr_device_tag *device)
{
    struct mr_device_tags *tags = reading->tags;
    if (tags->count == MR_DEVICE_TAGS_MAX) {
        return mr_error_set(reading->error, "%s:%u: more than %u devices: a canary is a few",
                            reading->path, reading->line, MR_DEVICE_TAGS_MAX);
    }
    if (tags->count == reading->room) {
        const size_t room = reading->room ? 2 * reading->room : 16;
        struct mr_device_tag *fresh = realloc(tags->devices, room * sizeof *fresh);
        if (!fresh) {
            return mr_error_set(reading->error, "out of memory");
        }
        tags->devices = fresh;
        reading->room = room;
    }
    tags->devices[tags->count++] = *device;
    return 0;
}

/* A tag, an id, and nothing else before a '#'. */
static int take_line(struct reading *reading, char *line)
{
    struct mr_device_tag device = {.tags = 0};
    char *rest = NULL;
    line[strcspn(line, "#")] = '\0';
    const char *tag = strtok_r(line, BLANK, &rest);
    const char *id = tag ? strtok_r(NULL, BLANK, &rest) : NULL;
    if (!tag) {
        return 0;
    }
    if (!mr_config_tag_valid(tag) || !id || strtok_r(NULL, BLANK, &rest) ||
        mr_hex_decode(device.client_id, sizeof device.client_id, id) != 0) {
        return mr_error_set(reading->error,
                            "%s:%u: must be a tag (a-z, 0-9, hyphens, the first a letter) and a "
                            "device's id of 32 hex digits, as its certificate has it",
                            reading->path, reading->line);
    }
    for (unsigned i = 0; i < reading->rollout->tags; i++) {
        if (strcmp(reading->rollout->tag[i], tag) == 0) {
            device.tags = (uint8_t)(1u << i);
            return add(reading, &device);
        }
    }
    return 0; /* of another task, or of a step that is not asked for now */
}

static int take_lines(struct reading *reading, FILE *file)
{
    char line[LINE_BYTES];
    while (fgets(line, sizeof line, file)) {
        reading->line++;
        if (strlen(line) == sizeof line - 1 && line[sizeof line - 2] != '\n') {
            return mr_error_set(reading->error, "%s:%u: a line of more than %d characters",
                                reading->path, reading->line, LINE_BYTES - 2);
        }
        if (take_line(reading, line) != 0) {
            return -1;
        }
    }
    return ferror(file)
               ? mr_error_set(reading->error, "cannot read %s: %s", reading->path, strerror(errno))
               : 0;
}

/* One entry a device, however many lines it has. */
static void merge(struct mr_device_tags *tags)
{
    size_t kept = 0;
    if (tags->count > 0) {
        qsort(tags->devices, tags->count, sizeof *tags->devices, compare);
    }
    for (size_t i = 0; i < tags->count; i++) {
        if (kept > 0 && compare(&tags->devices[kept - 1], &tags->devices[i]) == 0) {
            tags->devices[kept - 1].tags |= tags->devices[i].tags;
        } else {
            tags->devices[kept++] = tags->devices[i];
        }
    }
    tags->count = kept;
}

/* A tag of nobody would hold every release for ever. */
static int check_all_used(const struct reading *reading)
{
    uint8_t used = 0;
    for (size_t i = 0; i < reading->tags->count; i++) {
        used |= reading->tags->devices[i].tags;
    }
    for (unsigned i = 0; i < reading->rollout->tags; i++) {
        if ((used & 1u << i) == 0) {
            return mr_error_set(reading->error,
                                "%s: no device has the tag '%s' that rollout begins with: add one, "
                                "or take the tag out of rollout",
                                reading->path, reading->rollout->tag[i]);
        }
    }
    return 0;
}

int mr_device_tags_read(struct mr_device_tags *tags, const char *path,
                        const struct mr_config_rollout *rollout, struct mr_error *error)
{
    struct reading reading = {.tags = tags, .rollout = rollout, .path = path, .error = error};
    *tags = (struct mr_device_tags){.count = 0};
    FILE *file = fopen(path, "re");
    if (!file) {
        return mr_error_set(error, "cannot read %s: %s", path, strerror(errno));
    }
    int bad = take_lines(&reading, file);
    fclose(file);
    if (bad == 0) {
        merge(tags);
        bad = check_all_used(&reading);
    }
    if (bad != 0) {
        mr_device_tags_fini(tags);
    }
    return bad;
}

void mr_device_tags_fini(struct mr_device_tags *tags)
{
    free(tags->devices);
    *tags = (struct mr_device_tags){.count = 0};
}

uint8_t mr_device_tags_of(const struct mr_device_tags *tags,
                          const uint8_t client_id[MR_CLIENT_ID_BYTES])
{
    struct mr_device_tag key = {.tags = 0};
    memcpy(key.client_id, client_id, MR_CLIENT_ID_BYTES);
    const struct mr_device_tag *found =
        tags->count > 0 ? bsearch(&key, tags->devices, tags->count, sizeof *tags->devices, compare)
                        : NULL;
    return found ? found->tags : 0;
}
