/* debit_ledger.c - what the ledger takes for a cohort, with a debit of its devices and without, in
 * a pool of a million: claiming the set and writing it down, on the wall. perf/debit.py sets it
 * beside whole rounds. Prints one line of JSON with the medians.
 *
 * usage: debit_ledger --devices N --dir DIR */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "appliance/task/budget.h"
#include "appliance/task/released.h"
#include "base/assert.h"
#include "base/bytes.h"
#include "wire/rho.h"

#define POOL_DEVICES 1000000u
#define TIMES        9u
#define RHO          (MR_RHO_ONE >> 10)

struct ledger {
    struct mr_released *released;
    struct mr_loop *loop;
    struct mr_included *included;
    uint64_t round;
};

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void added(void *context, int result, const struct mr_error *error)
{
    struct ledger *ledger = context;
    if (result != 0) {
        fprintf(stderr, "debit_ledger: %s\n", error->text);
        exit(1);
    }
    mr_loop_stop(ledger->loop);
}

/* Claims a set on a model of its own and waits until it is durable; milliseconds. */
static double release(struct ledger *ledger, uint32_t first, uint32_t step, uint32_t count,
                      bool pays)
{
    const struct mr_budget_debit debit = {.pool = "ward",
                                          .rho = RHO,
                                          .budget = MR_RHO_ONE,
                                          .unix_ms = 1,
                                          .delta = 1e-6f,
                                          .noise_kind = MR_NOISE_HUB};
    uint8_t hash[MR_HASH_BYTES] = {0};
    struct mr_released_place place;
    struct mr_error error = {.text = ""};
    mr_be64_put(hash, ++ledger->round);
    for (uint32_t i = 0; i < count; i++) {
        memset(&ledger->included[i], 0, sizeof ledger->included[i]);
        mr_be32_put(ledger->included[i].client_id, first + step * i);
    }
    const struct mr_released_set set = {.task = "digits",
                                        .round = ledger->round,
                                        .parent = hash,
                                        .announcement_hash = hash,
                                        .set_hash = hash,
                                        .included = ledger->included,
                                        .count = count,
                                        .debit = pays ? &debit : NULL};
    const double begin = now_ms();
    MR_ASSERT(mr_released_claim(ledger->released, &set, &place, &error) == MR_CLAIM_TAKEN);
    mr_released_add(ledger->released, "digits", added, ledger);
    mr_loop_run(ledger->loop);
    return now_ms() - begin;
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values)
{
    qsort(values, TIMES, sizeof *values, by_size);
    return values[TIMES / 2];
}

static void measure(struct ledger *ledger, uint32_t devices)
{
    const uint32_t step = POOL_DEVICES / devices;
    double plain[TIMES], pays[TIMES];
    for (uint32_t first = 0; first < POOL_DEVICES; first += devices) {
        const uint32_t left = POOL_DEVICES - first;
        release(ledger, first, 1, left < devices ? left : devices, true);
    }
    for (unsigned i = 0; i < TIMES; i++) {
        plain[i] = release(ledger, 0, step, devices, false);
        pays[i] = release(ledger, 0, step, devices, true);
    }
    printf("{\"plain_ms\": %.6f, \"private_ms\": %.6f}\n", median(plain), median(pays));
}

static void run(const char *folder, uint32_t devices)
{
    static const char *const names[] = {"released", "released-0", "released-1"};
    struct ledger ledger = {.included = calloc(devices, sizeof *ledger.included)};
    char dir[4096], path[4200];
    struct mr_error error = {.text = ""};
    snprintf(dir, sizeof dir, "%s/ledger-XXXXXX", folder);
    if (!mkdtemp(dir) || mr_loop_open(&ledger.loop, &error) != 0 ||
        mr_released_open(&ledger.released, dir, true, ledger.loop, &error) != 0 ||
        !ledger.included) {
        fprintf(stderr, "debit_ledger: %s: no ledger can be made there: %s\n", dir, error.text);
        exit(1);
    }
    measure(&ledger, devices);
    mr_released_stop(ledger.released);
    mr_released_close(ledger.released);
    mr_loop_close(ledger.loop);
    free(ledger.included);
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        unlink(path);
    }
    rmdir(dir);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"devices", required_argument, NULL, 'n'}, {"dir", required_argument, NULL, 'd'}, {0}};
    const char *dir = NULL;
    unsigned long devices = 0;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 'n') {
            devices = strtoul(optarg, NULL, 10);
        } else if (option == 'd') {
            dir = optarg;
        } else {
            return 2;
        }
    }
    if (!dir || devices == 0 || devices > POOL_DEVICES) {
        fprintf(stderr, "usage: debit_ledger --devices 1..%u --dir DIR\n", POOL_DEVICES);
        return 2;
    }
    run(dir, (uint32_t)devices);
    return 0;
}
