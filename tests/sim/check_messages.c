/* check_messages.c - every message against the plain model: keys, nonces, seeds, answers, bytes. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/check_internal.h"
#include "tests/sim/control.h"
#include "tests/sim/device.h"
#include "tests/sim/plan.h"
#include "base/assert.h"
#include "base/bytes.h"
#include "wire/messages.h"

static uint64_t hash4(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    const uint64_t words[4] = {a, b, c, d};
    return sim_hash(words, sizeof words, 4);
}

static bool ends_with(const char *text, const char *end)
{
    const size_t length = strlen(text), end_length = strlen(end);
    return length >= end_length && strcmp(text + length - end_length, end) == 0;
}

/* The number behind "/rounds/" in a path; 0: none. */
static uint64_t round_in(const char *path)
{
    const char *at = strstr(path, "/rounds/");
    return at ? strtoull(at + 8, NULL, 10) : 0;
}

/* --- seeds ----------------------------------------------------------------------------------- */

/* A seed serves one (device, round, attempt, hub). */
static void check_seed(struct sim_node *from, struct sim_node *to, const uint8_t *body,
                       size_t length)
{
    struct sim *sim = from->sim;
    struct mr_seed_request request;
    struct mr_error error;
    bool fresh;
    if (mr_seed_request_decode(&request, (const char *)body, length, &error) != 0) {
        sim_broken(sim, "%s sent a seed that cannot be read: %s", from->name, error.text);
        return;
    }
    const uint64_t use = hash4(sim_hash(request.announcement_hash, MR_HASH_BYTES, 5), from->index,
                               to->index, request.attempt);
    uint64_t *known = map_at(&sim->check->seeds, sim_hash(request.seed, MR_SEED_BYTES, 6), &fresh);
    if (!fresh && *known != use) {
        sim_broken(sim, "%s uses a seed twice, now in attempt %u for %s", from->name,
                   request.attempt, to->name);
    }
    *known = use;
}

void sim_check_question(struct sim_node *from, struct sim_node *to, const char *path,
                        const uint8_t *body, size_t length)
{
    if (ends_with(path, "/seed")) {
        check_seed(from, to, body, length);
    }
}

/* --- answers of a hub ------------------------------------------------------------------------- */

/* One immutable answer a round: the same question gets the same bytes, any other is refused. */
static void check_immutable(struct sim_node *hub, const struct sim_task *task, uint64_t round,
                            uint64_t step, const uint8_t *question, size_t question_bytes,
                            const uint8_t *body, size_t length)
{
    struct sim *sim = hub->sim;
    bool fresh;
    const uint64_t asked = sim_hash(question, question_bytes, 7);
    const uint64_t said = sim_hash(body, length, 8);
    const uint64_t place = hash4(hub->index << 8 | task->index, round, step, 9);
    uint64_t *first = map_at(&sim->check->answered, place, &fresh);
    if (!fresh && *first != asked) {
        sim_broken(sim, "%s has answered two different questions in round %" PRIu64 " of %s",
                   hub->name, round, task->name);
    }
    *first = asked;
    uint64_t *before = map_at(&sim->check->answers, hash4(place, asked, 0, 10), &fresh);
    if (!fresh && *before != said) {
        sim_broken(sim,
                   "%s has answered the same question twice, with different bytes, in round "
                   "%" PRIu64 " of %s",
                   hub->name, round, task->name);
    }
    *before = said;
}

static void check_cohort(struct sim_node *hub, const struct sim_task *task, const uint8_t *question,
                         size_t length)
{
    const uint32_t count = length >= 4 ? mr_be32_get(question) : 0;
    if (count < task->cohort_min) {
        sim_broken(hub->sim, "%s has committed to a set of %u devices, %u are the least", hub->name,
                   count, task->cohort_min);
    }
}

/* What a hub signs is of the task that it was asked for, and names that task's hubs. */
static void check_terms(struct sim_node *hub, const struct sim_task *task,
                        const struct mr_announcement *announcement)
{
    bool right =
        strcmp(announcement->task, task->name) == 0 && announcement->hub_count == task->hubs_count;
    for (unsigned i = 0; right && i < task->hubs_count; i++) {
        right = announcement->hubs[i].index == SIM_HUB_INDEX + task->hubs[i];
    }
    if (!right) {
        sim_broken(hub->sim, "%s has signed a round of %s for task %s", hub->name,
                   announcement->task, task->name);
    }
    if (announcement->cohort_max > mr_ring_clients_max(announcement->ring_bits, 0)) {
        sim_broken(hub->sim, "%s has signed a round that its ring does not hold", hub->name);
    }
}

