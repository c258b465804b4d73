/* seals.c - what is sealed, seen on its way; and the planted defects that sit in wrapped calls. */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/check.h"
#include "tests/sim/plan.h"
#include "tests/sim/seams.h"
#include "tests/sim/sim.h"
#include "base/assert.h"
#include "wire/datagram.h"

static enum sim_mutant mutant(void)
{
    const struct sim *sim = sim_active();
    return sim ? sim->options.mutant : SIM_MUTANT_NONE;
}

/* --- seals ----------------------------------------------------------------------------------- */

int __wrap_mr_aead_rekey(struct mr_aead *aead, const struct mr_aead_key *key)
{
    struct sim *sim = sim_active();
    if (sim) {
        sim_check_key(sim, aead, key);
    }
    return __real_mr_aead_rekey(aead, key);
}

static int seal_seed(struct mr_aead *aead, const struct mr_aead_message *message, uint8_t *cipher,
                     uint8_t tag[MR_TAG_BYTES])
{
    static const uint8_t no_header[MR_DATAGRAM_HEADER_BYTES];
    struct sim *sim = sim_active();
    const int result = __real_mr_aead_seal(aead, message, cipher, tag);
    if (sim && result == 0 && !sim->current->dead) {
        sim_check_sealed(sim, aead, message->sequence, no_header, cipher, message->bytes, tag);
    }
    return result;
}

/* What a device that lies says of its seed, to the helper and to itself; its share is made with the
 * true one. */
static const uint8_t *said_seed(uint8_t said[MR_SEED_BYTES], const uint8_t seed[MR_SEED_BYTES])
{
    const struct sim *sim = sim_active();
    const struct sim_node *node = sim ? sim->current : NULL;
    memcpy(said, seed, MR_SEED_BYTES);
    if (node && node->index >= SIM_HUBS && sim->plan.liars >> (node->index - SIM_HUBS) & 1) {
        said[0] ^= 1;
    }
    return said;
}

int __wrap_mr_receipt_fill(struct mr_receipt *receipt, const uint8_t seed[MR_SEED_BYTES],
                           const uint8_t sealed_hash[MR_HASH_BYTES],
                           const struct mr_key_scope *scope, const struct mr_layout *layout)
{
    uint8_t said[MR_SEED_BYTES];
    return __real_mr_receipt_fill(receipt, said_seed(said, seed), sealed_hash, scope, layout);
}

int __wrap_mr_seed_seal(struct mr_seed_request *request, const uint8_t seed[MR_SEED_BYTES],
                        const struct mr_key_scope *scope, const uint8_t seal_key[MR_HPKE_KEY_BYTES],
                        const uint8_t ephemeral[MR_HPKE_KEY_BYTES])
{
    struct sim *sim = sim_active();
    if (sim && !sim->current->dead) {
        sim_check_seed(sim, seed, scope);
    }
    uint8_t said[MR_SEED_BYTES];
    return __real_mr_seed_seal(request, said_seed(said, seed), scope, seal_key, ephemeral);
}

int __wrap_mr_aead_seal(struct mr_aead *aead, const struct mr_aead_message *message,
                        uint8_t *cipher, uint8_t tag[MR_TAG_BYTES])
{
    struct sim *sim = sim_active();
    struct mr_aead_message sealed = *message;
    uint8_t first[MR_CHUNK_BYTES_MAX];
    if (sealed.aad_bytes == 0) { /* a seed, in HPKE */
        return seal_seed(aead, message, cipher, tag);
    }
    MR_ASSERT(sealed.bytes <= sizeof first && sealed.bytes > 0);
    memcpy(first, message->text, sealed.bytes); /* the caller may seal in place */
    sealed.text = first;
    const bool is_ack = sealed.aad[3] == MR_DATAGRAM_ACK;
    if (is_ack && mutant() == SIM_MUTANT_NONCE_AGAIN) {
        sealed.sequence &= ~UINT64_C(1);
    }
    if (!is_ack && mutant() == SIM_MUTANT_CHUNK_REWRITTEN && sim_chance(sim, 100)) {
        first[0] ^= 1;
    }
    if (is_ack && mutant() == SIM_MUTANT_COMMITTED_EARLY && first[0] == MR_UPLOAD_STAGED) {
        first[0] = MR_UPLOAD_COMMITTED;
    }
    const int result = __real_mr_aead_seal(aead, &sealed, cipher, tag);
    if (sim && result == 0 && !sim->current->dead) {
        sim_check_sealed(sim, aead, sealed.sequence, sealed.aad, cipher, sealed.bytes, tag);
        if (is_ack) {
            sim_check_ack(sim, sealed.aad, first);
        }
    }
    return result;
}

