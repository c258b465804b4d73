/* keeper_room.c - whether the disk has room for a round, and for the ones after it. */
#include <inttypes.h>

#include "appliance/round/drive/keeper_internal.h"
#include "appliance/storage/folder.h"

/* Warned of a disk that has room for fewer further rounds than that. */
#define ROUNDS_AHEAD 10u

/* What a record, a manifest and the folders' own growth take, and a device in set and logs. */
#define ROUND_EXTRA_BYTES  65536u
#define ROUND_DEVICE_BYTES 256u

uint64_t mr_keeper_round_bytes(uint64_t model_bytes, uint64_t share_bytes, uint32_t devices)
{
    return model_bytes + 3 * share_bytes + (uint64_t)devices * ROUND_DEVICE_BYTES +
           ROUND_EXTRA_BYTES;
}

bool mr_keeper_has_room(struct mr_keeper *keeper, uint64_t bytes, struct mr_refusal *refusal)
{
    uint64_t free_bytes, size_bytes;
    keeper->round_bytes = bytes;
    if (mr_folder_space(keeper->config.context->data_dir, &free_bytes, &size_bytes, NULL) != 0 ||
        free_bytes >= bytes) {
        return true;
    }
    mr_refuse(refusal, MR_REFUSAL_NO_ROOM,
              "the disk of data_dir has %" PRIu64 " bytes left, and a round may take %" PRIu64
              ": make room, or keep less (tasks.keep, tasks.round.audit_hours)",
              free_bytes, bytes);
    return false;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Of a kind that is kept up to `most`, so many rounds more leave that many files more. */
static uint64_t growth(uint32_t most, uint64_t files)
{
    const uint64_t left = files < most ? most - files : 0;
    return most == 0 ? ROUNDS_AHEAD : least(left, ROUNDS_AHEAD);
}

uint64_t mr_keeper_next_round_bytes(const struct mr_keeper *keeper)
{
    const struct mr_survey *survey = &keeper->survey;
    return keeper->round_bytes ? keeper->round_bytes
                               : mr_keeper_round_bytes(survey->model_bytes, survey->sum_bytes, 0);
}

/* A round, and what the next ones leave before removing makes up for it. */
static uint64_t bytes_ahead(const struct mr_keeper *keeper)
{
    const struct mr_survey *survey = &keeper->survey;
    const struct mr_config_keep *keep = keeper->config.context->keep;
    return mr_keeper_next_round_bytes(keeper) +
           growth(keep->models, survey->files[MR_STORED_MODELS]) * survey->model_bytes +
           growth(keep->sums, survey->files[MR_STORED_SUMS]) * survey->sum_bytes;
}

void mr_keeper_watch_space(struct mr_keeper *keeper)
{
    const struct mr_round_context *context = keeper->config.context;
    const bool low = keeper->size_bytes && keeper->free_bytes < bytes_ahead(keeper);
    if (low != keeper->low) {
        mr_log_event(context->log, low ? MR_LOG_WARN : MR_LOG_INFO, low ? "disk.low" : "disk.room",
                     "task=%s free_bytes=%" PRIu64 " wanted_bytes=%" PRIu64 " round_bytes=%" PRIu64,
                     context->task, keeper->free_bytes, bytes_ahead(keeper),
                     mr_keeper_next_round_bytes(keeper));
    }
    keeper->low = low;
}
