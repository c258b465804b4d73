#include "appliance/round/helper/seeds.h"

#include <stdlib.h>
#include <string.h>

#include "wire/evidence.h"
#include "base/secret.h"
#include "base/assert.h"

struct mr_seed_client {
    uint8_t client_id[MR_CLIENT_ID_BYTES];
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
    struct mr_seed_client *client = &seeds->clients[seeds->count++];
    memcpy(client->client_id, client_id, MR_CLIENT_ID_BYTES);
    return client;
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

/* MR_IDMAP_NONE is UINT32_MAX. */
uint32_t mr_seeds_place(const struct mr_seeds *seeds, const uint8_t client_id[MR_CLIENT_ID_BYTES])
{
    return mr_id_table_find(&seeds->map, client_id);
}

static int compare_client(const void *a, const void *b)
{
    const struct mr_seed_client *const *left = a, *const *right = b;
    return memcmp((*left)->client_id, (*right)->client_id, MR_CLIENT_ID_BYTES);
}

/* A leaf for each seed. How many, or UINT32_MAX when OpenSSL fails. */
static uint32_t put_leaves(uint8_t (*leaves)[MR_HASH_BYTES],
                           const struct mr_seed_client *const *sorted, uint32_t clients)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < clients; i++) {
        struct mr_included one = {.attempt = 0};
        memcpy(one.client_id, sorted[i]->client_id, MR_CLIENT_ID_BYTES);
        for (; one.attempt < MR_ATTEMPTS_MAX; one.attempt++) {
            if (sorted[i]->present >> one.attempt & 1 &&
                mr_evidence_leaf(leaves[count++], &one, sorted[i]->seeds[one.attempt].bytes) != 0) {
                return UINT32_MAX;
            }
        }
    }
    return count;
}

int mr_seeds_root(const struct mr_seeds *seeds, uint8_t root[MR_HASH_BYTES], uint32_t *count)
{
    size_t all = 0;
    for (uint32_t i = 0; i < seeds->count; i++) {
        all += (size_t)__builtin_popcount(seeds->clients[i].present);
    }
    const struct mr_seed_client **sorted = malloc((seeds->count + 1) * sizeof(void *));
    uint8_t(*leaves)[MR_HASH_BYTES] = malloc((all + 1) * MR_HASH_BYTES);
    int result = -1;
    if (sorted && leaves) {
        for (uint32_t i = 0; i < seeds->count; i++) {
            sorted[i] = &seeds->clients[i];
        }
        qsort(sorted, seeds->count, sizeof(void *), compare_client);
        *count = put_leaves(leaves, sorted, seeds->count);
        result = *count == UINT32_MAX ? -1 : mr_evidence_root(root, leaves, *count);
    }
    free(sorted);
    free(leaves);
    return result;
}
