/* test_kills.c - a store's writer is killed, or its files may not grow, in the middle of a publish,
 * an import, a promote, a roll-back or a pass of retention: what was acknowledged is there, what
 * was under way is whole or not there at all, and no number goes back.
 *
 *   test_model_kills [KILLS]
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/sha.h>

#include "appliance/model/catalogue.h"
#include "appliance/model/retention.h"
#include "base/assert.h"
#include "tests/unit/appliance/storage/scratch.h"
#include "wire/safetensors.h"

#define KILLS  40u
#define VALUES 3000u

/* What the writer has been told is durable. */
struct told {
    uint64_t number;             /* of the current version */
    uint64_t champion, previous; /* 0: none */
    uint64_t deed;               /* how many were done */
};

static char data_dir[400];

static void give_up(const char *what, const char *why)
{
    fprintf(stderr, "FAILED: %s: %s\n", what, why);
    exit(1);
}

static uint8_t *model_of(uint64_t name, size_t *length, uint8_t hash[MR_HASH_BYTES])
{
    const struct mr_tensor tensor = {.name = "w", .dims = {VALUES}, .rank = 1, .count = VALUES};
    size_t header;
    uint8_t *bytes = mr_safetensors_header(&tensor, 1, &header);
    *length = header + 4 * VALUES;
    bytes = realloc(bytes, *length);
    MR_ASSERT(bytes);
    for (unsigned i = 0; i < VALUES; i++) {
        const float value = (float)name + (float)i / VALUES;
        memcpy(bytes + header + 4 * i, &value, 4);
    }
    SHA256(bytes, *length, hash);
    return bytes;
}

/* --- the writer ------------------------------------------------------------------------------- */

static int publish(struct mr_store *store, uint64_t name, struct mr_error *error)
{
    uint8_t hash[MR_HASH_BYTES];
    char manifest[200];
    size_t length;
    uint8_t *bytes = model_of(name, &length, hash);
    snprintf(manifest, sizeof manifest,
             "{\"round\": %llu, \"announcement_hash\": \"%064llu\", \"parent\": \"\"}",
             (unsigned long long)name, (unsigned long long)name);
    const int result = mr_store_write_model(store, hash, bytes, length, manifest, error) < 0 ||
                               mr_store_write_current(store, hash, error) != 0
                           ? -1
                           : 0;
    mr_store_adopt(store, hash);
    free(bytes);
    return result;
}

static int import(struct mr_store *store, uint64_t name, struct mr_error *error)
{
    uint8_t hash[MR_HASH_BYTES];
    struct mr_version version;
    struct mr_catalogue_wish wish = {.by = "me", .note = ""};
    uint8_t *bytes = model_of(name, &wish.length, hash);
    wish.bytes = bytes;
    const int result = mr_catalogue_make(store, &wish, &version, error);
    mr_store_adopt(store, version.hash);
    free(bytes);
    return result;
}

/* To the model of the champion. */
static int roll_back(struct mr_store *store, struct mr_error *error)
{
    struct mr_version version;
    struct mr_catalogue_wish wish = {.by = "me", .note = ""};
    const int found = mr_catalogue_find(store, MR_CHAMPION, &wish.source, error);
    if (found != 0) {
        return found < 0 ? -1 : 0;
    }
    const int result = mr_catalogue_make(store, &wish, &version, error);
    mr_store_adopt(store, version.hash);
    return result;
}

static int collect(struct mr_store *store, struct mr_error *error)
{
    static struct mr_survey survey;
    const struct mr_keep keep = {.limits = {[MR_STORED_MODELS] = {.count = 2}}};
    const struct mr_needed needed = {.models_count = 0};
    if (mr_store_survey(store, &keep, 0, &survey, error) != 0) {
        return -1;
    }
    mr_store_condemn(store, &survey, &needed);
    const int result = mr_store_remove(store, &survey, error);
    mr_store_acquit(store);
    return result;
}

static int promote(struct mr_store *store, struct mr_error *error)
{
    struct mr_version current;
    return mr_versions_current(mr_store_versions(store), &current, error) != 0
               ? -1
               : mr_versions_set_alias(mr_store_versions(store), MR_CHAMPION, current.number, "me",
                                       1, error);
}

static int do_one(struct mr_store *store, uint64_t deed, struct mr_error *error)
{
    switch (deed % 5) {
    case 0:
        return publish(store, deed + 1, error);
    case 1:
        return promote(store, error);
    case 2:
        return import(store, deed + 1, error);
    case 3:
        return collect(store, error);
    default:
        return roll_back(store, error);
    }
}

