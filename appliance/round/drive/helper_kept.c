#include "appliance/round/drive/helper_kept.h"

#include <stdlib.h>
#include <string.h>

#include "appliance/round/helper/journal_state.h"
#include "base/assert.h"
#include "base/secret.h"

void mr_helper_kept_drop(struct mr_helper_kept *kept)
{
    if (kept) {
        mr_secret_free(kept->entries);
    }
    free(kept);
}

struct mr_helper_kept *mr_helper_kept_copy(const struct mr_journal_state *state)
{
    const bool done = state->phase == MR_JOURNAL_DONE;
    if (state->terms->announcement.audit_hours == 0 || state->phase == MR_JOURNAL_ADMITTING) {
        return NULL;
    }
    struct mr_helper_kept *kept = calloc(1, sizeof *kept);
    MR_ASSERT(kept);
    kept->terms = *state->terms;
    kept->count = state->count;
    memcpy(kept->commitments, state->commitments, sizeof kept->commitments);
    if (!done) {
        kept->entries = mr_secret_new((size_t)state->count * sizeof *kept->entries);
        MR_ASSERT(kept->entries);
        memcpy(kept->entries, state->entries, (size_t)state->count * sizeof *kept->entries);
    }
    return kept;
}

/* `set` and `items` have room for all of it. */
static int keep_all(struct mr_audit_shelf *shelf, const struct mr_helper_kept *kept,
                    struct mr_included *set, struct mr_audit_item *items, struct mr_error *error)
{
    for (uint32_t i = 0; i < kept->count; i++) {
        set[i] = kept->entries[i].included;
        items[i] = (struct mr_audit_item){.of = set[i], .material = kept->entries[i].seed};
    }
    const int result = mr_audit_shelf_keep(shelf, &kept->terms, items, kept->count, error);
    return result == 0 ? mr_audit_shelf_keep_set(shelf, &kept->terms, set, kept->count, error)
                       : result;
}

int mr_helper_kept_write(const struct mr_helper_kept *kept, struct mr_audit_shelf *shelf,
                         struct mr_error *error)
{
    if (!kept->entries) {
        return mr_audit_shelf_keep_commitments(shelf, &kept->terms, kept->commitments, error);
    }
    struct mr_included *set = malloc(((size_t)kept->count + 1) * sizeof *set);
    struct mr_audit_item *items = malloc(((size_t)kept->count + 1) * sizeof *items);
    const int result = set && items ? keep_all(shelf, kept, set, items, error)
                                    : mr_error_set(error, "out of memory for what is kept");
    free(set);
    free(items);
    return result == 0 ? mr_audit_shelf_sync(shelf, error) : -1;
}
