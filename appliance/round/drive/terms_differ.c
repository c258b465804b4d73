#include "appliance/round/drive/terms_differ.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define ROTATION_MOST 16 /* above: this hub leaves it to be computed */

struct list {
    struct mr_terms_difference *out;
    unsigned count;
};

static struct mr_terms_difference *add(struct list *list, const char *key)
{
    struct mr_terms_difference *entry = &list->out[list->count++];
    entry->key = key;
    return entry;
}

static void whole(struct list *list, const char *key, uint64_t asked, uint64_t own)
{
    if (asked != own) {
        struct mr_terms_difference *entry = add(list, key);
        snprintf(entry->asked, sizeof entry->asked, "%llu", (unsigned long long)asked);
        snprintf(entry->own, sizeof entry->own, "%llu", (unsigned long long)own);
    }
}

static void real(struct list *list, const char *key, float asked, float own)
{
    if (asked < own || asked > own) {
        struct mr_terms_difference *entry = add(list, key);
        snprintf(entry->asked, sizeof entry->asked, "%.6g", (double)asked);
        snprintf(entry->own, sizeof entry->own, "%.6g", (double)own);
    }
}

/* The number varies from round to round by the time that the proposal took: only its side is told.
 */
static void deadline(struct list *list, uint64_t left_ms, uint32_t own)
{
    const uint64_t slack = own / 10 + 2000;
    if (left_ms == UINT64_MAX || (left_ms <= own + slack && left_ms + slack >= own)) {
        return;
    }
    struct mr_terms_difference *entry = add(list, "deadline_ms");
    snprintf(entry->asked, sizeof entry->asked, "%s", left_ms > own ? "longer" : "shorter");
    snprintf(entry->own, sizeof entry->own, "%u", own);
}

unsigned mr_terms_differ(struct mr_terms_difference out[MR_TERMS_DIFFERENCES_MAX],
                         const struct mr_announcement *asked, const struct mr_config_round *own,
                         uint64_t left_ms)
{
    struct list list = {.out = out};
    const char *training = own->training ? own->training : "";
    whole(&list, "cohort_min", asked->cohort_min, mr_config_set_min(own));
    if (own->cohort_max != 0) {
        whole(&list, "cohort_max", asked->cohort_max, own->cohort_max);
    }
    deadline(&list, left_ms, own->deadline_ms);
    whole(&list, "ring_bits", asked->ring_bits, own->ring_bits);
    if (mr_config_levels_asked(own) > 0) {
        whole(&list, "levels", asked->levels, own->levels);
    }
    whole(&list, "headroom", asked->headroom, own->headroom);
    if (own->rotation_log2 <= ROTATION_MOST) {
        whole(&list, "rotation_log2", asked->rotation_log2, own->rotation_log2);
    }
    whole(&list, "chunk_bytes", asked->chunk_bytes, own->chunk_bytes);
    whole(&list, "weight_max", asked->weight_max, own->weight_max);
    if (own->scale > 0) {
        real(&list, "scale", asked->scale, own->scale);
    }
    real(&list, "clip_norm", asked->clip_norm, own->clip_norm);
    if (own->step_max > 0) {
        real(&list, "step_max", asked->step_max, own->step_max);
    }
    whole(&list, "audit_hours", asked->audit_hours, own->audit_hours);
    if (strcmp(asked->training, training) != 0) {
        struct mr_terms_difference *entry = add(&list, "training");
        snprintf(entry->asked, sizeof entry->asked, "%s", "another text");
        snprintf(entry->own, sizeof entry->own, "%s", *training != '\0' ? "its own" : "none");
    }
    return list.count;
}

void mr_terms_differences_text(char *text, size_t bytes, const struct mr_terms_difference *list,
                               unsigned count)
{
    size_t used = 0;
    text[0] = '\0';
    for (unsigned i = 0; i < count && used < bytes; i++) {
        used += (size_t)snprintf(text + used, bytes - used, "%s%s %s (here %s)", i > 0 ? ", " : "",
                                 list[i].key, list[i].asked, list[i].own);
    }
}
