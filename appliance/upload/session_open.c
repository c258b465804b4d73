/* session_open.c - the memory of all sessions that may ever be, made once. */
#include <stdlib.h>
#include <string.h>

#include "appliance/upload/session_internal.h"
#include "base/assert.h"

const struct mr_opener *mr_sessions_opener(const struct mr_sessions *sessions)
{
    return sessions->opener;
}

static int open_table(struct mr_sessions *sessions)
{
    const uint32_t count = sessions->config.sessions;

    sessions->table = aligned_alloc(128, count * sizeof *sessions->table);
    if (!sessions->table) {
        return -1;
    }
    memset(sessions->table, 0, count * sizeof *sessions->table);
    for (uint32_t i = 0; i < count; i++) {
        sessions->table[i].slot = MR_SLOT_NONE;
    }
    return 0;
}

int mr_sessions_open(struct mr_sessions **opened, const struct mr_sessions_config *config,
                     struct mr_upload_counters *counters, struct mr_error *error)
{
    MR_ASSERT(config->slots >= 1 && config->slots <= config->sessions);
    MR_ASSERT(config->sessions <= 1u << 24);
    struct mr_sessions *sessions = aligned_alloc(64, sizeof *sessions);
    *opened = NULL;
    if (!sessions) {
        return mr_error_set(error, "out of memory for upload sessions");
    }
    memset(sessions, 0, sizeof *sessions);
    sessions->config = *config;
    sessions->windows.window_max = config->window_max;
    sessions->counters = counters;
    sessions->event_capacity = config->slots + MR_BURST_MAX;
    sessions->events = calloc(sessions->event_capacity, sizeof *sessions->events);
    if (!sessions->events || open_table(sessions) != 0 ||
        mr_index_queue_open(&sessions->urgent, config->sessions) != 0 ||
        mr_index_queue_open(&sessions->lazy, config->sessions) != 0 ||
        mr_index_queue_open(&sessions->small, config->sessions) != 0 ||
        mr_index_queue_open(&sessions->whole, config->sessions) != 0 ||
        mr_index_queue_open(&sessions->waiting, config->sessions) != 0 ||
        mr_index_queue_open(&sessions->turns, config->sessions) != 0) {
        mr_sessions_close(sessions);
        return mr_error_set(error, "out of memory for %u upload sessions: lower slots_per_worker",
                            config->sessions);
    }
    /* Places for the keys of every session that may ever be: admitting only sets keys. */
    sessions->opener = mr_opener_open(config->opener, config->sessions, config->cpu_levels, error);
    sessions->sealer = sessions->opener ? mr_opener_open(config->opener, config->sessions,
                                                         config->cpu_levels, error)
                                        : NULL;
    if (!sessions->sealer ||
        mr_staging_open(&sessions->staging, config->slots, config->share_bytes_max, error) != 0) {
        mr_sessions_close(sessions);
        return -1;
    }
    *opened = sessions;
    return 0;
}

void mr_sessions_close(struct mr_sessions *sessions)
{
    if (!sessions) {
        return;
    }
    mr_opener_close(sessions->opener);
    mr_opener_close(sessions->sealer);
    mr_staging_close(&sessions->staging);
    free(sessions->table);
    free(sessions->urgent.items);
    free(sessions->lazy.items);
    free(sessions->small.items);
    free(sessions->whole.items);
    free(sessions->waiting.items);
    free(sessions->turns.items);
    free(sessions->events);
    free(sessions);
}
