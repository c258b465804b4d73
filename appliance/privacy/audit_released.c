/* audit_released.c - the sets that were opened, of all rounds and tasks. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/privacy/audit_internal.h"

#define SAME(a, b) (memcmp(a, b, MR_HASH_BYTES) == 0)

struct released {
    const struct audit_chain *chain;
    const struct audit_round *round;
};

static int compare_released(const void *a, const void *b)
{
    const struct audit_round *left = ((const struct released *)a)->round;
    const struct audit_round *right = ((const struct released *)b)->round;
    const int parent = memcmp(left->terms.announcement.model_hash,
                              right->terms.announcement.model_hash, MR_HASH_BYTES);
    return parent != 0 ? parent : (left->round > right->round) - (left->round < right->round);
}

/* Devices of the first set that are not in the second; both rise. */
static uint32_t only_in(const struct audit_round *a, const struct audit_round *b)
{
    uint32_t count = 0, at = 0;
    for (uint32_t i = 0; i < a->set_count; i++) {
        int order = -1;
        while (at < b->set_count && (order = memcmp(b->set[at].client_id, a->set[i].client_id,
                                                    MR_CLIENT_ID_BYTES)) < 0) {
            at++;
        }
        count += at == b->set_count || order != 0;
    }
    return count;
}

/* Whether a device may be in only one of the two: both are about updates, or both about metrics of
 * the model, or one is about both (wire/model_line.h). */
static bool stand_against(const struct audit_round *a, const struct audit_round *b)
{
    const struct mr_announcement *first = &a->terms.announcement, *second = &b->terms.announcement;
    const bool updates = mr_announcement_trains(first) && mr_announcement_trains(second);
    const bool metrics = mr_announcement_evaluates(first) && mr_announcement_evaluates(second);
    return updates || metrics;
}

/* A hub that keeps to its released sets opens a device once on a model. Sums over nearly the same
 * devices give away those in whom they differ, and of three sums or more it is not enough that each
 * two differ in many. */
static int check_overlap(struct audit *audit, const struct released *first,
                         const struct released *second)
{
    const struct audit_round *a = first->round, *b = second->round;
    const uint32_t gone = only_in(a, b), come = only_in(b, a);
    const uint32_t common = a->set_count - gone;
    if (common == 0) {
        return 0;
    }
    return mr_audit_wrong(audit, second->chain, b->counted,
                          "rounds %llu and %llu were opened on one model, with %u devices in both, "
                          "%u in the first alone and %u in the second",
                          (unsigned long long)a->round, (unsigned long long)b->round, common, gone,
                          come);
}

static int check_released(struct audit *audit, struct released *list, size_t count)
{
    qsort(list, count, sizeof *list, compare_released);
    for (size_t i = 0; i < count; i++) {
        const uint8_t *parent = list[i].round->terms.announcement.model_hash;
        for (size_t j = i + 1;
             j < count && SAME(parent, list[j].round->terms.announcement.model_hash); j++) {
            if (stand_against(list[i].round, list[j].round) &&
                check_overlap(audit, &list[i], &list[j]) != 0) {
                return -1;
            }
        }
    }
    return 0;
}

/* Each round once: by the first chain that has an opening of it. */
static bool is_first(const struct audit *audit, unsigned chain, const struct audit_round *round,
                     bool opened)
{
    for (unsigned i = 0; i < chain; i++) {
        const struct audit_chain *other = &audit->chains[i];
        const struct audit_round *same =
            strcmp(other->owner.task, audit->chains[chain].owner.task) == 0
                ? mr_audit_find(other, round->round)
                : NULL;
        if (same && (!opened || same->was_opened)) {
            return false;
        }
    }
    return true;
}

int mr_audit_released(struct audit *audit)
{
    size_t most = 0, count = 0;
    for (unsigned i = 0; i < audit->chains_count; i++) {
        most += audit->chains[i].rounds_count;
    }
    struct released *list = malloc((most + 1) * sizeof *list);
    if (!list) {
        return mr_audit_no_memory(audit);
    }
    for (unsigned i = 0; i < audit->chains_count; i++) {
        const struct audit_chain *chain = &audit->chains[i];
        for (size_t j = 0; j < chain->rounds_count; j++) {
            const struct audit_round *round = chain->rounds[j];
            audit->result->rounds += is_first(audit, i, round, false);
            if (round->was_opened && round->counted && is_first(audit, i, round, true)) {
                list[count++] = (struct released){chain, round};
                audit->result->released += round->model ? 1 : 0;
            }
        }
    }
    const int result = check_released(audit, list, count);
    free(list);
    return result;
}
