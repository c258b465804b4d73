#include "edge-client/session/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "edge-client/files/files.h"
#include "edge-client/session/ledger_text.h"

/* --- the file -------------------------------------------------------------------------------- */

static int name_file(char path[4096], const char *data_dir, const char *name,
                     struct mr_error *error)
{
    const int n = snprintf(path, 4096, "%s/%s", data_dir, name);
    return n < 0 || n + 16 >= 4096 ? mr_error_set(error, "data_dir: the path is too long") : 0;
}

/* Its text, malloc'd; NULL where there is none yet (0), or with an error (-1). */
static int load(const char *path, char **text, size_t *length, struct mr_error *error)
{
    *text = NULL;
    *length = 0;
    if (access(path, F_OK) && errno == ENOENT) {
        return 0;
    }
    struct mr_error cause = {.text = ""};
    *text = mr_file_text(path, MR_LEDGER_BYTES_MAX, length, &cause);
    return *text ? 0 : mr_error_set(error, "%s: %s", path, cause.text);
}

/* Never guessed: starting again at attempt 0 could use a number twice, and a model that is
 * forgotten could count this device twice. */
static int damaged(const char *path, const struct mr_error *cause, struct mr_error *error)
{
    return mr_error_set(error,
                        "%s: damaged (%.200s); it says which attempts were made, and on which "
                        "models this device was counted. `millrace-edge state-reset --config FILE` "
                        "mends it and says what that costs",
                        path, cause->text);
}

static void name_aside(char aside[4096 + 16], const char *path)
{
    snprintf(aside, 4096 + 16, "%s.damaged", path);
}

/* The highest plausible round that the file names; 0: none, or it cannot be read. */
static uint64_t salvage(const char *path)
{
    struct mr_error ignored;
    char *text;
    size_t length;
    const bool read = load(path, &text, &length, &ignored) == 0 && text;
    const uint64_t finished = read ? mr_ledger_salvage(text) : 0;
    free(text);
    return finished;
}

/* A new device; or one whose state went while it was being mended, and which forgot as much as one
 * that was mended. */
static void begin(struct mr_ledger *ledger)
{
    char aside[4096 + 16];
    name_aside(aside, ledger->path);
    if (access(aside, F_OK) == 0 || errno != ENOENT) {
        ledger->unknown = true;
        ledger->finished = salvage(aside);
    }
}

static int read_state(struct mr_ledger *ledger, struct mr_error *error)
{
    struct mr_error cause = {.text = "it is empty"};
    char *text;
    size_t length;
    if (load(ledger->path, &text, &length, error)) {
        return -1;
    }
    if (!text) {
        begin(ledger);
        return 0;
    }
    const int bad = length == 0 || mr_ledger_parse(ledger, text, length, &cause);
    free(text);
    return bad ? damaged(ledger->path, &cause, error) : 0;
}

int mr_ledger_open(struct mr_ledger *ledger, const char *data_dir, struct mr_error *error)
{
    memset(ledger, 0, sizeof *ledger);
    return name_file(ledger->path, data_dir, "state.json", error) || read_state(ledger, error) ? -1
                                                                                               : 0;
}

static int save(const struct mr_ledger *ledger, struct mr_error *error)
{
    char *text = mr_ledger_text(ledger);
    if (!text) {
        return mr_error_set(error, "out of memory for %s", ledger->path);
    }
    const struct iovec whole = {text, strlen(text)};
    const int bad = mr_file_renew(ledger->path, &whole, 1);
    const int why = errno;
    free(text);
    if (bad) {
        return mr_error_set(error,
                            "%s cannot be written: %s; without it an attempt might be used "
                            "twice. Make room or repair data_dir",
                            ledger->path, strerror(why));
    }
    return 0;
}

/* --- attempts -------------------------------------------------------------------------------- */

