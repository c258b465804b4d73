/* Trees of what a hub counted, and proofs for one device: an honest one holds, and nothing that is
 * changed in it does. */
#include "wire_test.h"

#include <openssl/rand.h>
#include <stdlib.h>

#include "wire/audit.h"
#include "wire/evidence.h"
#include "wire/messages.h"
#include "tests/unit/wire/pair.h"

#define HUBS   3
#define LEAVES 70
#define DEVICE 33

static const uint8_t announcement_hash[MR_HASH_BYTES] = {7};

struct scene {
    struct mr_signing_pair pairs[HUBS];
    struct mr_announced_hub hubs[HUBS];
    struct mr_audit_entry list[LEAVES];
    struct mr_audit_tree tree;
    struct mr_audit_proof proof;
    struct mr_audit_claim claim;
};

static void sign(struct scene *scene, unsigned hub, const uint8_t *root)
{
    struct mr_commitment *commitment = &scene->proof.commitments[hub];
    commitment->hub_index = scene->hubs[hub].index;
    memset(commitment->value, (int)hub, sizeof commitment->value);
    memcpy(commitment->root, root, MR_HASH_BYTES);
    assert_int_equal(
        mr_commitment_sign(commitment, announcement_hash, PAIR_OF(scene->pairs[hub].private_key)),
        0);
}

/* The hub at position 1 proves to a device, of `count` leaves. */
static void make(struct scene *scene, uint32_t count, uint32_t device)
{
    memset(scene, 0, sizeof *scene);
    for (unsigned i = 0; i < HUBS; i++) {
        uint8_t seed[32] = {(uint8_t)(i + 1)};
        assert_int_equal(mr_signing_pair_derive(&scene->pairs[i], seed), 0);
        scene->hubs[i].index = (uint16_t)(10 * i);
        memcpy(scene->hubs[i].public_key, scene->pairs[i].public_key, MR_PUBLIC_KEY_BYTES);
    }
    for (uint32_t i = 0; i < count; i++) {
        scene->list[i].of = (struct mr_included){.client_id = {(uint8_t)i}, .attempt = i % 8};
        assert_int_equal(RAND_bytes(scene->list[i].salt, MR_AUDIT_SALT_BYTES), 1);
        assert_int_equal(RAND_bytes(scene->list[i].hash, MR_HASH_BYTES), 1);
    }
    assert_int_equal(mr_audit_tree_build(&scene->tree, scene->list, count), 0);
    scene->proof.hub_index = 10;
    scene->proof.commitment_count = HUBS;
    memcpy(scene->proof.salt, scene->list[device].salt, MR_AUDIT_SALT_BYTES);
    mr_audit_proof_path(&scene->proof, &scene->tree, device);
    for (unsigned i = 0; i < HUBS; i++) {
        sign(scene, i, mr_audit_tree_root(&scene->tree));
    }
    scene->claim = (struct mr_audit_claim){.announcement_hash = announcement_hash,
                                           .hubs = scene->hubs,
                                           .hub_count = HUBS,
                                           .position = 1,
                                           .counted = scene->list[device]};
    memset(scene->claim.counted.salt, 0, MR_AUDIT_SALT_BYTES); /* the device does not know it */
}

static int check(const struct scene *scene, struct mr_error *error)
{
    return mr_audit_proof_check(&scene->proof, &scene->claim, error);
}

static void refused(const struct scene *scene, const char *text)
{
    struct mr_error error = {.text = ""};
    assert_int_not_equal(check(scene, &error), 0);
    if (!strstr(error.text, text)) {
        fail_msg("\"%s\" is not in \"%s\"", text, error.text);
    }
}

/* Every leaf of trees of every size up to LEAVES, against the root as RFC 6962 has it. */
static void test_every_leaf_of_every_size(void **state)
{
    (void)state;
    static struct scene scene;
    uint8_t leaves[LEAVES][MR_HASH_BYTES], root[MR_HASH_BYTES];
    for (uint32_t count = 1; count <= LEAVES; count++) {
        for (uint32_t device = 0; device<count; device += count> 20 ? 7 : 1) {
            make(&scene, count, device);
            for (uint32_t i = 0; i < count; i++) {
                assert_int_equal(mr_audit_leaf(leaves[i], &scene.list[i]), 0);
            }
            assert_int_equal(mr_evidence_root(root, leaves, count), 0);
            assert_memory_equal(root, mr_audit_tree_root(&scene.tree), MR_HASH_BYTES);
            assert_int_equal(check(&scene, NULL), 0);
            mr_audit_tree_fini(&scene.tree);
        }
    }
}

