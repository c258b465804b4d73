#include "appliance/cli/audit_plan.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "appliance/privacy/kept.h"
#include "appliance/storage/folder.h"
#include "wire/keys.h"
#include "wire/layout.h"
#include "wire/quantiser.h"

#define HOUR_MS UINT64_C(3600000)
#define MIB     (UINT64_C(1) << 20)

struct audit_plan {
    uint64_t round_bytes, rounds;
};

static bool make(struct audit_plan *plan, const struct mr_hub_config *config,
                 const struct mr_config_task *task)
{
    const struct mr_config_round *round = &task->round;
    const uint8_t rotation_log2 = round->rotation_log2 == MR_ROTATION_AUTO
                                      ? mr_quantiser_rotation_log2(task->dimension)
                                      : round->rotation_log2;
    struct mr_layout layout;
    if (round->audit_hours == 0 || mr_layout_init(&layout, round->ring_bits, task->dimension,
                                                  rotation_log2, round->chunk_bytes) != 0) {
        return false;
    }
    const uint64_t material =
        mr_hub_config_leads(config, task) ? (uint64_t)layout.share_bytes : MR_SEED_BYTES;
    const uint64_t hours_ms = round->audit_hours * HOUR_MS;
    plan->round_bytes = mr_kept_bytes(material, round->quorum);
    plan->rounds = hours_ms / round->deadline_ms + 1;
    return true;
}

json_t *mr_cli_audit_plan(const struct mr_hub_config *config, const struct mr_config_task *task)
{
    struct audit_plan plan;
    if (!make(&plan, config, task)) {
        return NULL;
    }
    const uint64_t bytes = plan.rounds * plan.round_bytes;
    return json_pack("{s:I, s:I, s:I, s:I}", "audit_hours", (json_int_t)task->round.audit_hours,
                     "round_bytes", (json_int_t)plan.round_bytes, "rounds_at_deadline",
                     (json_int_t)plan.rounds, "bytes_at_deadline", (json_int_t)bytes);
}

/* The hub makes its folder at the first start: then the one that it will be in. */
static bool free_of(const char *data_dir, uint64_t *free_bytes)
{
    struct mr_error ignored;
    uint64_t size_bytes;
    char above[PATH_MAX];
    const char *end = strrchr(data_dir, '/');
    if (access(data_dir, F_OK) != 0 && end && end > data_dir) {
        snprintf(above, sizeof above, "%.*s", (int)(end - data_dir), data_dir);
        data_dir = above;
    }
    return mr_folder_space(data_dir, free_bytes, &size_bytes, &ignored) == 0;
}

bool mr_cli_audit_warning(struct mr_error *warning, const struct mr_hub_config *config,
                          const struct mr_config_task *task)
{
    struct audit_plan plan;
    uint64_t free_bytes;
    if (!make(&plan, config, task) || !free_of(config->data_dir, &free_bytes)) {
        return false;
    }
    const uint64_t rounds = task->round.automatic ? plan.rounds : 1;
    if (rounds * plan.round_bytes <= free_bytes) {
        return false;
    }
    mr_error_set(warning,
                 "audit_hours %u keeps %" PRIu64 " MiB of a round of %u devices, %" PRIu64
                 " MiB of the %" PRIu64 " round(s) of these hours, and data_dir has %" PRIu64
                 " MiB free: choose fewer audit_hours, a longer deadline_ms or a larger disk",
                 task->round.audit_hours, plan.round_bytes / MIB, task->round.quorum,
                 rounds * plan.round_bytes / MIB, rounds, free_bytes / MIB);
    return true;
}
