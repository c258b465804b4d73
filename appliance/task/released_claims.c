/* released_claims.c - sets that are claimed, and those that become records. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/task/released_internal.h"
#include "base/assert.h"

/* Whether the two have a device in common; both rise. */
static bool overlap(const struct claim *a, const struct claim *b)
{
    for (uint32_t i = 0, j = 0; i < a->count && j < b->count;) {
        const int order = memcmp(a->clients + (size_t)i * MR_CLIENT_ID_BYTES,
                                 b->clients + (size_t)j * MR_CLIENT_ID_BYTES, MR_CLIENT_ID_BYTES);
        if (order == 0) {
            return true;
        }
        i += order < 0;
        j += order > 0;
    }
    return false;
}

/* Against what was released. False with *place. */
static bool is_apart(const struct mr_lineage *lineage, struct claim *claim,
                     struct mr_released_place *place)
{
    for (uint32_t i = 0; i < claim->count; i++) {
        const struct mr_lineage_set *set =
            mr_lineage_find(lineage, claim->clients + (size_t)i * MR_CLIENT_ID_BYTES);
        const bool same =
            set && memcmp(set->set_hash, claim->set_hash, MR_HASH_BYTES) == 0 &&
            memcmp(set->announcement_hash, claim->announcement_hash, MR_HASH_BYTES) == 0;
        if (set && !same) {
            mr_released_say(place, set);
            return false;
        }
        claim->known |= same;
    }
    return true;
}

/* Against what was released on the other line that it looks at. */
static bool is_apart_also(const struct mr_lineage *lineage, const struct claim *claim,
                          struct mr_released_place *place)
{
    for (uint32_t i = 0; i < claim->count; i++) {
        const struct mr_lineage_set *set =
            mr_lineage_find(lineage, claim->clients + (size_t)i * MR_CLIENT_ID_BYTES);
        if (set) {
            mr_released_say(place, set);
            return false;
        }
    }
    return true;
}

static bool on_one_line(const struct claim *other, const struct claim *claim)
{
    return memcmp(other->parent, claim->parent, MR_HASH_BYTES) == 0 ||
           memcmp(other->parent, claim->also, MR_HASH_BYTES) == 0;
}

/* Against the rounds that are under way. */
static bool is_free(const struct mr_released *ledger, const struct claim *claim,
                    struct mr_released_place *place)
{
    for (const struct claim *other = ledger->claims; other; other = other->next) {
        const bool own = strcmp(other->task, claim->task) == 0 && !other->adding;
        const bool same =
            memcmp(other->announcement_hash, claim->announcement_hash, MR_HASH_BYTES) == 0 &&
            memcmp(other->set_hash, claim->set_hash, MR_HASH_BYTES) == 0;
        if (!own && !same && on_one_line(other, claim) && overlap(other, claim)) {
            mr_released_say_claimed(place, other);
            return false;
        }
    }
    return true;
}

/* Whether each device can pay. What the ledger has already is paid for. False with *place. */
static bool is_paid(const struct mr_released *ledger, const struct claim *claim,
                    struct mr_released_place *place)
{
    uint32_t at = 0;
    for (uint32_t i = 0; claim->debit.pool[0] != '\0' && !claim->known && i < claim->count; i++) {
        const uint8_t *client_id = claim->clients + (size_t)i * MR_CLIENT_ID_BYTES;
        const uint64_t left = mr_released_left(ledger, &claim->debit, claim->task, client_id, &at);
        if (claim->debit.rho > left) {
            place->broke = true;
            place->left = left;
            memcpy(place->client_id, client_id, MR_CLIENT_ID_BYTES);
            return false;
        }
    }
    return true;
}

/* --- claims ---------------------------------------------------------------------------------- */

static void claim_free(struct claim *claim)
{
    if (claim) {
        free(claim->clients);
    }
    free(claim);
}

static struct claim *claim_new(const struct mr_released_set *set)
{
    struct claim *claim = calloc(1, sizeof *claim);
    uint8_t *clients = malloc((size_t)set->count * MR_CLIENT_ID_BYTES + 1);
    if (!claim || !clients) {
        free(claim);
        free(clients);
        return NULL;
    }
    snprintf(claim->task, sizeof claim->task, "%s", set->task);
    claim->round = set->round;
    memcpy(claim->parent, set->parent, MR_HASH_BYTES);
    if (set->also) {
        memcpy(claim->also, set->also, MR_HASH_BYTES);
    }
    memcpy(claim->announcement_hash, set->announcement_hash, MR_HASH_BYTES);
    memcpy(claim->set_hash, set->set_hash, MR_HASH_BYTES);
    if (set->debit) {
        claim->debit = *set->debit;
    }
    claim->clients = clients;
    claim->count = set->count;
    for (uint32_t i = 0; i < set->count; i++) {
        memcpy(clients + (size_t)i * MR_CLIENT_ID_BYTES, set->included[i].client_id,
               MR_CLIENT_ID_BYTES);
    }
    return claim;
}

static void take_out(struct mr_released *ledger, const struct claim *claim)
{
    struct claim **at = &ledger->claims;
    while (*at != claim) {
        at = &(*at)->next;
    }
    *at = claim->next;
}

