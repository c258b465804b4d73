/* test_slot_kills.c - whoever pulls and installs is killed before any of its calls that change a
 * folder, or its files may not grow: what the application opens is a whole model, old or new, of
 * the number type that it was installed in; what was acknowledged is there; nothing goes back that
 * nobody put back.
 *
 *   test_slot_kills [KILLS]
 */
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/sha.h>

#include "base/assert.h"
#include "edge-client/files/files.h"
#include "edge-client/release/slots.h"

#define KILLS  60u
#define BYTES  20000u
#define HEAD   128u
#define VALUES ((BYTES - HEAD) / 4)
#define PIECE  1000u

/* What a deed has acknowledged. Deeds of a release: pulled, installed, and judged: kept, but each
 * third put back. */
struct told {
    uint64_t release; /* under way */
    unsigned step;    /* of it that was done last: 0 pulled, 1 installed, 2 judged */
    uint64_t active;  /* FILE leads to that one; 0: there is none */
    uint64_t before;  /* the other copy */
};

static char path[300];

/* --- calls, counted (the linker leads them here) ------------------------------------------------
 */

static unsigned calls_at_first;
static unsigned calls_left; /* the process dies before the last of them; 0: it does not */

static void count_call(void)
{
    if (calls_left > 0 && --calls_left == 0) {
        raise(SIGKILL);
    }
}

int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to)
{
    count_call();
    return __real_rename(from, to);
}

int __real_symlink(const char *target, const char *name);
int __wrap_symlink(const char *target, const char *name);
int __wrap_symlink(const char *target, const char *name)
{
    count_call();
    return __real_symlink(target, name);
}

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
    count_call();
    return __real_fsync(fd);
}

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_fdatasync(int fd)
{
    count_call();
    return __real_fdatasync(fd);
}

/* The state is overwritten where it stands: a process that dies there, as a machine that loses its
 * power, may leave any part of it. */
ssize_t __real_write(int fd, const void *bytes, size_t length);
ssize_t __wrap_write(int fd, const void *bytes, size_t length);
ssize_t __wrap_write(int fd, const void *bytes, size_t length)
{
    if (calls_left == 1) {
        (void)!__real_write(fd, bytes, length * (calls_at_first % 8) / 8);
    }
    count_call();
    return __real_write(fd, bytes, length);
}

static void give_up(const char *what, const char *why)
{
    fprintf(stderr, "FAILED: %s: %s\n", what, why);
    exit(1);
}

/* Each number is the same in all types. */
static float value_of(uint64_t release, unsigned i)
{
    return (float)(i == 0 ? release % 200 : i == 1 ? release / 200 : (release * 31 + i) % 251);
}

static enum mre_number_type type_of(uint64_t release)
{
    return (enum mre_number_type)(release / 2 % 3);
}

static void model_of(uint8_t bytes[BYTES], uint64_t release, uint8_t hash[MR_HASH_BYTES])
{
    const uint64_t length =
        HEAD - 8; /* little-endian, as the machines are that this is tested on */
    char text[HEAD];
    memset(bytes, ' ', HEAD);
    memcpy(bytes, &length, sizeof length);
    const int size = snprintf(text, sizeof text,
                              "{\"w\":{\"dtype\":\"F32\",\"shape\":[%u],\"data_offsets\":[0,%u]}}",
                              VALUES, VALUES * 4);
    memcpy(bytes + 8, text, (size_t)size);
    for (unsigned i = 0; i < VALUES; i++) {
        const float value = value_of(release, i);
        memcpy(bytes + HEAD + i * sizeof value, &value, sizeof value);
    }
    SHA256(bytes, BYTES, hash);
}

/* --- the device ------------------------------------------------------------------------------- */

