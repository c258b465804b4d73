/* delta_tool.c - builds and applies one delta, and says how long that took and how large it is.
 *
 * usage: delta_tool STORE BASE.safetensors TARGET.safetensors OUT
 *
 * STORE is the folder of a task at a hub (rounds/, models/). Prints one line of JSON: seconds of
 * this thread's CPU, the least of REPEATS; the peak of what applying held beside the two files. */
#include <fcntl.h>
#include <malloc.h>
#include <math.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "appliance/model/delta_build.h"
#include "base/assert.h"

#define REPEATS 5

struct file {
    uint8_t *bytes;
    size_t length;
    uint8_t hash[32];
};

static struct file map(const char *path)
{
    struct file file;
    struct stat about;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    MR_ASSERT(fd >= 0 && fstat(fd, &about) == 0);
    file.length = (size_t)about.st_size;
    file.bytes = mmap(NULL, file.length, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
    MR_ASSERT(file.bytes != MAP_FAILED);
    close(fd);
    SHA256(file.bytes, file.length, file.hash);
    return file;
}

static double cpu_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static long peak_kib(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

/* In a process of its own, so that its peak is its own: apply and hash, as a device does. */
static void apply_once(const char *base_path, const char *delta_path, size_t target_bytes)
{
    struct file base = map(base_path), delta = map(delta_path);
    /* As the device has it: a large target is a mapping of the file and not longer. */
    const size_t room = target_bytes > (8u << 20) ? target_bytes : mr_delta_room(target_bytes);
    uint8_t hash[32], *target = mmap(NULL, room, PROT_READ | PROT_WRITE,
                                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    MR_ASSERT(target != MAP_FAILED);
    mallopt(M_MMAP_THRESHOLD, 64 * 1024);
    const long before = peak_kib();
    double least = 1e9;
    const struct mr_delta_job job = {.delta = delta.bytes,
                                     .delta_bytes = delta.length,
                                     .base = base.bytes,
                                     .base_bytes = base.length,
                                     .target = target,
                                     .target_room = room,
                                     .kernels = mr_kernels_select(UINT32_MAX)};
    for (unsigned i = 0; i < REPEATS; i++) {
        const double begun = cpu_s();
        MR_ASSERT(mr_delta_apply(&job, NULL) == 0);
        SHA256(target, target_bytes, hash);
        least = fmin(least, cpu_s() - begun);
    }
    printf("{\"apply_s\": %.6f, \"apply_extra_kib\": %ld}\n", least, peak_kib() - before);
}

int main(int argc, char **argv)
{
    struct mr_store *store;
    struct mr_error error;
    struct mr_delta_out out = {.bytes = NULL};
    if (argc == 5 && strcmp(argv[1], "apply") == 0) {
        apply_once(argv[2], argv[3], (size_t)strtoull(argv[4], NULL, 10));
        return 0;
    }
    MR_ASSERT(argc == 5 && mr_store_open(&store, argv[1], NULL, &error) == 0);
    struct file base = map(argv[2]), target = map(argv[3]);
    struct mr_delta_wish wish = {.store = store,
                                 .base = base.bytes,
                                 .base_bytes = base.length,
                                 .target = target.bytes,
                                 .target_bytes = target.length,
                                 .kernels = mr_kernels_select(UINT32_MAX)};
    memcpy(wish.base_hash, base.hash, 32);
    memcpy(wish.target_hash, target.hash, 32);
    double least = 1e9;
    for (unsigned i = 0; i < REPEATS; i++) {
        free(out.bytes);
        const double begun = cpu_s();
        MR_ASSERT(mr_delta_build(&out, &wish, &error) == 0);
        least = fmin(least, cpu_s() - begun);
    }
    FILE *file = fopen(argv[4], "w");
    MR_ASSERT(file && fwrite(out.bytes, 1, out.length, file) == out.length && fclose(file) == 0);
    printf("{\"kind\": \"%s\", \"bytes\": %zu, \"build_s\": %.6f}\n",
           out.bytes[78] == MR_DELTA_SUMS ? "sums" : "changes", out.length, least);
    free(out.bytes);
    mr_store_close(store);
    return 0;
}
