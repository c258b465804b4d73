#include "edge-client/session/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/json_reader.h"
#include "edge-client/files/files.h"

#define LEDGER_BYTES_MAX 4096

static int parse(struct mr_ledger *ledger, const char *text, size_t length, struct mr_error *error)
{
    struct mr_json_reader reader;
    mr_json_reader_open(&reader, text, length, error);
    ledger->finished = mr_json_take_integer(&reader, "finished", 0, INT64_MAX);
    ledger->round = mr_json_take_integer(&reader, "round", 0, INT64_MAX);
    ledger->attempts = (uint32_t)mr_json_take_integer(&reader, "attempts", 0, UINT32_MAX);
    return mr_json_reader_close(&reader);
}

int mr_ledger_open(struct mr_ledger *ledger, const char *data_dir, struct mr_error *error)
{
    char text[LEDGER_BYTES_MAX];
    memset(ledger, 0, sizeof *ledger);
    int n = snprintf(ledger->path, sizeof ledger->path, "%s/state.json", data_dir);
    if (n < 0 || (size_t)n + 4 >= sizeof ledger->path) {
        return mr_error_set(error, "data_dir: the path is too long");
    }
    int fd = open(ledger->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        return 0;
    }
    if (fd < 0) {
        return mr_error_set(error, "%s: %s", ledger->path, strerror(errno));
    }
    ssize_t got;
    do {
        got = read(fd, text, sizeof text);
    } while (got < 0 && errno == EINTR);
    const int why = errno;
    close(fd);
    if (got < 0) {
        return mr_error_set(error, "%s: %s", ledger->path, strerror(why));
    }
    struct mr_error cause = {.text = "it is empty"};
    /* Never guessed: starting again at attempt 0 could use a number twice. */
    if (got == 0 || parse(ledger, text, (size_t)got, &cause)) {
        return mr_error_set(error,
                            "%s: damaged (%.200s); it says which attempts were made. Remove it "
                            "only if this device's current round is over",
                            ledger->path, cause.text);
    }
    return 0;
}

static int sync_folder(const char *path)
{
    char folder[4096];
    snprintf(folder, sizeof folder, "%s", path);
    *strrchr(folder, '/') = 0;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int bad = fd < 0 || fsync(fd);
    if (fd >= 0) {
        close(fd);
    }
    return bad;
}

static int save(const struct mr_ledger *ledger, struct mr_error *error)
{
    char text[160];
    char fresh[sizeof ledger->path + 4];
    int length = snprintf(
        text, sizeof text, "{\"finished\": %llu, \"round\": %llu, \"attempts\": %u}\n",
        (unsigned long long)ledger->finished, (unsigned long long)ledger->round, ledger->attempts);
    snprintf(fresh, sizeof fresh, "%s.new", ledger->path);
    int fd = mr_file_create(fresh);
    int bad = fd < 0 || write(fd, text, (size_t)length) != length || fsync(fd);
    if (fd >= 0) {
        bad |= close(fd);
    }
    if (bad || rename(fresh, ledger->path) || sync_folder(ledger->path)) {
        return mr_error_set(error,
                            "%s cannot be written: %s; without it an attempt might be used "
                            "twice. Make room or repair data_dir",
                            ledger->path, strerror(errno));
    }
    return 0;
}

int mr_ledger_attempt(struct mr_ledger *ledger, uint64_t round, uint32_t *attempt,
                      struct mr_error *error)
{
    if (ledger->round != round) {
        ledger->round = round;
        ledger->attempts = 0;
    }
    *attempt = ledger->attempts++;
    return save(ledger, error);
}

int mr_ledger_finish(struct mr_ledger *ledger, uint64_t round, struct mr_error *error)
{
    ledger->finished = round;
    return save(ledger, error);
}