/* In pieces, over what a fetch before has left; every other one at once, as by delta. */
static int write_model(const struct mr_slots *slots, enum mr_slot into, const uint8_t bytes[BYTES])
{
    char file[MR_SLOTS_PATH_BYTES];
    bool made = false;
    mr_slots_path(file, slots, into);
    const int fd = into == MR_SLOT_PART ? open(file, O_CREAT | O_WRONLY, 0600)
                                        : mr_file_create_over(file, BYTES, &made);
    int bad = fd < 0;
    for (unsigned at = 0; !bad && at < BYTES; at += PIECE) {
        bad = pwrite(fd, bytes + at, PIECE, at) != PIECE;
    }
    bad = bad || fsync(fd) != 0 || (made && mr_name_sync(file) != 0);
    if (fd >= 0) {
        close(fd);
    }
    return bad ? -1 : 0;
}

static int pull(struct mr_slots *slots, uint64_t release, struct mr_error *error)
{
    static uint8_t bytes[BYTES];
    struct mr_slot_model model = {.known = true, .version = {.round = release}};
    const enum mr_slot into = release % 2 == 0 || mr_slots_next(slots) ? MR_SLOT_PART : slots->next;
    model_of(bytes, release, model.model);
    memcpy(model.manifest, model.model, MR_HASH_BYTES);
    mr_slots_raise(slots, &model.version, model.manifest);
    return write_model(slots, into, bytes) != 0 ? -1 : mr_slots_pulled(slots, &model, into, error);
}

static bool is_good(uint64_t release)
{
    return release % 3 != 0;
}

static int do_step(struct mr_slots *slots, const struct told *told, struct mr_error *error)
{
    switch (told->step) {
    case 0:
        return pull(slots, told->release, error);
    case 1: {
        const enum mre_number_type type = type_of(told->release);
        return mr_slots_install(slots, type == MRE_F32 ? NULL : &type,
                                told->release % 6 == 1 /* nobody judges it */, error);
    }
    default:
        return is_good(told->release) ? mr_slots_confirm(slots, MR_RELEASE_KEPT, error)
                                      : mr_slots_go_back(slots, error);
    }
}

/* What is so when that step is done. */
static struct told after(struct told told)
{
    if (told.step == 1) {
        told.before = told.active;
        told.active = told.release;
    } else if (told.step == 2 && !is_good(told.release) && told.before != 0) {
        const uint64_t back = told.before;
        told.before = told.active;
        told.active = back;
    }
    return told;
}

static struct told next_of(struct told told)
{
    told.release += told.step == 2;
    told.step = told.step == 2 ? 0 : told.step + 1;
    return told;
}

static void work_for_ever(struct told told, int to, rlim_t most, unsigned calls)
{
    struct mr_slots slots;
    struct mr_error error;
    const struct rlimit limit = {.rlim_cur = most, .rlim_max = RLIM_INFINITY};
    signal(SIGXFSZ, SIG_IGN);
    calls_left = calls_at_first = calls;
    if (most) {
        setrlimit(RLIMIT_FSIZE, &limit);
    }
    for (;;) {
        told = next_of(told);
        if (mr_slots_open(&slots, path, &error) != 0) { /* each step is a process's, as a rule */
            _exit(2);
        }
        if (do_step(&slots, &told, &error) < 0) {
            _exit(3);
        }
        mr_slots_close(&slots);
        told = after(told);
        if (__real_write(to, &told, sizeof told) != sizeof told) {
            _exit(4);
        }
    }
}

/* --- the judge ---------------------------------------------------------------------------------
 */

/* A file of the type that its header names, of as many values as it has to have. */
static void read_values(float values[VALUES], enum mre_number_type *type, const uint8_t *bytes,
                        size_t length)
{
    char header[HEAD + 64] = "";
    uint64_t head = 0;
    memcpy(&head, bytes, length < 8 ? 0 : 8);
    if (head == 0 || head >= sizeof header || length < 8 + head) {
        give_up("what the application opens", "has no header");
    }
    memcpy(header, bytes + 8, head);
    *type = strstr(header, "\"BF16\"") ? MRE_BF16 : strstr(header, "\"F16\"") ? MRE_F16 : MRE_F32;
    const size_t each = *type == MRE_F32 ? 4 : 2;
    if (length != 8 + head + VALUES * each) {
        give_up("what the application opens", "is no whole model");
    }
    if (*type == MRE_F32) {
        memcpy(values, bytes + 8 + head, VALUES * each);
    } else {
        uint16_t numbers[VALUES];
        memcpy(numbers, bytes + 8 + head, VALUES * each);
        mre_numbers_widen(*type, values, numbers, VALUES);
    }
}

