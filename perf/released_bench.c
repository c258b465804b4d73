/* released_bench.c - the ledger of released sets as it is after years: what a start costs, and what
 * a check of a whole set does, the first one after a start included. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "appliance/storage/chain.h"
#include "appliance/task/released.h"
#include "appliance/task/released_record.h"
#include "base/assert.h"
#include "base/bytes.h"
#include "perf/figures.h"

#define SETS    10000u
#define EACH    20u   /* devices of a set */
#define DEVICES 1000u /* of the set that is checked */

static const uint8_t model[MR_HASH_BYTES] = {1};

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void client_of(uint8_t client[MR_CLIENT_ID_BYTES], uint32_t number)
{
    memset(client, 0, MR_CLIENT_ID_BYTES);
    mr_be32_put(client, number);
}

static int no_sync(void *context, const char *name, struct mr_error *error)
{
    (void)context, (void)name, (void)error;
    return 0;
}

static int ignore(void *context, uint64_t offset, const uint8_t *record, size_t length,
                  struct mr_error *error)
{
    (void)context, (void)offset, (void)record, (void)length, (void)error;
    return 0;
}

/* All sets on one model, as a hub writes them in years, without waiting for the disk. */
static void write_ledger(const char *dir)
{
    static uint8_t clients[EACH * MR_CLIENT_ID_BYTES], bytes[1024];
    struct mr_error error = {.text = ""};
    struct mr_disk_file *file;
    struct mr_chain *chain;
    uint64_t offset;
    MR_ASSERT(mr_disk_file_open(&file, dir, &error) == 0);
    struct mr_disk disk = *mr_disk_file_ops(file);
    disk.sync = no_sync;
    MR_ASSERT(mr_chain_open(&chain, &disk, "released", true, ignore, NULL, &error) == 0);
    for (uint32_t i = 0; i < SETS; i++) {
        uint8_t hash[MR_HASH_BYTES] = {0};
        mr_be32_put(hash, i);
        for (uint32_t d = 0; d < EACH; d++) {
            client_of(clients + (size_t)d * MR_CLIENT_ID_BYTES, EACH * i + d);
        }
        const struct mr_released_record record = {.task = "digits",
                                                  .round = i + 1,
                                                  .parent = model,
                                                  .announcement_hash = hash,
                                                  .set_hash = hash,
                                                  .clients = clients,
                                                  .count = EACH};
        mr_released_record_encode(bytes, &record);
        MR_ASSERT(mr_chain_append(chain, bytes, mr_released_record_bytes("digits", "", EACH),
                                  &offset, &error) == 0);
    }
    mr_chain_close(chain);
    mr_disk_file_close(file);
}

/* A set of devices from number `first` on. */
static enum mr_released_claim claim(struct mr_released *ledger, uint32_t first, uint32_t count)
{
    static struct mr_included included[DEVICES];
    const uint8_t hash[MR_HASH_BYTES] = {0xff};
    struct mr_released_place place;
    struct mr_error error;
    for (uint32_t i = 0; i < count; i++) {
        client_of(included[i].client_id, first + i);
    }
    const struct mr_released_set set = {.task = "digits",
                                        .round = SETS + 1,
                                        .parent = model,
                                        .announcement_hash = hash,
                                        .set_hash = hash,
                                        .included = included,
                                        .count = count};
    return mr_released_claim(ledger, &set, &place, &error);
}

/* Whether the ledger says what it has to: also of the last device of the last set. */
static void check(struct mr_released *ledger)
{
    MR_ASSERT(claim(ledger, EACH * SETS - 1, 1) == MR_CLAIM_REFUSED);
    MR_ASSERT(claim(ledger, EACH * SETS / 2, 1) == MR_CLAIM_REFUSED);
}

static void sample(struct mr_figures *figures, const char *name, double target, const char *of,
                   double value)
{
    const struct mr_figure figure = {
        .name = name, .unit = "ms", .better = MR_BETTER_LOWER, .target = target, .of = of};
    mr_figures_sample(figures, &figure, value);
}

static void measure(struct mr_figures *figures, const char *dir, unsigned times)
{
    struct mr_error error = {.text = ""};
    struct mr_released *ledger;
    struct mr_loop *loop;
    MR_ASSERT(mr_loop_open(&loop, &error) == 0);
    for (unsigned i = 0; i < times; i++) {
        double begin = now_ms();
        MR_ASSERT(mr_released_open(&ledger, dir, false, loop, &error) == 0);
        sample(figures, "released.start_ms", 0, "reading the whole ledger", now_ms() - begin);
        begin = now_ms();
        MR_ASSERT(claim(ledger, EACH * SETS, DEVICES) == MR_CLAIM_TAKEN);
        sample(figures, "released.first_check_ms", 10, "a set of 1,000, the first after a start",
               now_ms() - begin);
        mr_released_unclaim(ledger, "digits", UINT64_MAX);
        begin = now_ms();
        MR_ASSERT(claim(ledger, EACH * SETS, DEVICES) == MR_CLAIM_TAKEN);
        sample(figures, "released.check_ms", 10, "a set of 1,000", now_ms() - begin);
        mr_released_unclaim(ledger, "digits", UINT64_MAX);
        check(ledger);
        mr_released_stop(ledger);
        mr_released_close(ledger);
    }
    mr_loop_close(loop);
    mr_figures_checked(figures);
}

static void take_away(const char *dir)
{
    static const char *const names[] = {"released", "released-0", "released-1"};
    char path[300];
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        unlink(path);
    }
    rmdir(dir);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"quick", no_argument, NULL, 'q'},
                                            {"json", required_argument, NULL, 'j'},
                                            {NULL, 0, NULL, 0}};
    char dir[] = "/tmp/millrace-released-XXXXXX";
    const char *json = NULL;
    unsigned times = 15;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 'q') {
            times = 3;
        } else if (option == 'j') {
            json = optarg;
        } else {
            return 2;
        }
    }
    MR_ASSERT(mkdtemp(dir));
    struct mr_figures *figures = mr_figures_open("released");
    mr_figures_context_number(figures, "sets", SETS);
    mr_figures_context_number(figures, "devices_of_a_set", EACH);
    write_ledger(dir);
    measure(figures, dir, times);
    take_away(dir);
    const int failed = mr_figures_write(figures, json);
    mr_figures_close(figures);
    return failed ? 1 : 0;
}