int mr_ledger_attempt(struct mr_ledger *ledger, uint64_t round, uint32_t *attempt,
                      struct mr_error *error)
{
    if (round < ledger->round) {
        return mr_error_set(error,
                            "round %" PRIu64 " is older than round %" PRIu64
                            ", in which attempts were made: their numbers would come back",
                            round, ledger->round);
    }
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

/* --- models ---------------------------------------------------------------------------------- */

static bool same_round(const struct mr_counted *a, const struct mr_counted *b)
{
    return memcmp(a->parent, b->parent, MR_HASH_BYTES) == 0 &&
           memcmp(a->announcement, b->announcement, MR_HASH_BYTES) == 0;
}

/* Another round on that parent; NULL: none. */
static const struct mr_counted *find(const struct mr_ledger *ledger,
                                     const struct mr_counted *wanted)
{
    for (unsigned i = 0; i < ledger->counted_count; i++) {
        const struct mr_counted *entry = &ledger->counted[i];
        if (memcmp(entry->parent, wanted->parent, MR_HASH_BYTES) == 0 &&
            !same_round(entry, wanted)) {
            return entry;
        }
    }
    return NULL;
}

static void add(struct mr_ledger *ledger, const struct mr_counted *entry)
{
    if (ledger->counted_count == MR_LEDGER_COUNTED_MAX) {
        memmove(ledger->counted, ledger->counted + 1,
                (MR_LEDGER_COUNTED_MAX - 1) * sizeof *ledger->counted);
        ledger->counted_count--;
    }
    ledger->counted[ledger->counted_count++] = *entry;
}

/* That model may be one of those that were lost. */
static struct mr_counted lost_with(const struct mr_counted *wanted)
{
    struct mr_counted lost = {.round = 0};
    memcpy(lost.parent, wanted->parent, MR_HASH_BYTES);
    memcpy(lost.task, wanted->task, sizeof lost.task);
    return lost;
}

/* The first model after a loss stands for those that were lost with it. */
static int settle_unknown(struct mr_ledger *ledger, const struct mr_counted *wanted,
                          struct mr_error *error)
{
    if (!ledger->unknown) {
        return 0;
    }
    const struct mr_counted lost = lost_with(wanted);
    add(ledger, &lost);
    ledger->unknown = false;
    return save(ledger, error);
}

/* What a sibling lost stands against every model, until that sibling's task has seen one. It may
 * settle on another than this: so this one is written down here, and stays refused after that. 1
 * with the obstacle, or -1. */
static int lost_by_sibling(struct mr_ledger *ledger, const struct mr_counted *wanted,
                           struct mr_ledger_obstacle *obstacle, struct mr_error *error)
{
    const struct mr_counted lost = lost_with(wanted);
    add(ledger, &lost);
    *obstacle = (struct mr_ledger_obstacle){.counted = lost, .own = false};
    return save(ledger, error) ? -1 : 1;
}

/* 1 with the obstacle where a sibling remembers one, or may have forgotten one. */
static int ask_siblings(struct mr_ledger *ledger, const struct mr_counted *wanted,
                        struct mr_ledger_obstacle *obstacle, struct mr_error *error)
{
    for (unsigned i = 0; i < ledger->sibling_count; i++) {
        struct mr_ledger sibling;
        if (mr_ledger_open(&sibling, ledger->siblings[i], error)) {
            return -1;
        }
        const struct mr_counted *entry = find(&sibling, wanted);
        if (entry) {
            *obstacle = (struct mr_ledger_obstacle){.counted = *entry, .own = false};
            return 1;
        }
        if (sibling.unknown) {
            return lost_by_sibling(ledger, wanted, obstacle, error);
        }
    }
    return 0;
}

int mr_ledger_obstacle(struct mr_ledger *ledger, const struct mr_counted *wanted,
                       struct mr_ledger_obstacle *obstacle, struct mr_error *error)
{
    if (settle_unknown(ledger, wanted, error)) {
        return -1;
    }
    const struct mr_counted *entry = find(ledger, wanted);
    if (entry) {
        *obstacle = (struct mr_ledger_obstacle){.counted = *entry, .own = true};
        return 1;
    }
    return ask_siblings(ledger, wanted, obstacle, error);
}

/* Between two tasks of one device, both of which ask first and remember then: whichever folder's
 * name comes first has the lock of all. -1: there is none to take. */
static int lock_siblings(const struct mr_ledger *ledger, struct mr_error *error)
{
    char own[4096], path[4096];
    const char *first = own;
    snprintf(own, sizeof own, "%s", ledger->path);
    *strrchr(own, '/') = 0;
    for (unsigned i = 0; i < ledger->sibling_count; i++) {
        first = strcmp(ledger->siblings[i], first) < 0 ? ledger->siblings[i] : first;
    }
    if (name_file(path, first, "counted.lock", error)) {
        return -1;
    }
    const int fd =
        mr_fd_above_standard(open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (fd < 0 || flock(fd, LOCK_EX)) {
        mr_error_set(error, "%s: %s", path, strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    return fd;
}

bool mr_ledger_has(const struct mr_ledger *ledger, const struct mr_counted *counted)
{
    for (unsigned i = 0; i < ledger->counted_count; i++) {
        if (same_round(&ledger->counted[i], counted)) {
            return true;
        }
    }
    return false;
}

static struct mr_spent *spent_of(struct mr_ledger *ledger, const char *pool)
{
    for (unsigned i = 0; i < ledger->spent_count; i++) {
        if (strcmp(ledger->spent[i].pool, pool) == 0) {
            return &ledger->spent[i];
        }
    }
    return NULL;
}

static int spend(struct mr_ledger *ledger, const struct mr_counted *counted, struct mr_error *error)
{
    if (!counted->pool[0]) {
        return 0;
    }
    struct mr_spent *spent = spent_of(ledger, counted->pool);
    if (!spent && ledger->spent_count == MR_LEDGER_POOLS_MAX) {
        return mr_error_set(error, "%s has %d pools of privacy already, none is free for %s",
                            ledger->path, MR_LEDGER_POOLS_MAX, counted->pool);
    }
    if (!spent) {
        spent = &ledger->spent[ledger->spent_count++];
        *spent = (struct mr_spent){.rho = 0};
        memcpy(spent->pool, counted->pool, sizeof spent->pool);
    }
    spent->rho = mr_rho_add(spent->rho, counted->rho);
    return 0;
}

int mr_ledger_spent(const struct mr_ledger *ledger, const char *pool, mr_rho *spent,
                    struct mr_error *error)
{
    struct mr_ledger own = *ledger;
    const struct mr_spent *found = spent_of(&own, pool);
    *spent = found ? found->rho : 0;
    for (unsigned i = 0; i < ledger->sibling_count; i++) {
        struct mr_ledger sibling;
        if (mr_ledger_open(&sibling, ledger->siblings[i], error)) {
            return -1;
        }
        found = spent_of(&sibling, pool);
        *spent = mr_rho_add(*spent, found ? found->rho : 0);
    }
    return 0;
}

static int claim(struct mr_ledger *ledger, const struct mr_counted *wanted,
                 struct mr_ledger_obstacle *obstacle, struct mr_error *error)
{
    const int found = mr_ledger_obstacle(ledger, wanted, obstacle, error);
    if (found) {
        return found;
    }
    if (mr_ledger_has(ledger, wanted)) {
        return 0;
    }
    if (spend(ledger, wanted, error)) {
        return -1;
    }
    add(ledger, wanted);
    return save(ledger, error);
}

int mr_ledger_claim(struct mr_ledger *ledger, const struct mr_counted *wanted,
                    struct mr_ledger_obstacle *obstacle, struct mr_error *error)
{
    if (!ledger->sibling_count) {
        return claim(ledger, wanted, obstacle, error);
    }
    const int lock = lock_siblings(ledger, error);
    if (lock < 0) {
        return -1;
    }
    const int result = claim(ledger, wanted, obstacle, error);
    mr_lock_release(lock);
    return result;
}

int mr_ledger_clear(struct mr_ledger *ledger, const struct mr_counted *counted,
                    struct mr_error *error)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < ledger->counted_count; i++) {
        const struct mr_counted entry = ledger->counted[i];
        if (!same_round(&entry, counted)) {
            ledger->counted[kept++] = entry;
            continue;
        }
        struct mr_spent *spent = spent_of(ledger, entry.pool);
        if (spent && spent->rho != MR_RHO_MAX && spent->rho >= entry.rho) {
            spent->rho -= entry.rho;
        }
    }
    ledger->counted_count = kept;
    return save(ledger, error);
}

/* --- the way back ---------------------------------------------------------------------------- */

/* For folders without hard links. 0, or -1 with errno. */
static int copy_file(const char *from, const char *to)
{
    char block[4096];
    const int in = open(from, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    const int out = in < 0 ? -1 : mr_file_create(to);
    ssize_t got = out < 0 ? -1 : 0;
    while (out >= 0 && (got = read(in, block, sizeof block)) != 0) {
        if ((got < 0 && errno != EINTR) || (got > 0 && mr_fd_write_all(out, block, (size_t)got))) {
            got = -1;
            break;
        }
    }
    int bad = got != 0 || fsync(out);
    const int why = errno;
    if (in >= 0) {
        close(in);
    }
    if (out >= 0) {
        close(out);
    }
    errno = why;
    return bad ? -1 : 0;
}

/* A second name for the damaged file. It keeps its first one until a whole file has replaced it: a
 * name that is missing would be a new device's, which remembers nothing. */
static int set_aside(const char *path, struct mr_error *error)
{
    char aside[4096 + 16];
    name_aside(aside, path);
    if ((unlink(aside) && errno != ENOENT) || (link(path, aside) && copy_file(path, aside))) {
        return mr_error_set(error, "%s: %s", aside, strerror(errno));
    }
    return 0;
}

/* Attempts of a later round than the next would refuse the next. */
static int go_on_after(struct mr_ledger *ledger, uint64_t finished, struct mr_error *error)
{
    ledger->finished = finished;
    if (ledger->round > finished + 1) {
        ledger->round = 0;
        ledger->attempts = 0;
    }
    return save(ledger, error);
}

int mr_ledger_reset(struct mr_ledger *ledger, const char *data_dir, const uint64_t *finished,
                    struct mr_error *error)
{
    struct mr_ledger fresh = {.unknown = true};
    struct mr_error why;
    if (mr_ledger_open(ledger, data_dir, &why) == 0) { /* whole: only what was asked for changes */
        return finished ? go_on_after(ledger, *finished, error) : 0;
    }
    if (name_file(fresh.path, data_dir, "state.json", error)) {
        return -1;
    }
    fresh.finished = finished ? *finished : salvage(fresh.path);
    if (set_aside(fresh.path, error)) {
        return -1;
    }
    *ledger = fresh;
    return save(ledger, error);
}