/* --- ACKs, a burst at a time (with OpenSSL's opener each goes through mr_aead_seal as well) ------
 */

/* Stands for a place of an opener, as the address of an AEAD for itself. */
static const void *holder_of(const struct mr_opener *opener, uint32_t place)
{
    return (const char *)opener + place;
}

int __wrap_mr_opener_key(struct mr_opener *opener, uint32_t place, const struct mr_aead_key *key)
{
    struct sim *sim = sim_active();
    if (sim) {
        sim_check_key(sim, holder_of(opener, place), key);
    }
    return __real_mr_opener_key(opener, place, key);
}

void __wrap_mr_seal_burst(struct mr_opener *opener, struct mr_seal_job *jobs, unsigned count)
{
    struct sim *sim = sim_active();
    uint8_t states[MR_BURST_MAX];
    MR_ASSERT(count <= MR_BURST_MAX);
    for (unsigned i = 0; i < count; i++) {
        uint8_t *state = jobs[i].datagram + MR_DATAGRAM_HEADER_BYTES;
        if (mutant() == SIM_MUTANT_NONCE_AGAIN) {
            jobs[i].sequence &= ~UINT64_C(1);
        }
        if (mutant() == SIM_MUTANT_COMMITTED_EARLY && *state == MR_UPLOAD_STAGED) {
            *state = MR_UPLOAD_COMMITTED;
        }
        states[i] = *state;
    }
    __real_mr_seal_burst(opener, jobs, count);
    for (unsigned i = 0; i < count && sim && !sim->current->dead; i++) {
        const uint8_t *cipher = jobs[i].datagram + MR_DATAGRAM_HEADER_BYTES;
        if (jobs[i].sealed) {
            sim_check_sealed(sim, holder_of(opener, jobs[i].key), jobs[i].sequence,
                             jobs[i].datagram, cipher, jobs[i].bytes, cipher + jobs[i].bytes);
            sim_check_ack(sim, jobs[i].datagram, &states[i]);
        }
    }
}

/* A helper's journal: the same rule, across crashes. */
int __wrap_mr_journal_seal(uint8_t *out, const uint8_t key[MR_JOURNAL_KEY_BYTES],
                           const uint8_t head[MR_JOURNAL_HEAD_BYTES], uint64_t number,
                           const uint8_t *plain, size_t length)
{
    struct sim *sim = sim_active();
    const int result = __real_mr_journal_seal(out, key, head, number, plain, length);
    if (sim && result == 0) {
        sim_check_unit(sim, sim_hash(key, MR_JOURNAL_KEY_BYTES, 16), number,
                       sim_hash(out, length + MR_JOURNAL_UNIT_EXTRA, 17));
    }
    return result;
}

/* --- signatures ------------------------------------------------------------------------------- */

/* Verifying is most of what a seed would cost: every device asks about the same announcement, every
 * hub about the same receipts. So it is remembered what was signed and what was verified before;
 * only what neither tells is really verified. */
static uint64_t question_of(const uint8_t *signature, const struct mr_transcript *transcript,
                            const uint8_t *public_key)
{
    return sim_hash(transcript->bytes, transcript->length,
                    sim_hash(signature, 64, sim_hash(public_key, 32, 18)));
}

/* What an honest hub signed need not be verified again by everybody. */
static void note_signed(const uint8_t signature[64], const struct mr_transcript *transcript,
                        const uint8_t private_key[32])
{
    struct sim *sim = sim_active();
    for (unsigned i = 0; sim && i < SIM_HUBS; i++) {
        bool fresh;
        if (memcmp(sim->hub_keys[i].secret, private_key, 32) == 0) {
            *sim_check_verified(sim, question_of(signature, transcript, sim->hub_keys[i].open),
                                &fresh) = true;
        }
    }
}

