#include "log_place.h"

#include <stdlib.h>

#include "tests/unit/appliance/storage/scratch.h"

static const struct world_options plain = {.ring_bits = 16,
                                           .dimension = 40,
                                           .hubs = 3,
                                           .cohort_min = 4,
                                           .quorum = 6,
                                           .deadline_ms = 10000};

int open_place(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    struct mr_error error = {.text = ""};
    place->world = world_open(&plain);
    world_begin(place->world, NULL);
    place->dir = scratch_open();
    assert_int_equal(mr_disk_file_open(&place->file, place->dir, &error), 0);
    place->disk = mr_disk_file_ops(place->file);
    *state = place;
    return 0;
}

int close_place(void **state)
{
    struct place *place = *state;
    mr_disk_file_close(place->file);
    scratch_close(place->dir);
    world_close(place->world);
    free(place);
    return 0;
}

/* --- a disk that fails ----------------------------------------------------------------------- */

static int failing_read(void *context, const char *name, uint8_t **bytes, size_t *length,
                        struct mr_error *error)
{
    const struct mr_disk *under = ((struct failing *)context)->under;
    return under->read(under->context, name, bytes, length, error);
}

static int failing_write(void *context, const char *name, const uint8_t *bytes, size_t length,
                         struct mr_error *error)
{
    struct failing *failing = context;
    if (failing->good_writes-- == 0) { /* torn: half of it is there */
        failing->under->write(failing->under->context, name, bytes, length / 2, error);
        return mr_error_set(error, "no space");
    }
    return failing->under->write(failing->under->context, name, bytes, length, error);
}

static int failing_append(void *context, const char *name, const uint8_t *bytes, size_t length,
                          struct mr_error *error)
{
    const struct mr_disk *under = ((struct failing *)context)->under;
    return under->append(under->context, name, bytes, length, error);
}

static int failing_sync(void *context, const char *name, struct mr_error *error)
{
    struct failing *failing = context;
    if (failing->good_syncs-- == 0) {
        return mr_error_set(error, "EIO");
    }
    return failing->under->sync(failing->under->context, name, error);
}

static int failing_wipe(void *context, const char *name, struct mr_error *error)
{
    const struct mr_disk *under = ((struct failing *)context)->under;
    return under->wipe(under->context, name, error);
}

struct mr_disk failing_disk(struct failing *failing)
{
    return (struct mr_disk){.context = failing,
                            .read = failing_read,
                            .write = failing_write,
                            .append = failing_append,
                            .sync = failing_sync,
                            .wipe = failing_wipe};
}
