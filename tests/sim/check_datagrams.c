/* check_datagrams.c - datagrams and seals against the plain model: keys, nonces, uploads, bytes. */
#include <inttypes.h>
#include <string.h>

#include "tests/sim/check_internal.h"
#include "base/bytes.h"
#include "wire/datagram.h"

uint64_t check_hash(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    const uint64_t words[4] = {a, b, c, d};
    return sim_hash(words, sizeof words, 4);
}

uint64_t *check_upload_owner(struct sim *sim, const struct sim_node *lead, uint64_t upload_id,
                             bool *fresh)
{
    return map_at(&sim->check->uploads, check_hash(lead->index, upload_id, 0, 19), fresh);
}

#define OWNER_TASK(owner)   ((unsigned)((owner) >> 48))
#define OWNER_ROUND(owner)  ((owner) >> 8 & ((UINT64_C(1) << 40) - 1))
#define OWNER_DEVICE(owner) ((unsigned)((owner)&0xff))

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
        check_hash(device->index << 8 | hub, header.upload_id, header.chunk, header.round), &fresh);
    const uint64_t now = sim_hash(bytes, length, 11);
    sim_mark(sim, device, "chunk", header.chunk, now);
    if (!fresh && *known != now) {
        sim_broken(sim, "%s sends chunk %u of round %" PRIu64 " again with other bytes",
                   device->name, header.chunk, header.round);
    }
    *known = now;
}

void sim_check_key(struct sim *sim, const void *holder, const struct mr_aead_key *key)
{
    bool fresh;
    *map_at(&sim->check->keys, sim_hash(&holder, sizeof holder, 12), &fresh) =
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
    uint64_t *known = map_at(&sim->check->nonces, check_hash(key, number, 15, 0), &fresh);
    if (!fresh && *known != message) {
        sim_broken(sim, "one key and nonce for two messages (number %" PRIu64 ")", number);
    }
    *known = message;
}

void sim_check_sealed(struct sim *sim, const void *holder, uint64_t sequence, const uint8_t *header,
                      const uint8_t *cipher, size_t bytes, const uint8_t *tag)
{
    bool fresh;
    const uint64_t key = *map_at(&sim->check->keys, sim_hash(&holder, sizeof holder, 12), &fresh);
    const uint64_t message =
        sim_hash(cipher, bytes, sim_hash(tag, MR_TAG_BYTES, sim_hash(header, 32, 14)));
    sim_check_unit(sim, key, sequence, message);
}

void sim_check_ack(struct sim *sim, const uint8_t *header, const uint8_t *plain)
{
    bool fresh;
    const uint64_t round = mr_be64_get(header + 16);
    const uint64_t owner = *check_upload_owner(sim, sim->current, mr_be64_get(header + 8), &fresh);
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
    const uint64_t owner = *check_upload_owner(sim, hub, upload_id, &fresh);
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