static struct claim *claim_of(const struct mr_released *ledger, const char *task)
{
    struct claim *claim = ledger->claims;
    while (claim && (claim->adding || strcmp(claim->task, task) != 0)) {
        claim = claim->next;
    }
    return claim;
}

void mr_released_unclaim(struct mr_released *ledger, const char *task, uint64_t round)
{
    struct claim *claim = claim_of(ledger, task);
    mr_released_let_go(ledger, task, round);
    if (claim && claim->round <= round) {
        take_out(ledger, claim);
        claim_free(claim);
    }
}

enum mr_released_claim mr_released_claim(struct mr_released *ledger,
                                         const struct mr_released_set *set,
                                         struct mr_released_place *place, struct mr_error *error)
{
    const struct mr_lineage *lineage = mr_released_lineage(ledger, set->parent, error);
    struct claim *claim = lineage ? claim_new(set) : NULL;
    *place = (struct mr_released_place){.round = 0};
    if (claim && set->debit && mr_released_expire(ledger, set->debit->unix_ms, error) != 0) {
        claim_free(claim);
        return MR_CLAIM_REFUSED;
    }
    if (!claim) {
        if (lineage) {
            mr_error_set(error, "out of memory for a set of %u", set->count);
        }
        return MR_CLAIM_REFUSED;
    }
    const struct mr_lineage *also =
        set->also ? mr_released_lineage(ledger, set->also, error) : NULL;
    if (set->also && !also) {
        claim_free(claim);
        return MR_CLAIM_REFUSED;
    }
    if (!is_apart(lineage, claim, place) || (also && !is_apart_also(also, claim, place)) ||
        !is_free(ledger, claim, place) || !is_paid(ledger, claim, place)) {
        claim_free(claim);
        return MR_CLAIM_REFUSED;
    }
    mr_released_unclaim(ledger, set->task, UINT64_MAX); /* the claim has what was kept for it */
    claim->next = ledger->claims;
    ledger->claims = claim;
    return claim->known ? MR_CLAIM_RELEASED : MR_CLAIM_TAKEN;
}

void mr_released_free_claims(struct mr_released *ledger)
{
    mr_released_free_kept(ledger);
    while (ledger->claims) {
        struct claim *claim = ledger->claims;
        ledger->claims = claim->next;
        claim_free(claim);
    }
}

/* --- adding ---------------------------------------------------------------------------------- */

static void encode(struct adding *adding)
{
    const struct claim *claim = adding->claim;
    struct mr_released_record record = {.round = claim->round,
                                        .parent = claim->parent,
                                        .announcement_hash = claim->announcement_hash,
                                        .set_hash = claim->set_hash,
                                        .clients = claim->clients,
                                        .count = claim->count,
                                        .debit = claim->debit};
    memcpy(record.task, claim->task, sizeof record.task);
    adding->length = mr_released_record_bytes(record.task, record.debit.pool, record.count);
    adding->bytes = malloc(adding->length);
    MR_ASSERT(adding->bytes);
    mr_released_record_encode(adding->bytes, &record);
}

void mr_released_take_head(const struct mr_released *ledger, struct mr_released_head *head)
{
    memcpy(head->hash, mr_chain_head(ledger->chain, &head->records), MR_HASH_BYTES);
}

static void add_work(void *context)
{
    struct adding *adding = context;
    if (!adding->claim->known) {
        adding->result = mr_chain_append(adding->ledger->chain, adding->bytes, adding->length,
                                         &adding->offset, &adding->error);
    }
    mr_released_take_head(adding->ledger, &adding->head);
}

static int note(struct adding *adding)
{
    struct mr_released_record record;
    return mr_released_record_parse(&record, adding->bytes, adding->length, &adding->error) != 0
               ? -1
               : mr_released_note(adding->ledger, &record, adding->offset, adding->length,
                                  &adding->error);
}

static void add_done(void *context)
{
    struct adding *adding = context;
    struct mr_released *ledger = adding->ledger;
    struct adding **at = &ledger->adding;
    while (*at != adding) {
        at = &(*at)->next;
    }
    *at = adding->next;
    ledger->head = adding->head;
    if (adding->result == 0 && !adding->claim->known) {
        adding->result = note(adding);
    }
    take_out(ledger, adding->claim);
    claim_free(adding->claim);
    if (adding->fn) {
        adding->fn(adding->context, adding->result, &adding->error);
    }
    free(adding->bytes);
    free(adding);
}

void mr_released_add(struct mr_released *ledger, const char *task, mr_released_fn fn, void *context)
{
    struct claim *claim = claim_of(ledger, task);
    struct adding *adding = calloc(1, sizeof *adding);
    MR_ASSERT(claim && adding && ledger->jobs);
    claim->adding = true;
    *adding = (struct adding){
        .next = ledger->adding, .ledger = ledger, .claim = claim, .fn = fn, .context = context};
    ledger->adding = adding;
    encode(adding);
    mr_job_run(ledger->jobs, add_work, add_done, adding);
}

void mr_released_leave(struct mr_released *ledger, const char *task, void *context)
{
    for (struct adding *adding = ledger->adding; adding; adding = adding->next) {
        if (adding->context == context) {
            adding->fn = NULL;
        }
    }
    mr_released_unclaim(ledger, task, UINT64_MAX);
}
