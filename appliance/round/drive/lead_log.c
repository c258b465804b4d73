#include "appliance/round/drive/lead_log.h"

#include <stdlib.h>

/* 5: without the keys of receipts */
const struct mr_commit_log_form mr_lead_log_form = {.version = '6'};

int mr_lead_log_open(struct mr_commit_log **log, const struct mr_disk *disk,
                     struct mr_commit_read *newest, struct mr_error *error)
{
    uint8_t *content;
    size_t length;
    *newest = (struct mr_commit_read){.bytes = NULL};
    const int found =
        mr_commit_log_open(log, disk, "commit", &mr_lead_log_form, &content, &length, error);
    if (found != 0) {
        return found;
    }
    if (mr_commit_state_parse(newest, content, length, error) != 0) {
        free(content);
        mr_commit_log_close(*log);
        *log = NULL;
        return mr_error_prefix(error, "commit log");
    }
    newest->bytes = content;
    return 0;
}

int mr_lead_log_write(struct mr_commit_log *log, const struct mr_commit_state *state,
                      struct mr_error *error)
{
    uint8_t *content = mr_commit_log_reserve(log, mr_commit_state_bytes(state), error);
    if (!content) {
        return -1;
    }
    mr_commit_state_encode(content, state);
    return mr_commit_log_write(log, error);
}
