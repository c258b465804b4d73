/* main.c - `./run simulate`: seeds, one after the other or in several processes, and their totals.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/sim/sim.h"
#include "tests/sim/sqlite_vfs.h"

struct params {
    uint64_t from, count;
    unsigned jobs;
    bool trace, twice, malicious;
    enum sim_mutant mutant;
    bool keep_going;
};

static const char usage[] =
    "usage: simulate [--seed N] [--from N] [--seeds COUNT] [--jobs J] [--trace] [--twice]\n"
    "                [--malicious] [--mutant NAME] [--mutants]\n"
    "  --seed N       one seed; the line it prints names its trace by a hash\n"
    "  --from N       the first seed of many (0)\n"
    "  --seeds COUNT  how many (100)\n"
    "  --jobs J       processes at once (1)\n"
    "  --trace        every event, with --seed\n"
    "  --twice        each seed twice: the traces must be the same\n"
    "  --malicious    a lead lies, to have a device in two sums on one model\n"
    "  --mutant NAME  with that defect planted\n"
    "  --mutants      the defects that can be planted, one a line\n";

static void print_totals(const struct sim_totals *totals, double seconds)
{
    printf("%" PRIu64 " seeds in %.1f s: %" PRIu64 " failed\n", totals->seeds, seconds,
           totals->failed);
    printf("tasks: %" PRIu64 "; rounds: %" PRIu64 " published, %" PRIu64 " void, %" PRIu64
           " never on the lead's disk; %" PRIu64 " devices included; the transcripts of %" PRIu64
           " seeds audited, %" PRIu64 " times proved\n",
           totals->tasks, totals->rounds_published, totals->rounds_void, totals->rounds_unknown,
           totals->included, totals->audited, totals->proved);
    printf("devices: %" PRIu64 " rounds committed, the end of %" PRIu64 " heard, %" PRIu64
           " ended otherwise; %" PRIu64 " events, %" PRIu64
           " datagrams, %.1f hours of virtual time\n",
           totals->committed, totals->ends_heard, totals->outcomes_other, totals->events,
           totals->datagrams, (double)totals->virtual_ms / 3600e3);
    printf("faults:");
    for (unsigned i = 0; i < SIM_FAULTS; i++) {
        printf(" %s %" PRIu64, sim_fault_label((enum sim_fault)i), totals->faults[i]);
    }
    printf("\n");
}

static void run_one(const struct params *params, uint64_t seed, struct sim_result *result)
{
    const struct sim_options options = {.seed = seed,
                                        .print = params->trace,
                                        .malicious =
                                            params->malicious || sim_mutant_lies(params->mutant),
                                        .mutant = params->mutant};
    sim_run(&options, result);
    if (params->twice && !result->failed) {
        struct sim_result again;
        sim_run(&options, &again);
        if (again.hash != result->hash) {
            result->failed = true;
            result->totals.failed = 1;
            snprintf(result->why, sizeof result->why, "a second run has another trace");
        }
    }
    if (result->failed) {
        printf("seed %" PRIu64 " FAILED after %" PRIu64 " events, trace %016" PRIx64 ": %s\n", seed,
               result->totals.events, result->hash, result->why);
        fflush(stdout);
    }
}

/* Every jobs-th seed. */
static void run_some(const struct params *params, unsigned job, struct sim_totals *totals)
{
    for (uint64_t i = job; i < params->count; i += params->jobs) {
        struct sim_result result;
        run_one(params, params->from + i, &result);
        sim_totals_add(totals, &result.totals);
        if (result.failed && params->mutant) {
            return; /* it is found */
        }
    }
}

static int run_many(const struct params *params, struct sim_totals *totals)
{
    int ends[2], lost = 0;
    if (params->jobs == 1) {
        run_some(params, 0, totals);
        return 0;
    }
    fflush(stdout);
    if (pipe(ends) != 0) {
        return -1;
    }
    for (unsigned job = 0; job < params->jobs; job++) {
        if (fork() == 0) {
            struct sim_totals own = {.seeds = 0};
            run_some(params, job, &own);
            fflush(stdout);
            exit(write(ends[1], &own, sizeof own) == sizeof own ? 0
                                                                : 1); /* gcov writes at an exit */
        }
    }
    for (unsigned job = 0; job < params->jobs; job++) {
        int status;
        wait(&status);
        lost += !WIFEXITED(status) || WEXITSTATUS(status) != 0;
    }
    for (unsigned job = (unsigned)lost; job < params->jobs; job++) {
        struct sim_totals own;
        if (read(ends[0], &own, sizeof own) == sizeof own) {
            sim_totals_add(totals, &own);
        }
    }
    close(ends[0]);
    close(ends[1]);
    return lost ? -1 : 0;
}

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int find_mutant(enum sim_mutant *mutant, const char *name)
{
    for (unsigned i = 0; i < SIM_MUTANTS; i++) {
        if (strcmp(sim_mutant_label((enum sim_mutant)i), name) == 0) {
            *mutant = (enum sim_mutant)i;
            return 0;
        }
    }
    return -1;
}

/* A word of its own; false: not known. */
static bool take_flag(struct params *params, const char *word)
{
    if (strcmp(word, "--trace") == 0) {
        params->trace = true;
    } else if (strcmp(word, "--twice") == 0) {
        params->twice = true;
    } else if (strcmp(word, "--malicious") == 0) {
        params->malicious = true;
    } else {
        return false;
    }
    return true;
}

static bool take_option(struct params *params, const char *word, const char *value)
{
    char *end = "";
    const uint64_t number = strtoull(value, &end, 10);
    if (strcmp(word, "--mutant") == 0) {
        return find_mutant(&params->mutant, value) == 0;
    }
    if (*value < '0' || *value > '9' || *end) {
        return false;
    }
    if (strcmp(word, "--seed") == 0) {
        params->from = number;
        params->count = 1;
    } else if (strcmp(word, "--from") == 0) {
        params->from = number;
    } else if (strcmp(word, "--seeds") == 0) {
        params->count = number;
    } else if (strcmp(word, "--jobs") == 0 && number >= 1 && number <= 256) {
        params->jobs = (unsigned)number;
    } else {
        return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    struct params params = {.count = 100, .jobs = 1};
    struct sim_totals totals = {.seeds = 0};
    sim_sqlite_register();
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--mutants") == 0) {
            for (unsigned m = 1; m < SIM_MUTANTS; m++) {
                printf("%s\t%s\n", sim_mutant_label((enum sim_mutant)m),
                       sim_mutant_sentence((enum sim_mutant)m));
            }
            return 0;
        }
        if (!take_flag(&params, argv[i]) &&
            (i + 1 == argc || !take_option(&params, argv[i], argv[i + 1]) || !++i)) {
            fprintf(stderr, "simulate: %s is not understood\n%s", argv[i], usage);
            return 2;
        }
    }
    const double began = seconds_now();
    if (params.count == 1) {
        struct sim_result result;
        run_one(&params, params.from, &result);
        totals = result.totals;
        printf("seed %" PRIu64 ": %s, %" PRIu64 " events, trace %016" PRIx64 "\n", params.from,
               result.failed ? "FAILED" : "passed", result.totals.events, result.hash);
    } else if (run_many(&params, &totals) != 0) {
        totals.failed++;
    }
    print_totals(&totals, seconds_now() - began);
    return totals.failed ? 1 : 0;
}