int __wrap_mr_transcript_sign(uint8_t signature[64], const struct mr_transcript *transcript,
                              const uint8_t private_key[32])
{
    const int result = __real_mr_transcript_sign(signature, transcript, private_key);
    if (result == 0) {
        note_signed(signature, transcript, private_key);
    }
    return result;
}

int __wrap_mr_transcript_sign_pair(uint8_t signature[64], const struct mr_transcript *transcript,
                                   const struct mr_signing_pair *pair)
{
    const int result = __real_mr_transcript_sign_pair(signature, transcript, pair);
    if (result == 0) {
        note_signed(signature, transcript, pair->private_key);
    }
    return result;
}

int __wrap_mr_transcript_verify(const uint8_t signature[64], const struct mr_transcript *transcript,
                                const uint8_t public_key[32])
{
    struct sim *sim = sim_active();
    bool fresh;
    if (!sim) {
        return __real_mr_transcript_verify(signature, transcript, public_key);
    }
    uint64_t *outcome =
        sim_check_verified(sim, question_of(signature, transcript, public_key), &fresh);
    if (fresh) {
        *outcome = __real_mr_transcript_verify(signature, transcript, public_key) == 0;
    }
    return *outcome ? 0 : -1;
}

/* --- planted defects ------------------------------------------------------------------------- */

void __wrap_mr_open_burst(struct mr_opener *opener, struct mr_open_job *jobs, unsigned count)
{
    __real_mr_open_burst(opener, jobs, count);
    for (unsigned i = 0; mutant() == SIM_MUTANT_TAG_IGNORED && i < count; i++) {
        jobs[i].held = true;
    }
}

/* The share that this hub folded last, where it was one of another task and of the same shape;
 * else the one that is its turn. */
static const uint8_t *take_crossed(const struct mr_layout *layout, const uint8_t *share,
                                   uint64_t upload_id)
{
    static struct {
        const struct sim_node *hub;
        const struct sim_task *task;
        uint64_t seed;
        size_t bytes;
        _Alignas(64) uint8_t share[4096];
    } last, before;
    struct sim *sim = sim_active();
    memcpy(&before, &last, sizeof before);
    last.hub = sim->current;
    last.task = sim_check_upload_task(sim, last.hub, upload_id);
    last.seed = sim->options.seed;
    last.bytes = layout->share_bytes;
    MR_ASSERT(last.bytes <= sizeof last.share);
    memcpy(last.share, share, last.bytes);
    return before.seed == last.seed && before.hub == last.hub && before.task != last.task &&
                   before.bytes == last.bytes
               ? before.share
               : share;
}

void __wrap_mr_shard_fold(struct mr_shard *shard, const struct mr_layout *layout,
                          const uint8_t *const *shares, const uint64_t *upload_ids, unsigned count,
                          const struct mr_kernels *kernels)
{
    const uint8_t *crossed[MR_FOLD_MAX];
    memcpy(crossed, shares, count * sizeof *shares);
    if (mutant() == SIM_MUTANT_SHARE_CROSSED) {
        crossed[0] = take_crossed(layout, shares[0], upload_ids[0]);
    }
    __real_mr_shard_fold(shard, layout, crossed, upload_ids, count, kernels);
    if (mutant() == SIM_MUTANT_FOLDED_TWICE) {
        mr_sum_fold(&shard->sum, layout, shares, 1, kernels);
    }
}

void __wrap_mr_sum_pack(uint8_t *share, const struct mr_layout *layout,
                        const struct mr_vector_sum *sum, const struct mr_kernels *kernels)
{
    const struct sim *sim = sim_active();
    __real_mr_sum_pack(share, layout, sum, kernels);
    if (mutant() == SIM_MUTANT_LANE_CHANGED && sim_task_leads(&sim->plan.tasks[0], sim->current)) {
        share[0] ^= 1;
    }
}
