/* check_split.c - integers of sixteen coders, from whatever bytes. */
#include <string.h>

#include "tests/unit/kernels/check.h"

#define TURNS_MAX 600

static void split_turns(struct check *c)
{
    const size_t turns = c->lanes < TURNS_MAX ? c->lanes : TURNS_MAX;
    const unsigned low = (unsigned)(check_random(c) % 26);
    const struct check_pair out = check_place(c, CHECK_U32, MR_TURN * turns);
    const struct check_pair slots = check_place(c, CHECK_U32, 4096);
    const struct check_pair words = check_place(c, CHECK_BYTES, 2 * MR_TURN * turns);
    const struct check_pair bits = check_place(c, CHECK_BYTES, 2 * low * turns);
    const struct check_pair states = check_place(c, CHECK_U32, MR_TURN);
    struct mr_split_coders want = {.slots = slots.want, .low = low};
    struct mr_split_coders got = {.slots = slots.got, .low = low};
    memcpy(want.states, states.want, sizeof want.states);
    memcpy(got.states, states.got, sizeof got.states);
    const size_t used = c->ref->split_turns(out.want, &want, words.want, bits.want, turns);
    const size_t used_got = c->level->split_turns(out.got, &got, words.got, bits.got, turns);
    memcpy(states.want, want.states, sizeof want.states);
    memcpy(states.got, got.states, sizeof got.states);
    check_finish(c, used, used_got);
}

int main(void)
{
    static const struct check_kernel kernels[] = {{"split_turns", split_turns, 0}};
    return check_main(kernels, sizeof kernels / sizeof *kernels);
}