static void check_proposal(struct sim_node *hub, const struct sim_task *task,
                           const uint8_t *question, size_t question_bytes, const uint8_t *body,
                           size_t length)
{
    struct mr_round_terms terms;
    struct mr_error error;
    if (mr_round_terms_decode(&terms, question, question_bytes, &error) != 0) {
        sim_broken(hub->sim, "%s has signed what cannot be read", hub->name);
        return;
    }
    check_terms(hub, task, &terms.announcement);
    sim_check_signed(hub->sim, task, terms.announcement.round);
    check_immutable(hub, task, terms.announcement.round, 0, question, question_bytes, body, length);
}

/* Uploads of all tasks share a lead's ids. */
static uint64_t *upload_owner(struct sim *sim, const struct sim_node *lead, uint64_t upload_id,
                              bool *fresh)
{
    return map_at(&sim->check->uploads, hash4(lead->index, upload_id, 0, 19), fresh);
}

#define OWNER_TASK(owner)   ((unsigned)((owner) >> 48))
#define OWNER_ROUND(owner)  ((owner) >> 8 & ((UINT64_C(1) << 40) - 1))
#define OWNER_DEVICE(owner) ((unsigned)((owner)&0xff))

static void check_grant(struct sim_node *hub, const struct sim_node *asker,
                        const struct sim_task *task, uint64_t round, const uint8_t *body,
                        size_t length)
{
    struct sim *sim = asker->sim;
    struct mr_upload_grant grant;
    struct mr_error error;
    bool fresh;
    if (mr_upload_grant_decode(&grant, (const char *)body, length, &error) != 0) {
        sim_broken(sim, "a grant that cannot be read: %s", error.text);
        return;
    }
    uint64_t *owner = upload_owner(sim, hub, grant.upload_id, &fresh);
    const uint64_t mine = (uint64_t)task->index << 48 | round << 8 | (asker->index - SIM_HUBS);
    if (*owner && *owner != mine) {
        sim_broken(sim, "%s gives one upload id to two devices, rounds or tasks", hub->name);
    }
    *owner = mine;
}

static void check_status(struct sim_node *asker, const struct sim_task *task, const char *path,
                         const uint8_t *body, size_t length)
{
    struct mr_upload_status status;
    struct mr_error error;
    if (mr_upload_status_decode(&status, (const char *)body, length, &error) == 0 &&
        status.state == MR_UPLOAD_COMMITTED) {
        sim_check_told(asker->sim, task, round_in(path), asker->index - SIM_HUBS);
    }
}

void sim_check_answer(struct sim_node *hub, struct sim_node *asker, const char *path,
                      const uint8_t *question, size_t question_bytes, const uint8_t *body,
                      size_t length)
{
    static const char *const steps[] = {"/freeze", "/open", "/reveal"};
    const struct sim_task *task = sim_task_of_path(hub->sim, path);
    if (!task || !sim_task_serves(task, hub)) {
        sim_broken(hub->sim, "%s answers for a task that it does not serve: %s", hub->name, path);
        return;
    }
    if (ends_with(path, "/peer/rounds")) {
        check_proposal(hub, task, question, question_bytes, body, length);
    } else if (ends_with(path, "/uploads")) {
        check_grant(hub, asker, task, round_in(path), body, length);
    } else if (strstr(path, "/uploads/")) {
        check_status(asker, task, path, body, length);
    }
    for (unsigned i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        if (ends_with(path, steps[i])) {
            check_immutable(hub, task, round_in(path), i + 1, question, question_bytes, body,
                            length);
            if (i == 0) {
                check_cohort(hub, task, question, question_bytes);
            }
        }
    }
}

/* --- datagrams ------------------------------------------------------------------------------- */

