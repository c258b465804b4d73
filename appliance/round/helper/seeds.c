#include "appliance/round/helper/seeds.h"

#include <string.h>

#include "base/secret.h"
#include "base/assert.h"

struct mr_seed_client {
    uint32_t present; /* bit a: attempt a has a seed */
    struct mr_seed seeds[MR_ATTEMPTS_MAX];
};

void mr_seeds_init(struct mr_seeds *seeds, uint32_t clients_max, uint64_t salt)
{
    *seeds = (struct mr_seeds){.clients_max = clients_max};
    mr_id_table_init(&seeds->map, salt);
}

void mr_seeds_wipe(struct mr_seeds *seeds)
{
    mr_secret_free(seeds->clients);
    mr_id_table_fini(&seeds->map);
    seeds->clients = NULL;
    seeds->count = seeds->capacity = 0;
}

/* No realloc: it would leave an unwiped copy behind. */
static int grow(struct mr_seeds *seeds)
{
    const uint32_t capacity = seeds->capacity ? seeds->capacity * 2 : 64;
    struct mr_seed_client *clients = mr_secret_new((size_t)capacity * sizeof *clients);
    if (!clients) {
        return -1;
    }
    if (seeds->clients) {
        memcpy(clients, seeds->clients, (size_t)seeds->count * sizeof *clients);
        mr_secret_free(seeds->clients);
    }
    seeds->clients = clients;
    seeds->capacity = capacity;
    return 0;
}

static struct mr_seed_client *client_of(struct mr_seeds *seeds, const uint8_t *client_id)
{
    const uint32_t at = mr_id_table_find(&seeds->map, client_id);
    if (at != MR_IDMAP_NONE) {
        return &seeds->clients[at];
    }
    if (seeds->count == seeds->clients_max ||
        (seeds->count == seeds->capacity && grow(seeds) != 0) ||
        mr_id_table_add(&seeds->map, client_id, seeds->count) != 0) {
        return NULL;
    }
    return &seeds->clients[seeds->count++];
}

enum mr_seed_outcome mr_seeds_admit(struct mr_seeds *seeds, const struct mr_included *included,
                                    const struct mr_seed *seed)
{
    const uint32_t attempt = included->attempt;
    MR_ASSERT(attempt < MR_ATTEMPTS_MAX);
    struct mr_seed_client *client = client_of(seeds, included->client_id);
    if (!client) {
        return MR_SEED_FULL;
    }
    if (client->present >> attempt & 1) {
        return MR_SEED_KNOWN;
    }
    client->seeds[attempt] = *seed;
    client->present |= 1u << attempt;
    return MR_SEED_ADMITTED;
}

const struct mr_seed *mr_seeds_find(const struct mr_seeds *seeds,
                                    const struct mr_included *included)
{
    const uint32_t at = mr_id_table_find(&seeds->map, included->client_id);
    if (at == MR_IDMAP_NONE || included->attempt >= MR_ATTEMPTS_MAX ||
        !(seeds->clients[at].present >> included->attempt & 1)) {
        return NULL;
    }
    return &seeds->clients[at].seeds[included->attempt];
}
