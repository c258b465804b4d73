#include "edge-client/session/progress.h"

#include <string.h>

#include "edge-client/session/log.h"

static void tell(struct mre_client *client, const char *text)
{
    struct mre_progress *shown = &client->shown;
    if (!client->progress) {
        return;
    }
    shown->left_ms = shown->round ? mr_client_left_ms(client, client->deadline_unix_ms) : 0;
    shown->text = text;
    client->progress(client->progress_context, shown);
    shown->text = "";
}

void mr_progress_round(struct mre_client *client, const struct mr_announcement *round)
{
    memset(&client->shown, 0, sizeof client->shown);
    if (round) {
        client->shown.round = round->round;
        client->deadline_unix_ms = round->deadline_unix_ms;
    }
}

void mr_progress_phase(struct mre_client *client, enum mre_phase phase, uint64_t bytes_total)
{
    client->shown.phase = phase;
    client->shown.bytes_done = 0;
    client->shown.bytes_total = bytes_total;
    mr_log(client, MRE_LOG_DEBUG, client->shown.round, "%s", mre_phase_name(phase));
    tell(client, "");
}

void mr_progress_moved(struct mre_client *client, uint64_t bytes_done)
{
    client->shown.bytes_done = bytes_done;
    tell(client, "");
}

void mr_progress_again(struct mre_client *client, const char *why)
{
    mr_log(client, MRE_LOG_INFO, client->shown.round, "tried again: %s", why);
    tell(client, why);
}

void mre_client_watch(struct mre_client *client, mre_progress_fn progress, void *context)
{
    client->progress = progress;
    client->progress_context = context;
}

const char *mre_phase_name(enum mre_phase phase)
{
    static const char *const names[MRE_PHASES] = {
        [MRE_PHASE_WAITING] = "waiting",     [MRE_PHASE_PULLING] = "pulling",
        [MRE_PHASE_TRAINING] = "training",   [MRE_PHASE_SHARING] = "sharing",
        [MRE_PHASE_UPLOADING] = "uploading", [MRE_PHASE_COMMITTING] = "committing",
        [MRE_PHASE_ENDING] = "ending",
    };
    return (unsigned)phase < MRE_PHASES ? names[phase] : "unknown";
}
