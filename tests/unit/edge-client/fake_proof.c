/* fake_proof.c - what the fake federation's hubs prove: honestly, unless a test forges it. */
#include <string.h>

#include "tests/unit/edge-client/check.h"
#include "tests/unit/edge-client/fake_routes.h"
#include "wire/receipt.h"
#include "tests/unit/wire/pair.h"

static const uint8_t client_id[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

/* The device between two others. */
static void build(const struct fake *fake, unsigned hub, struct mr_audit_tree *tree)
{
    const uint32_t attempt = fake->committed_attempt;
    const struct mr_key_scope scope = {fake->announcement.task, fake->terms.hash, client_id,
                                       (uint16_t)(4 + hub), attempt};
    struct mr_audit_entry list[3] = {
        {.hash = {7}}, {.of.attempt = attempt, .salt = {hub == 0}}, {.of.client_id = {9}}};
    memcpy(list[1].of.client_id, client_id, sizeof client_id);
    CHECK(!(hub == 0 ? mr_share_hash(list[1].hash, fake->committed, fake->terms.layout.share_bytes,
                                     &scope)
                     : mr_seed_hash(list[1].hash, fake->seeds[attempt][hub], &scope)));
    CHECK(!mr_audit_tree_build(tree, list, 3));
}

void fake_prove(struct fake *fake, unsigned hub, struct mr_audit_proof *proof)
{
    struct mr_audit_tree tree;
    *proof = (struct mr_audit_proof){
        .hub_index = (uint16_t)(4 + hub), .salt = {hub == 0}, .commitment_count = fake->hub_count};
    for (unsigned i = 0; i < fake->hub_count; i++) {
        struct mr_commitment *commitment = &proof->commitments[i];
        build(fake, i, &tree);
        if (i == hub) {
            mr_audit_proof_path(proof, &tree, 1);
        }
        commitment->hub_index = (uint16_t)(4 + i);
        memcpy(commitment->root, mr_audit_tree_root(&tree), MR_HASH_BYTES);
        CHECK(!mr_commitment_sign(commitment, fake->terms.hash, PAIR_OF(fake->private_keys[i])));
        mr_audit_tree_fini(&tree);
    }
}