/* What the application finds without anybody's help; 0: nothing. It must be whole. */
static uint64_t opened(uint8_t hash[MR_HASH_BYTES])
{
    static uint8_t bytes[BYTES + 1];
    static float values[VALUES];
    enum mre_number_type type;
    FILE *file = fopen(path, "rb");
    if (!file) {
        return 0;
    }
    const size_t length = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    SHA256(bytes, length, hash);
    read_values(values, &type, bytes, length);
    const uint64_t release = (uint64_t)values[0] + 200 * (uint64_t)values[1];
    for (unsigned i = 0; i < VALUES; i++) {
        if (values[i] != value_of(release, i) || type != type_of(release)) {
            give_up("what the application opens", "is another model, or of another type");
        }
    }
    return release;
}

static bool is(const struct told *told, uint64_t active)
{
    return told->active == active;
}

static void judge(struct told *last)
{
    struct mr_slots slots;
    struct mr_error error;
    const struct told next = after(next_of(*last));
    uint8_t hash[MR_HASH_BYTES];
    const uint64_t at_once = opened(hash);
    if (at_once != 0 || last->active != 0) {
        if (!is(last, at_once) && !is(&next, at_once)) {
            give_up("what the application opens", "is neither what was told nor the next");
        }
    }
    if (mr_slots_open(&slots, path, &error) != 0) {
        give_up("the folder does not open", error.text);
    }
    const struct mr_slot_model *active = mr_slots_active(&slots);
    const uint64_t now = active ? active->version.round : 0;
    const bool pulled = mr_slots_next(&slots);
    if (now != opened(hash) || (now != last->active && now != next.active)) {
        give_up("the state", "is another one than the file");
    }
    if (active && memcmp(active->opened, hash, sizeof hash) != 0) {
        give_up("the hash in the state", "is not that of the file");
    }
    if (slots.floor.round < last->release || slots.floor.round > next.release) {
        give_up("the floor", "is below what was told, or above what there was");
    }
    if (last->step == 0 && last->release != 0 && !pulled && now != last->release) {
        give_up("what was pulled", "is gone");
    }
    if (last->step == 1 && slots.trial == false && last->active == now && is_good(last->release) &&
        !slots.outcome_owed) {
        give_up("a trial", "ended without an outcome");
    }
    /* A step that came to its end before it was told counts as done. */
    const bool done = next.step == 0 ? pulled : next.step == 1 ? now == next.active : !slots.trial;
    mr_slots_close(&slots);
    *last = done ? next : *last;
}

static unsigned rnd(unsigned below)
{
    static uint32_t seed = 11;
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % below;
}

static void kill_once(struct told *last, bool full)
{
    int ends[2];
    struct told told;
    const unsigned calls = full ? 0 : 1 + rnd(60);
    MR_ASSERT(pipe(ends) == 0);
    const pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        work_for_ever(*last, ends[1], full ? rnd(BYTES + 2000) : 0, calls);
    }
    close(ends[1]);
    for (unsigned i = 0; i < 50 && read(ends[0], &told, sizeof told) == sizeof told; i++) {
        *last = told;
    }
    kill(child, SIGKILL);
    while (read(ends[0], &told, sizeof told) == sizeof told) {
        *last = told;
    }
    close(ends[0]);
    waitpid(child, NULL, 0);
    judge(last);
}

int main(int argc, char **argv)
{
    const unsigned kills = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : KILLS;
    char dir[] = "/tmp/millrace-slots-XXXXXX";
    if (EMULATED) {
        puts("skipped: an emulator of one process's calls does not die as a process does");
        return 77;
    }
    struct told last = {.release = 0, .step = 2};
    MR_ASSERT(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/model", dir);
    for (unsigned i = 0; i < kills; i++) {
        kill_once(&last, i % 4 == 3);
    }
    printf("%u ends, %llu releases: whole old or whole new\n", kills,
           (unsigned long long)last.release);
    mr_folder_remove(dir);
    return 0;
}