static void tell(const struct mr_store *store, struct told *told)
{
    struct mr_version current;
    struct mr_error error;
    MR_ASSERT(mr_versions_current(mr_store_versions(store), &current, &error) == 0);
    told->number = current.number;
    (void)mr_versions_alias(mr_store_versions(store), MR_CHAMPION, &told->champion, &error);
    (void)mr_versions_alias(mr_store_versions(store), MR_PREVIOUS, &told->previous, &error);
}

/* Goes on with the deed after the last one, and acknowledges each. */
static void write_for_ever(uint64_t deed, int to, const char *initial, rlim_t most)
{
    struct mr_store *store;
    struct mr_error error;
    const struct rlimit limit = {.rlim_cur = most, .rlim_max = RLIM_INFINITY};
    signal(SIGXFSZ, SIG_IGN);
    if (mr_store_open(&store, data_dir, initial, &error) != 0) {
        _exit(2);
    }
    if (most) {
        setrlimit(RLIMIT_FSIZE, &limit);
    }
    for (;;) {
        struct told told = {.deed = ++deed};
        if (do_one(store, deed - 1, &error) < 0) {
            _exit(3); /* as a hub stops */
        }
        tell(store, &told);
        if (write(to, &told, sizeof told) != sizeof told) {
            _exit(4);
        }
    }
}

/* --- the judge ---------------------------------------------------------------------------------
 */

static void check_faults(const struct mr_store *store)
{
    struct mr_error error = {""};
    size_t i;
    json_t *fault, *report = mr_catalogue_verify(store, &error);
    if (!report) {
        give_up("verify", error.text);
    }
    json_array_foreach(json_object_get(report, "faults"), i, fault) {
        if (!strstr(json_string_value(fault), "no version has it")) { /* a crash came between */
            give_up("verify", json_string_value(fault));
        }
    }
    json_decref(report);
}

/* What is there is what was told, or that and the whole of the next deed. */
static void judge(struct told *last, const char *initial)
{
    struct mr_store *store;
    struct mr_error error;
    struct told now = {.deed = last->deed};
    if (mr_store_open(&store, data_dir, initial, &error) != 0) {
        give_up("the store does not open", error.text);
    }
    tell(store, &now);
    check_faults(store);
    if (now.number != last->number && now.number != last->number + 1) {
        give_up("the current version", "is neither the one that was told nor the next");
    }
    const bool same = now.champion == last->champion && now.previous == last->previous;
    const bool next = now.champion == last->number && now.previous == last->champion;
    if (!same && !next) {
        give_up("aliases", "are neither those that were told nor the next ones");
    }
    mr_store_close(store);
    /* What was under way and came to its end counts as done. */
    if (now.number != last->number || !same) {
        now.deed++;
    }
    *last = now;
}

static unsigned rnd(unsigned below)
{
    static uint32_t seed = 7;
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % below;
}

static void kill_once(struct told *last, const char *initial, bool full)
{
    int ends[2];
    const unsigned after = rnd(7);
    const rlim_t most = full ? 1000 + rnd(60000) : 0;
    MR_ASSERT(pipe(ends) == 0);
    const pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        write_for_ever(last->deed, ends[1], initial, most);
    }
    close(ends[1]);
    struct told told;
    for (unsigned i = 0; (i < after || full) && read(ends[0], &told, sizeof told) == sizeof told;
         i++) {
        *last = told;
        if (i > 200) {
            break;
        }
    }
    for (volatile unsigned i = 0, most_turns = rnd(200000); i < most_turns; i++) {
    }
    kill(child, SIGKILL);
    while (read(ends[0], &told, sizeof told) == sizeof told) { /* told before it died */
        *last = told;
    }
    close(ends[0]);
    waitpid(child, NULL, 0);
    judge(last, initial);
}

int main(int argc, char **argv)
{
    const unsigned kills = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : KILLS;
    char *dir = scratch_open(), initial[500];
    uint8_t hash[MR_HASH_BYTES];
    size_t length;
    struct told last = {.number = 1};
    uint8_t *bytes = model_of(0, &length, hash);
    snprintf(data_dir, sizeof data_dir, "%s/data", dir);
    snprintf(initial, sizeof initial, "%s/initial", dir);
    FILE *file = fopen(initial, "wb");
    MR_ASSERT(file && fwrite(bytes, 1, length, file) == length && fclose(file) == 0);
    free(bytes);
    judge(&last, initial);
    for (unsigned i = 0; i < kills; i++) {
        kill_once(&last, initial, i % 4 == 3);
    }
    printf("%u ends, %llu deeds, version %llu: whole old or whole new\n", kills,
           (unsigned long long)last.deed, (unsigned long long)last.number);
    scratch_close(dir);
    return 0;
}
