/* round.c - one round of the control plane, for the gate: a lead, two helpers and six devices, from
 * the proposal to the published model; announcing, signing, sealed seeds and their receipts,
 * freezing, committing, opening. The cores alone: no TLS, no HTTP, no file.
 *
 * usage: gate_round     (run by gate.py under callgrind) */
#include <gnu/libc-version.h>
#include <openssl/crypto.h>
#include <stdio.h>

#include "tests/gate/gate.h"
#include "tests/unit/appliance/round/parties.h"

static void play(void *at)
{
    struct world *world = at;
    world_begin(world, NULL);
    world_fill(world, 6);
    world_advance(world, 1000);
    assert_int_equal(world_state(world, NULL), MR_LEAD_PUBLISHED);
}

static void round_of_the_control_plane(void **state)
{
    struct world *world = *state;
    play(world); /* what is done on a first use is not counted */
    world = world_open(&world_plain);
    CALLGRIND_START_INSTRUMENTATION;
    CALLGRIND_ZERO_STATS;
    play(world);
    CALLGRIND_DUMP_STATS_AT("round");
    CALLGRIND_STOP_INSTRUMENTATION;
    world_close(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {WORLD_TEST(round_of_the_control_plane, &world_plain)};
    mr_gate_say_compiler();
    printf("gate: with openssl %s\n", OpenSSL_version(OPENSSL_VERSION));
    printf("gate: with glibc %s\n", gnu_get_libc_version());
    fflush(stdout);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
