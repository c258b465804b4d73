#include "appliance/cli/patience.h"

#include <time.h>

#include "appliance/cli/cell.h"

/* A hub that is away is tried this often. */
#define RETRY_MS 500

void mr_patience_pause(uint32_t ms)
{
    const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&time, NULL);
}

void mr_patience_say(const struct mr_ask *ask, const char *what, const char *why)
{
    FILE *err = ask->cli->err;
    fprintf(err, "millrace: %s%s", what, *why != '\0' ? ": " : "");
    mr_cell_put_clean(err, why, "");
    fputc('\n', err);
    fflush(err);
}

/* Whether it is worth asking again, after a pause. */
static bool passes_by(const struct mr_ask *ask, int code)
{
    return code == MR_EXIT_UNREACHABLE ||
           (code == MR_EXIT_REFUSED &&
            (ask->refusal.code == MR_REFUSAL_BUSY || ask->refusal.code == MR_REFUSAL_RATE_LIMITED));
}

int mr_patience_get(struct mr_ask *ask, const char *path, unsigned wait_ms, json_t **answer)
{
    bool waits = false;
    for (;;) {
        *answer = NULL;
        int code = ask->client ? MR_EXIT_OK : mr_ask_reconnect(ask);
        if (code == MR_EXIT_OK) {
            code = mr_ask_quietly(ask, path, wait_ms, answer);
        }
        if (!passes_by(ask, code)) {
            if (waits && code == MR_EXIT_OK) {
                mr_patience_say(ask, "the hub answers again", "");
            }
            return code;
        }
        if (!waits) {
            mr_patience_say(ask, "waiting for the hub", ask->error.text);
            waits = true;
        }
        mr_patience_pause(RETRY_MS);
    }
}
