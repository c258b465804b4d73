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

/* Two sequences of different plain bits; a level without it has nothing to show. */
static void split_turns_two(struct check *c)
{
    const size_t turns = c->lanes < TURNS_MAX ? c->lanes : TURNS_MAX;
    struct mr_split_coders want[2], got[2];
    struct check_pair out[2], words[2], bits[2];
    const uint8_t *got_words[2];
    size_t used[2], used_got[2] = {0};
    const struct check_pair slots = check_place(c, CHECK_U32, 4096);
    const struct check_pair states = check_place(c, CHECK_U32, 2 * MR_TURN);
    uint32_t *states_want = states.want, *states_got = states.got;
    for (size_t i = 0; i < 2; i++) {
        const unsigned low = (unsigned)(check_random(c) % 26);
        out[i] = check_place(c, CHECK_U32, MR_TURN * turns);
        words[i] = check_place(c, CHECK_BYTES, 2 * MR_TURN * turns);
        bits[i] = check_place(c, CHECK_BYTES, 2 * low * turns);
        want[i] = (struct mr_split_coders){.slots = slots.want, .low = low};
        got[i] = (struct mr_split_coders){.slots = slots.got, .low = low};
        memcpy(want[i].states, states_want + MR_TURN * i, sizeof want[i].states);
        memcpy(got[i].states, states_got + MR_TURN * i, sizeof got[i].states);
        got_words[i] = words[i].got;
        used[i] = c->ref->split_turns(out[i].want, &want[i], words[i].want, bits[i].want, turns);
        if (!c->level->split_turns_two) {
            used_got[i] =
                c->level->split_turns(out[i].got, &got[i], words[i].got, bits[i].got, turns);
        }
    }
    if (c->level->split_turns_two) {
        c->level->split_turns_two((uint32_t *const[2]){out[0].got, out[1].got}, got, got_words,
                                  (const uint8_t *const[2]){bits[0].got, bits[1].got}, turns);
        used_got[0] = (size_t)(got_words[0] - (const uint8_t *)words[0].got);
        used_got[1] = (size_t)(got_words[1] - (const uint8_t *)words[1].got);
    }
    for (size_t i = 0; i < 2; i++) {
        memcpy(states_want + MR_TURN * i, want[i].states, sizeof want[i].states);
        memcpy(states_got + MR_TURN * i, got[i].states, sizeof got[i].states);
    }
    check_finish(c, used[0] << 32 | used[1], used_got[0] << 32 | used_got[1]);
}

int main(void)
{
    static const struct check_kernel kernels[] = {{"split_turns", split_turns, 0},
                                                  {"split_turns_two", split_turns_two, 0}};
    return check_main(kernels, sizeof kernels / sizeof *kernels);
}
