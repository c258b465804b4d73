#include "wire/audit.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "wire/transcript.h"

int mr_share_hash(uint8_t hash[MR_HASH_BYTES], const uint8_t *share, size_t bytes,
                  const struct mr_key_scope *scope)
{
    struct mr_transcript transcript;
    uint8_t covered[MR_KEY_SCOPE_BYTES_MAX];
    mr_transcript_init(&transcript, "millrace share hash");
    mr_transcript_add(&transcript, covered, mr_key_scope_encode(covered, scope));
    return mr_transcript_hash(hash, &transcript, share, bytes);
}

int mr_audit_leaf(uint8_t leaf[MR_HASH_BYTES], const struct mr_audit_entry *counted)
{
    uint8_t bytes[1 + MR_INCLUDED_BYTES + MR_HASH_BYTES] = {0};
    struct mr_transcript transcript;
    mr_transcript_init(&transcript, "millrace counted");
    mr_transcript_add(&transcript, counted->salt, MR_AUDIT_SALT_BYTES);
    memcpy(bytes + 1, counted->of.client_id, MR_CLIENT_ID_BYTES);
    mr_be32_put(bytes + 1 + MR_CLIENT_ID_BYTES, counted->of.attempt);
    return mr_transcript_hash(bytes + 1 + MR_INCLUDED_BYTES, &transcript, counted->hash,
                              MR_HASH_BYTES) == 0 &&
                   EVP_Digest(bytes, sizeof bytes, leaf, NULL, EVP_sha256(), NULL) == 1
               ? 0
               : -1;
}

/* --- the tree -------------------------------------------------------------------------------- */

static int join(uint8_t node[MR_HASH_BYTES], const uint8_t *left, const uint8_t *right)
{
    uint8_t bytes[1 + 2 * MR_HASH_BYTES] = {1};
    memcpy(bytes + 1, left, MR_HASH_BYTES);
    memcpy(bytes + 1 + MR_HASH_BYTES, right, MR_HASH_BYTES);
    return EVP_Digest(bytes, sizeof bytes, node, NULL, EVP_sha256(), NULL) == 1 ? 0 : -1;
}

/* Of all levels. */
static size_t nodes_of(uint32_t count)
{
    size_t nodes = count;
    for (; count > 1; nodes += count) {
        count = count / 2 + count % 2;
    }
    return nodes;
}

/* An odd one at a level's end goes up as it is, which is RFC 6962's tree. */
static int build_level(uint8_t (*above)[MR_HASH_BYTES], uint8_t (*level)[MR_HASH_BYTES],
                       uint32_t count)
{
    for (uint32_t i = 0; i < count; i += 2) {
        if (i + 1 == count) {
            memcpy(above[i / 2], level[i], MR_HASH_BYTES);
        } else if (join(above[i / 2], level[i], level[i + 1]) != 0) {
            return -1;
        }
    }
    return 0;
}

int mr_audit_tree_build(struct mr_audit_tree *tree, const struct mr_audit_entry *counted,
                        uint32_t count)
{
    MR_ASSERT(count > 0);
    *tree = (struct mr_audit_tree){.count = count,
                                   .nodes = malloc(nodes_of(count) * sizeof *tree->nodes)};
    int result = tree->nodes ? 0 : -1;
    for (uint32_t i = 0; result == 0 && i < count; i++) {
        MR_ASSERT(i == 0 || memcmp(counted[i - 1].of.client_id, counted[i].of.client_id,
                                   MR_CLIENT_ID_BYTES) < 0);
        result = mr_audit_leaf(tree->nodes[i], &counted[i]);
    }
    size_t at = 0;
    for (; result == 0 && count > 1; count = count / 2 + count % 2) {
        result = build_level(tree->nodes + at + count, tree->nodes + at, count);
        at += count;
    }
    if (result != 0) {
        mr_audit_tree_fini(tree);
    }
    return result;
}

void mr_audit_tree_fini(struct mr_audit_tree *tree)
{
    free(tree->nodes);
    *tree = (struct mr_audit_tree){.count = 0};
}

const uint8_t *mr_audit_tree_root(const struct mr_audit_tree *tree)
{
    return tree->nodes[nodes_of(tree->count) - 1];
}

/* --- proofs ---------------------------------------------------------------------------------- */

void mr_audit_proof_path(struct mr_audit_proof *proof, const struct mr_audit_tree *tree,
                         uint32_t index)
{
    size_t at = 0;
    MR_ASSERT(index < tree->count);
    proof->index = index;
    proof->count = tree->count;
    proof->path_count = 0;
    for (uint32_t count = tree->count; count > 1; count = count / 2 + count % 2, index /= 2) {
        if ((index ^ 1) < count) {
            memcpy(proof->path[proof->path_count++], tree->nodes[at + (index ^ 1)], MR_HASH_BYTES);
        }
        at += count;
    }
}

/* From the leaf to the root, by exactly the path. */
static int climb(const struct mr_audit_proof *proof, uint8_t node[MR_HASH_BYTES])
{
    uint32_t index = proof->index;
    unsigned used = 0;
    if (index >= proof->count) {
        return -1;
    }
    for (uint32_t count = proof->count; count > 1; count = count / 2 + count % 2, index /= 2) {
        if ((index ^ 1) >= count) {
            continue;
        }
        if (used == proof->path_count) {
            return -1;
        }
        const uint8_t *beside = proof->path[used++];
        if ((index & 1 ? join(node, beside, node) : join(node, node, beside)) != 0) {
            return -1;
        }
    }
    return used == proof->path_count ? 0 : -1;
}

static int check_commitments(const struct mr_audit_proof *proof, const struct mr_audit_claim *claim,
                             struct mr_error *error)
{
    if (proof->commitment_count != claim->hub_count) {
        return mr_error_set(error, "it has %u commitments on record, of %u hubs",
                            proof->commitment_count, claim->hub_count);
    }
    for (unsigned i = 0; i < claim->hub_count; i++) {
        const struct mr_announced_hub *hub = &claim->hubs[i];
        if (proof->commitments[i].hub_index != hub->index ||
            mr_commitment_verify(&proof->commitments[i], claim->announcement_hash,
                                 hub->public_key) != 0) {
            return mr_error_set(error,
                                "the commitment that it has on record as hub %u's is not signed "
                                "by that",
                                hub->index);
        }
    }
    return 0;
}

int mr_audit_proof_check(const struct mr_audit_proof *proof, const struct mr_audit_claim *claim,
                         struct mr_error *error)
{
    uint8_t node[MR_HASH_BYTES];
    struct mr_audit_entry counted = claim->counted;
    if (proof->hub_index != claim->hubs[claim->position].index) {
        return mr_error_set(error, "hub %u answers in its place", proof->hub_index);
    }
    if (check_commitments(proof, claim, error) != 0) {
        return -1;
    }
    memcpy(counted.salt, proof->salt, MR_AUDIT_SALT_BYTES);
    if (mr_audit_leaf(node, &counted) != 0 || climb(proof, node) != 0 ||
        memcmp(node, proof->commitments[claim->position].root, MR_HASH_BYTES) != 0) {
        mr_error_set(error, "what this device sent is not in the tree that it signed");
        return MR_AUDIT_NOT_IN_TREE;
    }
    return 0;
}
