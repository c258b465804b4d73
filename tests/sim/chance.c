/* chance.c - random numbers from a seed (xoshiro256**, Blackman and Vigna 2018), and hashes. */
#include <string.h>

#include "tests/sim/sim.h"

static uint64_t rotated(uint64_t x, unsigned by)
{
    return x << by | x >> (64 - by);
}

static uint64_t mixed(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

void sim_seed(struct sim *sim, uint64_t seed)
{
    for (unsigned i = 0; i < 4; i++) {
        seed += UINT64_C(0x9e3779b97f4a7c15);
        sim->random[i] = mixed(seed);
    }
}

uint64_t sim_random(struct sim *sim)
{
    uint64_t *s = sim->random;
    const uint64_t result = rotated(s[1] * 5, 7) * 9;
    const uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotated(s[3], 45);
    return result;
}

uint64_t sim_below(struct sim *sim, uint64_t n)
{
    return (uint64_t)((unsigned __int128)sim_random(sim) * n >> 64);
}

uint64_t sim_between(struct sim *sim, uint64_t low, uint64_t high)
{
    return low + sim_below(sim, high - low + 1);
}

bool sim_chance(struct sim *sim, unsigned per_thousand)
{
    return per_thousand && sim_below(sim, 1000) < per_thousand;
}

void sim_fill(struct sim *sim, void *out, size_t bytes)
{
    uint8_t *at = out;
    while (bytes) {
        const uint64_t word = sim_random(sim);
        const size_t n = bytes < sizeof word ? bytes : sizeof word;
        memcpy(at, &word, n);
        at += n;
        bytes -= n;
    }
}

uint64_t sim_hash(const void *bytes, size_t length, uint64_t salt)
{
    const uint8_t *at = bytes;
    uint64_t hash = mixed(salt + UINT64_C(0x9e3779b97f4a7c15)) ^ length;
    for (; length;) {
        uint64_t word = 0;
        const size_t n = length < sizeof word ? length : sizeof word;
        memcpy(&word, at, n);
        hash = rotated(hash ^ mixed(word + 1), 23) * UINT64_C(0x9fb21c651e98df25);
        at += n;
        length -= n;
    }
    return mixed(hash);
}