/* A retransmission is byte-identical. */
void sim_check_chunk(struct sim_node *device, unsigned hub, const uint8_t *bytes, size_t length)
{
    struct sim *sim = device->sim;
    struct mr_datagram header;
    bool fresh;
    if (mr_datagram_decode(&header, bytes, length) != MR_DATAGRAM_OK) {
        sim_broken(sim, "%s sends a datagram that is none", device->name);
        return;
    }
    uint64_t *known = map_at(
        &sim->check->chunks,
        hash4(device->index << 8 | hub, header.upload_id, header.chunk, header.round), &fresh);
    const uint64_t now = sim_hash(bytes, length, 11);
    sim_mark(sim, device, "chunk", header.chunk, now);
    if (!fresh && *known != now) {
        sim_broken(sim, "%s sends chunk %u of round %" PRIu64 " again with other bytes",
                   device->name, header.chunk, header.round);
    }
    *known = now;
}

void sim_check_key(struct sim *sim, const struct mr_aead *aead, const struct mr_aead_key *key)
{
    bool fresh;
    *map_at(&sim->check->keys, sim_hash(&aead, sizeof aead, 12), &fresh) =
        sim_hash(key, sizeof *key, 13);
}

uint64_t *sim_check_verified(struct sim *sim, uint64_t question, bool *fresh)
{
    return map_at(&sim->check->verified, question, fresh);
}

/* No (key, nonce) for two messages; the nonce is a function of the number. */
void sim_check_unit(struct sim *sim, uint64_t key, uint64_t number, uint64_t message)
{
    bool fresh;
    uint64_t *known = map_at(&sim->check->nonces, hash4(key, number, 15, 0), &fresh);
    if (!fresh && *known != message) {
        sim_broken(sim, "one key and nonce for two messages (number %" PRIu64 ")", number);
    }
    *known = message;
}

void sim_check_sealed(struct sim *sim, const struct mr_aead *aead, uint64_t sequence,
                      const uint8_t *header, const uint8_t *cipher, size_t bytes,
                      const uint8_t *tag)
{
    bool fresh;
    const uint64_t key = *map_at(&sim->check->keys, sim_hash(&aead, sizeof aead, 12), &fresh);
    const uint64_t message =
        sim_hash(cipher, bytes, sim_hash(tag, MR_TAG_BYTES, sim_hash(header, 32, 14)));
    sim_check_unit(sim, key, sequence, message);
}

void sim_check_ack(struct sim *sim, const uint8_t *header, const uint8_t *plain)
{
    bool fresh;
    const uint64_t round = mr_be64_get(header + 16);
    const uint64_t owner = *upload_owner(sim, sim->current, mr_be64_get(header + 8), &fresh);
    if (!owner) {
        return;
    }
    if (OWNER_ROUND(owner) != round) {
        sim_broken(sim, "%s acknowledges an upload as one of another round", sim->current->name);
    }
    if (plain[0] == MR_UPLOAD_COMMITTED) {
        sim_check_told(sim, &sim->plan.tasks[OWNER_TASK(owner)], round, OWNER_DEVICE(owner));
    }
}

const struct sim_task *sim_check_upload_task(struct sim *sim, const struct sim_node *hub,
                                             uint64_t upload_id)
{
    bool fresh;
    const uint64_t owner = *upload_owner(sim, hub, upload_id, &fresh);
    return owner ? &sim->plan.tasks[OWNER_TASK(owner)] : NULL;
}

/* --- bytes to whom --------------------------------------------------------------------------- */

static uint64_t *allowance(struct sim_node *lead, const struct mr_peer_address *address)
{
    bool fresh;
    const uint64_t end = (uint64_t)lead->index << 16 | address->port;
    return map_at(&lead->sim->check->addresses, sim_hash(&address->host, sizeof address->host, end),
                  &fresh);
}

#define NEVER (UINT64_C(1) << 63)

void sim_check_lead_got(struct sim_node *lead, const struct mr_peer_address *from, size_t length)
{
    *allowance(lead, from) += length;
}

void sim_check_stranger(struct sim_node *lead, const struct mr_peer_address *from)
{
    *allowance(lead, from) |= NEVER;
}

void sim_check_lead_sent(struct sim_node *lead, const struct mr_peer_address *to, size_t length)
{
    uint64_t *left = allowance(lead, to);
    if (*left & NEVER) {
        sim_broken(lead->sim, "%s answers a stranger", lead->name);
    } else if (*left < length) {
        sim_broken(lead->sim, "%s sends more to an address than came from it", lead->name);
    } else {
        *left -= length;
    }
}
