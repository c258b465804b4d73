/* check_mark.c - marks in models, calculated a second time (docs/wire-format.md, section 20), and
 * who comes to know the parts of their keys, and when. */
#include <inttypes.h>
#include <math.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "tests/sim/check_internal.h"
#include "tests/sim/control.h"
#include "tests/sim/disk_internal.h"
#include "tests/sim/hub.h"
#include "tests/sim/marks.h"
#include "tests/sim/plan.h"

/* --- the mark ----------------------------------------------------------------------------------
 */

static int compare_parts(const void *a, const void *b)
{
    return memcmp(a, b, MR_WATERMARK_KEY_BYTES);
}

static void mac(uint8_t out[32], const uint8_t *key, const uint8_t *message, size_t length)
{
    MR_ASSERT(HMAC(EVP_sha256(), key, 32, message, length, out, NULL));
}

static void join_key(uint8_t key[32], const struct sim_task *task)
{
    static const char label[] = "\x16millrace watermark key";
    static const uint8_t zeros[32];
    uint8_t message[sizeof label + 1 + sizeof task->mark_parts], *at = message;
    const size_t parts = (size_t)task->hubs_count * MR_WATERMARK_KEY_BYTES;
    memcpy(at, label, sizeof label - 1);
    at += sizeof label - 1;
    mr_be16_put(at, (uint16_t)task->hubs_count);
    at += 2;
    memcpy(at, task->mark_parts, parts);
    qsort(at, task->hubs_count, MR_WATERMARK_KEY_BYTES, compare_parts);
    mac(key, zeros, message, (size_t)(at - message) + parts);
}

/* A bit a value: 1 is −1. */
static void draw_signs(uint8_t signs[SIM_VALUES_MAX / 8], const uint8_t key[32])
{
    static const char label[] = "\x18millrace watermark signs";
    static const uint8_t zeros[SIM_VALUES_MAX / 8];
    uint8_t message[sizeof label - 1 + 32], stream[32];
    int length;
    memcpy(message, label, sizeof label - 1);
    SHA256((const uint8_t *)SIM_TENSOR, strlen(SIM_TENSOR), message + sizeof label - 1);
    mac(stream, key, message, sizeof message);
    EVP_CIPHER_CTX *aes = EVP_CIPHER_CTX_new();
    MR_ASSERT(aes && EVP_EncryptInit_ex(aes, EVP_aes_128_ctr(), NULL, stream, stream + 16) == 1 &&
              EVP_EncryptUpdate(aes, signs, &length, zeros, sizeof zeros) == 1);
    EVP_CIPHER_CTX_free(aes);
}

static double sign_of(const uint8_t *signs, size_t i)
{
    return signs[i / 8] >> i % 8 & 1 ? -1 : 1;
}

static double score(double mean, double by, double count)
{
    return count * (mean + by) / sqrt(1 + 2 * by * mean + by * by) / sqrt(count);
}

void check_mark(float *values, const struct sim_task *task)
{
    uint8_t key[32], signs[SIM_VALUES_MAX / 8];
    const size_t count = task->dimension;
    double sum = 0, energy = 0, low = 0, high = 1;
    join_key(key, task);
    draw_signs(signs, key);
    for (size_t i = 0; i < count; i++) {
        sum += sign_of(signs, i) * (double)values[i];
        energy += (double)values[i] * (double)values[i];
    }
    const double rms = sqrt(energy / (double)count), mean = sum / rms / (double)count;
    if (score(mean, 0, (double)count) >= 0.8 * SIM_MARK_STRENGTH ||
        score(mean, 1, (double)count) < SIM_MARK_STRENGTH) {
        return;
    }
    for (unsigned i = 0; i < 60; i++) {
        const double middle = (low + high) / 2;
        if (score(mean, middle, (double)count) < SIM_MARK_STRENGTH) {
            low = middle;
        } else {
            high = middle;
        }
    }
    for (size_t i = 0; i < count; i++) {
        values[i] = (float)((double)values[i] + sign_of(signs, i) * high * rms);
    }
}

/* --- who is told a part, and when ---------------------------------------------------------------
 */

/* Every helper has committed to its result (the lead's commitment came with the question); or has
 * opened it. */
static bool all_helpers(const struct sim_task *task, const struct round *round, bool opened)
{
    for (unsigned i = 1; i < task->hubs_count; i++) {
        const unsigned hub = task->hubs[i];
        if (opened ? !(round->parts_told >> hub & 1) : round->frozen[hub] == 0) {
            return false;
        }
    }
    return true;
}

/* A helper's own part goes to its lead with its opening, the lead's and the other helpers' to a
 * helper with all openings. */
