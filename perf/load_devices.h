/* load_devices.h - the devices of a load, and what their rounds come to (perf/load_devices.c). */
#ifndef MR_PERF_LOAD_DEVICES_H
#define MR_PERF_LOAD_DEVICES_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "edge-client/include/millrace_edge.h"

#define OFFSETS     65536u /* places in the pool where a delta may begin */
#define EXAMPLES    100u
#define LOAD_STAGES 6 /* of a pull: began, heard, fetched, verified, kept, installed */

struct load {
    size_t dimension;
    float step; /* one quantisation step: 1 / scale */
    unsigned ring_bits;
    int8_t *pool; /* dimension + OFFSETS steps */
    struct device *devices;
    unsigned count;
    unsigned at_once;
    atomic_uint next; /* device that the next free thread takes */
    void *(*part)(void *device);
    const char *folder; /* of `follow` and `pull` */
};

struct device {
    struct load *load;
    struct mre_config *config;
    struct mre_client *client; /* that lives on; NULL: none */
    unsigned number;
    uint32_t offset;  /* of this round's delta in the pool */
    double trained_s; /* CPU of this harness's own trainer */
    struct mre_outcome outcome;
    struct pulled {
        double began_s, installed_s; /* by the monotonic clock */
        /* The thread's CPU when it began and at each of the stages, in their order, the kernel's
         * part included. */
        double cpu_s[LOAD_STAGES];
        unsigned stages;
        struct mre_outcome outcome; /* of the pull */
    } pulled;
};

/* Ends the program with that message. */
void fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* load_sum.c: compares a hub's sum in that file with the plain sum of what the devices trained that
 * heard "committed"; ends the program where they differ. */
void load_check(const struct load *load, const char *path);

#endif
