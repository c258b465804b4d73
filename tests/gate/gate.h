/* gate.h - what the programs of the gate share: a piece of work is run between two marks for
 * callgrind, so that its instructions are counted and those of its preparation are not. What a
 * count depends on a program says in lines `gate: with NAME VERSION`. */
#ifndef MR_TESTS_GATE_H
#define MR_TESTS_GATE_H

#include <stdio.h>

#include <valgrind/callgrind.h>

static inline void mr_gate_say_compiler(void)
{
    printf("gate: with compiler %s\n", __VERSION__);
}

/* `work` runs once before it counts: what is done on a first use is none of it. Outside valgrind it
 * just runs twice. */
static inline void mr_gate_count(const char *name, void (*work)(void *scene), void *scene)
{
    work(scene);
    CALLGRIND_START_INSTRUMENTATION;
    CALLGRIND_ZERO_STATS;
    work(scene);
    CALLGRIND_DUMP_STATS_AT(name);
    CALLGRIND_STOP_INSTRUMENTATION;
}

#endif