static bool is_due(struct sim *sim, const struct sim_mark_part *part, const struct sim_node *from,
                   const char *path, bool answers)
{
    const struct sim_task *task = sim_task_of_path(sim, path);
    if (task != part->task || sim_path_round(path) == 0) {
        return false;
    }
    struct round *round = check_round(sim, task, sim_path_round(path));
    if (answers) {
        return task->hubs[part->place] == from->index && part->place > 0 &&
               sim_path_ends(path, "/open") && all_helpers(task, round, false);
    }
    return sim_task_leads(task, from) && sim_path_ends(path, "/reveal") &&
           all_helpers(task, round, true);
}

void sim_check_sends(struct sim_node *from, struct sim_node *to, const char *path, bool answers,
                     const uint8_t *body, size_t length)
{
    struct sim *sim = from->sim;
    struct sim_mark_part part;
    if (from->index >= SIM_HUBS) {
        return;
    }
    for (size_t at = 0; sim_marks_find(sim, body, length, &at, &part);) {
        if (!is_due(sim, &part, from, path, answers)) {
            sim_breach(sim,
                       "%s tells %s the part of h%u of the key of %s's mark before it is due, "
                       "in %s",
                       from->name, to->name, part.task->hubs[part.place], part.task->name, path);
            return;
        }
    }
    const struct sim_task *task = sim_task_of_path(sim, path);
    if (answers && task && sim_path_ends(path, "/open") && sim_path_round(path) > 0) {
        check_round(sim, task, sim_path_round(path))->parts_told |= (uint8_t)(1u << from->index);
    }
}

void check_parts_in_text(struct sim_node *node, const char *text)
{
    char hex[2 * MR_WATERMARK_KEY_BYTES + 1];
    if (!strstr(text, SIM_MARK_TAG_HEX)) {
        return;
    }
    for (unsigned t = 0; t < node->sim->plan.tasks_count; t++) {
        const struct sim_task *task = &node->sim->plan.tasks[t];
        for (unsigned i = 0; task->marked && i < task->hubs_count; i++) {
            mr_hex_encode(hex, task->mark_parts[i], MR_WATERMARK_KEY_BYTES);
            if (strstr(text, hex)) {
                sim_breach(node->sim, "%s logs a part of the key of %s's mark", node->name,
                           task->name);
            }
        }
    }
}

/* But for the file that its operator made, a part is in no file of a hub. */
static void check_disk(struct sim *sim, unsigned hub)
{
    const struct sim_disk *disk = sim_hub_node(sim, hub)->disk;
    struct sim_mark_part part;
    for (unsigned i = 0; i < disk->entry_count; i++) {
        const struct entry *entry = &disk->entries[i];
        size_t at = 0;
        if (entry->cached && sim_marks_find(sim, entry->cached->cached.bytes,
                                            entry->cached->cached.length, &at, &part)) {
            sim_breach(sim, "h%u has the part of h%u of the key of %s's mark in %s", hub,
                       part.task->hubs[part.place], part.task->name, entry->name);
        }
    }
}

void sim_check_parts_on_disks(struct sim *sim)
{
    for (unsigned i = 0; i < sim->plan.hubs; i++) {
        check_disk(sim, i);
    }
}

/* --- lies --------------------------------------------------------------------------------------
 */

void sim_check_lied(struct sim_node *from, struct sim_node *to, const char *path)
{
    const struct sim_task *task = sim_task_of_path(from->sim, path);
    check_round(from->sim, task, sim_path_round(path))->lied_to |= (uint8_t)(1u << to->index);
}

void check_lies_end(struct sim_node *node, const struct sim_task *task, uint64_t number)
{
    const struct round *round = check_round(node->sim, task, number);
    if (round->lied_to >> node->index & 1) {
        sim_breach(node->sim,
                   "%s has made the model of round %" PRIu64 " of %s, and was told another part "
                   "of the mark's key than the announced one",
                   node->name, number, task->name);
    }
}

void check_lies_named(struct sim *sim, const struct sim_task *task, uint64_t number,
                      const char *reason)
{
    const struct round *round = check_round(sim, task, number);
    char name[16];
    if (!strstr(reason, "of the watermark's key")) {
        return;
    }
    snprintf(name, sizeof name, "hub %u",
             SIM_HUB_INDEX + (task->mark_liar < SIM_HUBS ? task->hubs[task->mark_liar] : 0));
    const char *named = strstr(reason, name);
    if (!round->lied_to || !named || (named[strlen(name)] >= '0' && named[strlen(name)] <= '9')) {
        sim_broken(sim, "round %" PRIu64 " of %s is void by a part of the mark's key: %.150s",
                   number, task->name, reason);
    }
}
