#include "tests/sim/marks.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "tests/sim/check.h"
#include "tests/sim/disk.h"
#include "tests/sim/plan.h"

#define TAG_BYTES (sizeof SIM_MARK_TAG - 1)

void sim_marks_draw(struct sim *sim, struct sim_task *task)
{
    task->marked = sim_chance(sim, 350);
    task->mark_liar = SIM_HUBS;
    for (unsigned i = 0; i < SIM_HUBS; i++) {
        memcpy(task->mark_parts[i], SIM_MARK_TAG, TAG_BYTES);
        sim_fill(sim, task->mark_parts[i] + TAG_BYTES, MR_WATERMARK_KEY_BYTES - TAG_BYTES);
    }
    if (task->marked && sim->options.malicious && task->index == 0) {
        task->mark_liar = 0;
    } else if (task->marked && sim_chance(sim, 300)) {
        task->mark_liar = (unsigned)sim_below(sim, task->hubs_count);
    }
}

void sim_marks_hashes(const struct sim_task *task, char *text, size_t room)
{
    const size_t each = 2 * (size_t)MR_WATERMARK_HASH_BYTES + 1;
    MR_ASSERT(room >= task->hubs_count * each);
    for (unsigned i = 0; i < task->hubs_count; i++) {
        uint8_t hash[MR_WATERMARK_HASH_BYTES];
        MR_ASSERT(mr_watermark_part_hash(hash, task->mark_parts[i]) == 0);
        mr_hex_encode(text + i * each, hash, sizeof hash);
        text[i * each + each - 1] = i + 1 < task->hubs_count ? ',' : '\0';
    }
}

static unsigned place_of(const struct sim_task *task, const struct sim_node *node)
{
    unsigned place = 0;
    while (place < task->hubs_count && task->hubs[place] != node->index) {
        place++;
    }
    return place;
}

void sim_marks_put_key(struct sim_node *node, const struct sim_task *task)
{
    char name[64], hex[2 * MR_WATERMARK_KEY_BYTES + 1];
    if (task->marked) {
        snprintf(name, sizeof name, SIM_MARK_KEY, task->name);
        mr_hex_encode(hex, task->mark_parts[place_of(task, node)], MR_WATERMARK_KEY_BYTES);
        sim_disk_put(node->disk, name, hex, sizeof hex - 1);
    }
}

/* --- parts in bytes --------------------------------------------------------------------------- */

static bool is_part(const struct sim *sim, const uint8_t *bytes, struct sim_mark_part *found)
{
    for (unsigned t = 0; t < sim->plan.tasks_count; t++) {
        const struct sim_task *task = &sim->plan.tasks[t];
        for (unsigned i = 0; task->marked && i < task->hubs_count; i++) {
            if (memcmp(bytes, task->mark_parts[i], MR_WATERMARK_KEY_BYTES) == 0) {
                *found = (struct sim_mark_part){task, i};
                return true;
            }
        }
    }
    return false;
}

bool sim_marks_find(const struct sim *sim, const uint8_t *bytes, size_t length, size_t *at,
                    struct sim_mark_part *found)
{
    while (length >= MR_WATERMARK_KEY_BYTES && *at <= length - MR_WATERMARK_KEY_BYTES) {
        const uint8_t *tag = memmem(bytes + *at, length - *at, SIM_MARK_TAG, TAG_BYTES);
        if (!tag || (size_t)(tag - bytes) > length - MR_WATERMARK_KEY_BYTES) {
            break;
        }
        *at = (size_t)(tag - bytes);
        if (is_part(sim, tag, found)) {
            *at += MR_WATERMARK_KEY_BYTES;
            return true;
        }
        *at += 1;
    }
    return false;
}

/* --- another part than the announced one -------------------------------------------------------
 */

#define LIES_IN 12 /* rounds, as seen by one hub, about one */

/* The same question gets the same lie, whatever crashes in between. */
static bool lies(const struct sim *sim, const struct sim_node *from, const struct sim_node *to,
                 const struct sim_task *task, const char *path)
{
    const uint64_t words[4] = {sim->options.seed, from->index, to->index, task->index};
    return task->marked && task->mark_liar < SIM_HUBS &&
           task->hubs[task->mark_liar] == from->index &&
           sim_path_ends(path, task->mark_liar == 0 ? "/reveal" : "/open") &&
           sim_hash(path, strlen(path), sim_hash(words, sizeof words, 12)) % LIES_IN == 0;
}

void sim_marks_lie(struct sim_node *from, struct sim_node *to, const char *path, uint8_t *body,
                   size_t length)
{
    struct sim *sim = from->sim;
    const struct sim_task *task = sim_task_of_path(sim, path);
    struct sim_mark_part found;
    if (!task || !lies(sim, from, to, task, path)) {
        return;
    }
    for (size_t at = 0; sim_marks_find(sim, body, length, &at, &found);) {
        if (found.task == task && found.place == task->mark_liar) {
            body[at - 1] ^= 1;
            sim_note(sim, from, "lies to %s of its part of the mark's key: %s", to->name, path);
            sim_check_lied(from, to, path);
        }
    }
}

/* --- planted defects ---------------------------------------------------------------------------
 */

void sim_marks_plant(struct sim_node *hub, const char *path, uint8_t *body, size_t length)
{
    const struct sim *sim = hub->sim;
    const struct sim_task *task = sim_task_of_path(sim, path);
    if (!task || !task->marked || length < MR_WATERMARK_KEY_BYTES) {
        return;
    }
    const uint8_t *part = task->mark_parts[place_of(task, hub)];
    if (sim->options.mutant == SIM_MUTANT_PART_EARLY && sim_path_ends(path, "/freeze")) {
        memcpy(body + length - MR_WATERMARK_KEY_BYTES, part, MR_WATERMARK_KEY_BYTES);
    }
    if (sim->options.mutant == SIM_MUTANT_PART_KEPT && sim_path_ends(path, "/open")) {
        sim_disk_put(hub->disk, "parts", part, MR_WATERMARK_KEY_BYTES);
    }
}
