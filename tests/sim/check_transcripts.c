/* check_transcripts.c - whatever crashes honest hubs went through, an audit of their transcripts
 * finds nothing: no hub is accused that has not lied. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/privacy/audit.h"
#include "base/assert.h"
#include "tests/sim/check_internal.h"
#include "tests/sim/control.h"
#include "tests/sim/disk_internal.h"

#define FILES_MAX 4096

struct gathered {
    struct mr_audit_file *files;
    struct mr_audit_key keys[SIM_HUBS];
    unsigned files_count, keys_count;
};

/* False: it has lost a disk, and with it what the others remember, or nobody has recovered it from
 * a copy. */
static bool gather(struct gathered *all, struct sim *sim, unsigned hub)
{
    const struct sim_node *node = sim_hub_node(sim, hub);
    const struct sim_disk *disk = node->disk;
    struct mr_audit_key *key = &all->keys[all->keys_count++];
    key->hub = (uint16_t)(SIM_HUB_INDEX + hub);
    memcpy(key->public_key, sim->hub_keys[hub].open, MR_PUBLIC_KEY_BYTES);
    for (unsigned i = 0; i < disk->entry_count; i++) {
        const struct entry *entry = &disk->entries[i];
        if (entry->cached && strstr(entry->name, "/transcript/")) {
            MR_ASSERT(all->files_count < FILES_MAX);
            all->files[all->files_count++] =
                (struct mr_audit_file){.name = entry->name,
                                       .bytes = entry->cached->cached.bytes,
                                       .length = entry->cached->cached.length};
        }
    }
    return !node->new_disk && !node->older;
}

void sim_check_transcripts(struct sim *sim)
{
    struct gathered all = {.files = calloc(FILES_MAX, sizeof *all.files)};
    struct mr_audit_result result;
    struct mr_error error;
    bool whole = sim->options.mutant == SIM_MUTANT_NONE && !sim->result.failed;
    MR_ASSERT(all.files);
    for (unsigned i = 0; i < sim->plan.hubs; i++) {
        whole = gather(&all, sim, i) && whole;
    }
    if (whole &&
        mr_audit(&result, all.files, all.files_count, all.keys, all.keys_count, &error) == 0) {
        if (!result.good) {
            sim_broken(sim,
                       "an audit accuses hub %d (%s, record %" PRIu64 ", round %" PRIu64 "): %s",
                       result.hub, result.file ? result.file : "", result.sequence, result.round,
                       result.what);
        }
        sim->result.totals.audited += result.good;
    }
    free(all.files);
}
