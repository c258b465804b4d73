#include "appliance/privacy/counted.h"

#include <stdlib.h>
#include <string.h>

void mr_counted_fini(struct mr_counted_table *table)
{
    mr_audit_tree_fini(&table->tree);
    free(table->list);
    *table = (struct mr_counted_table){.list = NULL};
}

int mr_counted_add(struct mr_counted_table *table, const struct mr_audit_entry *counted)
{
    if (table->count == table->capacity) {
        const uint32_t capacity = table->capacity ? 2 * table->capacity : 64;
        struct mr_audit_entry *list = realloc(table->list, capacity * sizeof *list);
        if (!list) {
            return -1;
        }
        table->list = list;
        table->capacity = capacity;
    }
    table->list[table->count++] = *counted;
    return 0;
}

/* By client, then attempt. */
static int compare(const struct mr_included *a, const struct mr_included *b)
{
    const int clients = memcmp(a->client_id, b->client_id, MR_CLIENT_ID_BYTES);
    return clients != 0 ? clients : (a->attempt > b->attempt) - (a->attempt < b->attempt);
}

/* The place of the newest entry of that upload, UINT32_MAX if there is none. `order` lists places
 * by upload, then by place. */
static uint32_t newest_of(const struct mr_counted_table *table, const uint32_t *order,
                          const struct mr_included *wanted)
{
    uint32_t low = 0, high = table->count; /* behind the last one that is not above */
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (compare(&table->list[order[middle]].of, wanted) <= 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low > 0 && compare(&table->list[order[low - 1]].of, wanted) == 0 ? order[low - 1]
                                                                            : UINT32_MAX;
}

static int compare_places(const void *a, const void *b, void *context)
{
    const struct mr_audit_entry *list = context;
    const uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    const int uploads = compare(&list[left].of, &list[right].of);
    return uploads != 0 ? uploads : (left > right) - (left < right);
}

static int pick(const struct mr_counted_table *table, struct mr_audit_entry *picked,
                const struct mr_included *set, uint32_t count)
{
    uint32_t *order = malloc(((size_t)table->count + 1) * sizeof *order);
    int result = order ? 0 : -1;
    for (uint32_t i = 0; order && i < table->count; i++) {
        order[i] = i;
    }
    if (order) {
        qsort_r(order, table->count, sizeof *order, compare_places, table->list);
    }
    for (uint32_t i = 0; result == 0 && i < count; i++) {
        const uint32_t place = newest_of(table, order, &set[i]);
        if (place == UINT32_MAX) {
            result = 1;
        } else {
            picked[i] = table->list[place];
        }
    }
    free(order);
    return result;
}

int mr_counted_freeze(struct mr_counted_table *table, const struct mr_included *set, uint32_t count)
{
    struct mr_audit_entry *picked = malloc(((size_t)count + 1) * sizeof *picked);
    struct mr_audit_tree tree = {.count = 0};
    int result = picked ? pick(table, picked, set, count) : -1;
    if (result == 0 && mr_audit_tree_build(&tree, picked, count) != 0) {
        result = -1;
    }
    if (result != 0) {
        free(picked);
        return result;
    }
    mr_counted_fini(table);
    *table = (struct mr_counted_table){
        .list = picked, .count = count, .capacity = count + 1, .tree = tree};
    return 0;
}

int mr_counted_prove(const struct mr_counted_table *table,
                     const uint8_t client_id[MR_CLIENT_ID_BYTES], struct mr_audit_proof *proof)
{
    uint32_t low = 0, high = table->tree.count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (memcmp(table->list[middle].of.client_id, client_id, MR_CLIENT_ID_BYTES) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == table->tree.count ||
        memcmp(table->list[low].of.client_id, client_id, MR_CLIENT_ID_BYTES) != 0) {
        return 1;
    }
    memcpy(proof->salt, table->list[low].salt, MR_AUDIT_SALT_BYTES);
    mr_audit_proof_path(proof, &table->tree, low);
    return 0;
}