static void test_forged(void **state)
{
    (void)state;
    static struct scene scene, honest;
    make(&honest, LEAVES, DEVICE);
    assert_int_equal(check(&honest, NULL), 0);
    for (unsigned step = 0; step < honest.proof.path_count; step++) {
        scene = honest;
        scene.proof.path[step][step] ^= 1;
        refused(&scene, "not in the tree");
    }
    static const char no_leaf[] = "what this device sent is not in the tree that it signed";
    scene = honest;
    scene.proof.salt[31] ^= 0x80;
    refused(&scene, no_leaf);
    scene = honest;
    scene.proof.index ^= 1;
    refused(&scene, no_leaf);
    scene = honest;
    scene.proof.count = 1; /* a path too long */
    refused(&scene, no_leaf);
    scene = honest;
    scene.proof.count = 1u << 20; /* … too short */
    refused(&scene, no_leaf);
    scene = honest;
    scene.proof.index = scene.proof.count;
    refused(&scene, no_leaf);
    scene = honest;
    scene.proof.path_count--;
    refused(&scene, no_leaf);
    scene = honest;
    scene.claim.counted.hash[0] ^= 1; /* another share was counted */
    refused(&scene, no_leaf);
    scene = honest;
    scene.claim.counted.of.attempt ^= 1;
    refused(&scene, no_leaf);
    scene = honest;
    scene.claim.counted.of.client_id[15] ^= 1;
    refused(&scene, no_leaf);
    mr_audit_tree_fini(&honest.tree);
}

static void test_commitments(void **state)
{
    (void)state;
    static struct scene scene, honest;
    make(&honest, LEAVES, DEVICE);
    scene = honest;
    scene.proof.hub_index = 20;
    refused(&scene, "hub 20 answers in its place");
    scene = honest;
    scene.proof.commitment_count = 2;
    refused(&scene, "2 commitments");
    for (unsigned hub = 0; hub < HUBS; hub++) {
        scene = honest;
        scene.proof.commitments[hub].signature[9] ^= 1;
        refused(&scene, "is not signed by that");
        scene = honest;
        scene.proof.commitments[hub].root[0] ^= 1; /* the signature covers it */
        refused(&scene, "is not signed by that");
        scene = honest;
        scene.proof.commitments[hub] = honest.proof.commitments[(hub + 1) % HUBS];
        refused(&scene, "is not signed by that");
    }
    scene = honest; /* signed as it should be, over a tree without the device */
    static struct scene other;
    make(&other, DEVICE, 1);
    sign(&scene, 1, mr_audit_tree_root(&other.tree));
    refused(&scene, "not in the tree that it signed");
    mr_audit_tree_fini(&other.tree);
    mr_audit_tree_fini(&honest.tree);
}

static void test_message(void **state)
{
    (void)state;
    static struct scene scene;
    struct mr_audit_proof again;
    struct mr_error error;
    make(&scene, LEAVES, DEVICE);
    char *text = mr_audit_proof_encode(&scene.proof);
    assert_int_equal(mr_audit_proof_decode(&again, text, strlen(text), &error), 0);
    assert_memory_equal(&again, &scene.proof, sizeof again);
    assert_int_equal(mr_audit_proof_decode(&again, text, strlen(text) - 1, &error), -1);
    char *more = strdup(text);
    memcpy(strstr(more, "\"salt\""), "\"sald\"", 6);
    assert_int_equal(mr_audit_proof_decode(&again, more, strlen(more), &error), -1);
    free(more);
    free(text);
    mr_audit_tree_fini(&scene.tree);
}

/* The largest proof is a body that is taken. */
static void test_largest(void **state)
{
    (void)state;
    static struct mr_audit_proof proof = {.hub_index = UINT16_MAX,
                                          .index = UINT32_MAX - 1,
                                          .count = UINT32_MAX,
                                          .path_count = MR_AUDIT_PATH_MAX,
                                          .commitment_count = MR_HUBS_MAX};
    char *text = mr_audit_proof_encode(&proof);
    assert_true(strlen(text) < MR_MESSAGE_MAX);
    struct mr_audit_proof again;
    assert_int_equal(mr_audit_proof_decode(&again, text, strlen(text), NULL), 0);
    free(text);
}

/* A share's hash names all that it is for. */
static void test_share_hash(void **state)
{
    (void)state;
    const uint8_t share[128] = {1}, client[MR_CLIENT_ID_BYTES] = {2}, other[32] = {3};
    const struct mr_key_scope scope = {.task = "digits",
                                       .announcement_hash = announcement_hash,
                                       .client_id = client,
                                       .hub_index = 4,
                                       .attempt = 5};
    struct mr_key_scope scopes[6] = {scope, scope, scope, scope, scope, scope};
    uint8_t hashes[6][MR_HASH_BYTES];
    scopes[1].task = "words";
    scopes[2].announcement_hash = other;
    scopes[3].client_id = other;
    scopes[4].hub_index = 5;
    scopes[5].attempt = 6;
    for (unsigned i = 0; i < 6; i++) {
        assert_int_equal(mr_share_hash(hashes[i], share, sizeof share, &scopes[i]), 0);
        for (unsigned j = 0; j < i; j++) {
            assert_memory_not_equal(hashes[i], hashes[j], MR_HASH_BYTES);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_leaf_of_every_size),
        cmocka_unit_test(test_forged),
        cmocka_unit_test(test_commitments),
        cmocka_unit_test(test_message),
        cmocka_unit_test(test_largest),
        cmocka_unit_test(test_share_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
