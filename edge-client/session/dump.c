#include "edge-client/session/dump.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "edge-client/files/files.h"

#define HEADER_BYTES 80

static void put(uint8_t *out, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        out[i] = (uint8_t)(value >> 8 * i);
    }
}

int mr_dump_write(const struct mre_client *client, const struct mr_round_work *work,
                  uint32_t attempt, const int8_t *q, const uint32_t *trailer,
                  struct mr_error *error)
{
    char path[4096];
    char fresh[4096];
    uint8_t header[HEADER_BYTES] = "MRDUMP01";
    const struct mr_layout *layout = &work->terms.layout;
    snprintf(path, sizeof path, "%s/%s-%s-r%" PRIu64 "-a%u.bin", client->dump_dir, client->id,
             client->task, work->terms.announcement.round, attempt);
    snprintf(fresh, sizeof fresh, "%s/.%s-%s.new", client->dump_dir, client->id, client->task);
    put(header + 8, work->terms.announcement.round, 8);
    put(header + 16, attempt, 4);
    put(header + 20, layout->dimension, 4);
    put(header + 24, layout->lanes, 4);
    memcpy(header + 32, client->identity.client_id, MR_CLIENT_ID_BYTES);
    memcpy(header + 48, work->terms.hash, MR_HASH_BYTES);

    FILE *file = mr_file_create_stream(fresh);
    if (!file) {
        return mr_error_set(error, "--dump-dir: %s: %s", fresh, strerror(errno));
    }
    fwrite(header, 1, sizeof header, file);
    fwrite(q, 1, layout->lanes, file);
    fwrite(trailer, sizeof *trailer, work->terms.layout.trailer_lanes, file);
    fwrite(work->delta, sizeof *work->delta, layout->dimension, file);
    int bad = ferror(file);
    if (fclose(file) || bad || rename(fresh, path)) {
        return mr_error_set(error, "--dump-dir: %s: %s", path, strerror(errno));
    }
    return 0;
}
