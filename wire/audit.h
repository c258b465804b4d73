/* audit.h - what a hub counted in a round, as a tree of hashes (RFC 6962, section 2.1) whose root
 * is signed with its commitment; and the proof for one device that its own is in it. Byte layouts:
 * docs/wire-format.md, "Audits". Sans-IO.
 *
 * A lead counts shares, a helper seeds. A leaf of a lead is salted, so that the neighbours' hashes
 * in a proof confirm no guess of a neighbour's update. */
#ifndef MR_WIRE_AUDIT_H
#define MR_WIRE_AUDIT_H

#include "wire/exchange.h"
#include "wire/keys.h"

#define MR_AUDIT_SALT_BYTES 32
#define MR_AUDIT_PATH_MAX   32 /* of 2^32 - 1 leaves */

/* One device as one hub counted it. */
struct mr_audit_entry {
    struct mr_included of;
    uint8_t salt[MR_AUDIT_SALT_BYTES]; /* a lead's is random; a helper's zeros */
    uint8_t hash[MR_HASH_BYTES];       /* a lead's: mr_share_hash; a helper's: of the receipt */
};

/* SHA-256(len8 ‖ "millrace share hash" ‖ scope ‖ share bytes); the scope's hub is the lead. 0, or
 * -1 when OpenSSL fails. */
int mr_share_hash(uint8_t hash[MR_HASH_BYTES], const uint8_t *share, size_t bytes,
                  const struct mr_key_scope *scope);

/* SHA-256(00 ‖ client ‖ be32(attempt) ‖ SHA-256(len8 ‖ "millrace counted" ‖ salt ‖ hash)). 0 or -1.
 */
int mr_audit_leaf(uint8_t leaf[MR_HASH_BYTES], const struct mr_audit_entry *counted);

/* All nodes of a tree, the leaves first, level by level. */
struct mr_audit_tree {
    uint32_t count;                  /* leaves; 0: there is no tree */
    uint8_t (*nodes)[MR_HASH_BYTES]; /* malloc'd */
};
/* Of at least one, rising by client. 0 with _fini owed, or -1. */
int mr_audit_tree_build(struct mr_audit_tree *tree, const struct mr_audit_entry *counted,
                        uint32_t count);
void mr_audit_tree_fini(struct mr_audit_tree *tree);
const uint8_t *mr_audit_tree_root(const struct mr_audit_tree *tree);

/* Answer to GET /v1/tasks/{task}/rounds/{round}/proof: what that hub counted of the device that
 * asks. */
struct mr_audit_proof {
    uint16_t hub_index; /* who says so */
    uint32_t index, count;
    uint8_t salt[MR_AUDIT_SALT_BYTES];
    unsigned path_count;
    uint8_t path[MR_AUDIT_PATH_MAX][MR_HASH_BYTES]; /* from the leaf up */
    unsigned commitment_count; /* all hubs', in list order, as this hub has them */
    struct mr_commitment commitments[MR_HUBS_MAX];
};

/* Fills index, count and path. */
void mr_audit_proof_path(struct mr_audit_proof *proof, const struct mr_audit_tree *tree,
                         uint32_t index);

/* A message as those of messages.h. */
char *mr_audit_proof_encode(const struct mr_audit_proof *proof);
int mr_audit_proof_decode(struct mr_audit_proof *proof, const char *text, size_t length,
                          struct mr_error *error);

/* What a device holds a proof against. */
struct mr_audit_claim {
    const uint8_t *announcement_hash;
    const struct mr_announced_hub *hubs; /* pinned, in list order */
    unsigned hub_count;
    unsigned position;             /* in the list, of the hub that was asked */
    struct mr_audit_entry counted; /* as the device knows it; its salt is the proof's to say */
};
/* Whether the hub at that position has signed, with its commitment, a tree that has the device's
 * leaf, and every other commitment is its hub's: 0, or an error that says what is wrong, and -1, or
 * MR_AUDIT_NOT_IN_TREE where only that leaf is missing (it may be another attempt's that counts).
 */
#define MR_AUDIT_NOT_IN_TREE 1
int mr_audit_proof_check(const struct mr_audit_proof *proof, const struct mr_audit_claim *claim,
                         struct mr_error *error);

#endif
