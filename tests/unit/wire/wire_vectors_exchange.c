/* wire_vectors_exchange.c - what devices and hubs say to each other over HTTP/2. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "tests/unit/wire/pair.h"
#include "tests/unit/wire/wire_vectors_case.h"
#include "tests/unit/wire/wire_vectors_noise.h"
#include "wire/audit.h"
#include "wire/draw.h"
#include "wire/receipt.h"
#include "wire/share.h"

/* What the oracle sealed, or something changed of it: the seed, or null. */
static void do_sealed(struct test_case *c)
{
    const struct test_client *client = &c->clients[0];
    const struct mr_key_scope scope = case_scope_of(c, client, 1);
    struct mr_hpke_kit *kit = mr_hpke_kit_new();
    json_t *entry, *opened = json_array();
    size_t i, length;
    json_array_foreach(case_get(c->in, "sealed"), i, entry) {
        uint8_t *bytes = case_hex_any(&length, entry), seed[MR_SEED_BYTES];
        struct mr_seed_request request;
        const bool held = mr_seed_request_decode(&request, bytes, length, NULL) == 0 &&
                          mr_seed_open(kit, seed, &request, &scope, &c->seals[1]) == MR_HPKE_OPEN;
        json_array_append_new(opened, held ? case_to_hex(seed, sizeof seed) : json_null());
        free(bytes);
    }
    mr_hpke_kit_free(kit);
    json_object_set_new(c->out, "sealed", opened);
}

/* The first client's seeds, sealed here to each helper, and opened here from the oracle's bytes. */
static void do_receipts(struct test_case *c)
{
    json_t *receipts = json_array(), *answers = json_array(), *requests = json_array();
    const struct test_client *client = &c->clients[0];
    const json_t *from = json_array_get(case_get(c->in, "clients"), 0);
    for (unsigned hub = 1; hub < c->terms.announcement.hub_count; hub++) {
        const struct mr_key_scope scope = case_scope_of(c, client, hub);
        struct mr_seed_request request;
        struct mr_receipt receipt;
        uint8_t seed[MR_SEED_BYTES], ephemeral[32], sealed_hash[MR_HASH_BYTES];
        uint8_t bytes[MR_SEED_REQUEST_BYTES], key[MR_RECEIPT_KEY_BYTES];
        case_hex_exact(seed, sizeof seed, json_array_get(case_get(from, "seeds"), hub - 1));
        case_hex_exact(ephemeral, sizeof ephemeral,
                       json_array_get(case_get(from, "ephemerals"), hub - 1));
        MR_ASSERT(mr_seed_seal(&request, seed, &scope, c->seals[hub].public_key, ephemeral) == 0);
        mr_seed_request_encode(bytes, &request);
        json_array_append_new(requests, case_to_hex(bytes, sizeof bytes));
        MR_ASSERT(mr_sealed_hash(sealed_hash, &request) == 0 &&
                  mr_receipt_fill(&receipt, seed, sealed_hash, &scope, &c->terms.layout) == 0);
        MR_ASSERT(mr_receipt_key(key, c->terms.hash, c->signing[hub]) == 0 &&
                  mr_receipt_mac_make(&receipt, &scope, key) == 0);
        mr_receipt_answer_encode(bytes, &receipt);
        json_array_append_new(answers, case_to_hex(bytes, MR_RECEIPT_ANSWER_BYTES));
        mr_receipt_encode(bytes, &receipt);
        json_array_append_new(receipts, case_to_hex(bytes, MR_RECEIPT_BYTES));
    }
    json_object_set_new(c->out, "answers", answers);
    json_object_set_new(c->out, "receipts", receipts);
    json_object_set_new(c->out, "seed_requests", requests);
    do_sealed(c);
}

static int by_client(const void *a, const void *b)
{
    return memcmp(a, b, MR_CLIENT_ID_BYTES); /* a mr_counted begins with it */
}

/* The tree of what that hub counted, and the first client's path in it. */
static void count_all(struct test_case *c, unsigned hub, uint8_t root[MR_HASH_BYTES], json_t *paths)
{
    struct mr_audit_entry list[CASE_CLIENTS_MAX] = {{.hash = {0}}};
    struct mr_audit_proof proof;
    struct mr_audit_tree tree;
    uint32_t first = 0;
    for (unsigned i = 0; i < c->client_count; i++) {
        const struct test_client *client = &c->clients[i];
        const struct mr_key_scope scope = case_scope_of(c, client, hub);
        const json_t *from = json_array_get(case_get(c->in, "clients"), i);
        uint8_t seed[MR_SEED_BYTES];
        memcpy(list[i].of.client_id, client->id, MR_CLIENT_ID_BYTES);
        list[i].of.attempt = client->attempt;
        if (hub == 0) {
            case_hex_exact(list[i].salt, sizeof list[i].salt,
                           json_array_get(case_get(c->in, "salts"), i));
            MR_ASSERT(mr_share_hash(list[i].hash, client->share, c->terms.layout.share_bytes,
                                    &scope) == 0);
        } else {
            case_hex_exact(seed, sizeof seed, json_array_get(case_get(from, "seeds"), hub - 1));
            MR_ASSERT(mr_seed_hash(list[i].hash, seed, &scope) == 0);
        }
    }
    qsort(list, c->client_count, sizeof list[0], by_client);
    for (; memcmp(list[first].of.client_id, c->clients[0].id, 16) != 0; first++) {
    }
    MR_ASSERT(mr_audit_tree_build(&tree, list, c->client_count) == 0);
    memcpy(root, mr_audit_tree_root(&tree), MR_HASH_BYTES);
    mr_audit_proof_path(&proof, &tree, first);
    mr_audit_tree_fini(&tree);
    json_array_append_new(paths, case_to_hex(proof.path, (size_t)proof.path_count * MR_HASH_BYTES));
}

static void do_commitments(struct test_case *c, const uint8_t *set_hash)
{
    json_t *commitments = json_array(), *paths = json_array();
    for (unsigned hub = 0; hub < c->terms.announcement.hub_count; hub++) {
        struct mr_commitment commitment = {.hub_index = c->terms.announcement.hubs[hub].index};
        uint8_t random[MR_NONCE_BYTES], bytes[MR_COMMITMENT_BYTES];
        case_hex_exact(random, sizeof random, json_array_get(case_get(c->in, "nonces"), hub));
        MR_ASSERT(mr_commitment_compute(commitment.value, c->terms.hash, set_hash,
                                        commitment.hub_index, random, c->results[hub],
                                        c->terms.layout.share_bytes) == 0);
        count_all(c, hub, commitment.root, paths);
        MR_ASSERT(mr_commitment_sign(&commitment, c->terms.hash, PAIR_OF(c->signing[hub])) == 0);
        mr_commitment_encode(bytes, &commitment);
        json_array_append_new(commitments, case_to_hex(bytes, sizeof bytes));
    }
    json_object_set_new(c->out, "commitments", commitments);
    json_object_set_new(c->out, "paths", paths);
}

static void do_signed(struct test_case *c)
{
    struct mr_included entries[CASE_CLIENTS_MAX];
    uint8_t set[4 + CASE_CLIENTS_MAX * MR_INCLUDED_BYTES], set_hash[MR_HASH_BYTES];
    uint8_t model[MR_HASH_BYTES], signature[MR_SIGNATURE_BYTES];
    for (unsigned i = 0; i < c->client_count; i++) {
        memcpy(entries[i].client_id, c->clients[i].id, MR_CLIENT_ID_BYTES);
        entries[i].attempt = c->clients[i].attempt;
    }
    mr_included_sort(entries, c->client_count);
    case_put_hex(c, "set", set, mr_included_encode(set, entries, c->client_count));
    MR_ASSERT(mr_included_hash(set_hash, c->terms.hash, entries, c->client_count) == 0);
    case_put_hex(c, "set_hash", set_hash, sizeof set_hash);
    json_object_set_new(c->out, "noise", wire_vectors_noise(&c->terms, c->signing, set_hash));
    do_commitments(c, set_hash);
    case_hex_exact(model, sizeof model, case_get(c->in, "model_hash"));
    MR_ASSERT(!mr_model_sign(signature, c->terms.hash, set_hash, model, PAIR_OF(c->signing[0])));
    case_put_hex(c, "model_signature", signature, sizeof signature);
    MR_ASSERT(mr_void_sign(signature, c->terms.hash, "lead_gone: tired", c->signing[0]) == 0);
    case_put_hex(c, "void_signature", signature, sizeof signature);
    MR_ASSERT(mr_unopened_sign(signature, c->terms.hash, c->signing[0]) == 0);
    case_put_hex(c, "unopened_signature", signature, sizeof signature);
}

/* The draw, from every hub's value. */
static void do_draw(struct test_case *c)
{
    const json_t *from = case_get(c->in, "draw_clients");
    const uint16_t hubs = c->terms.announcement.hub_count;
    static uint8_t clients[64][MR_CLIENT_ID_BYTES], values[MR_HUBS_MAX][MR_DRAW_VALUE_BYTES];
    uint8_t drawn[64], bytes[2048], pledge[MR_DRAW_PLEDGE_BYTES];
    struct mr_draw_list list = {.count = (uint32_t)json_array_size(from)};
    json_t *pledges = json_array(), *ids = json_array();
    for (uint32_t i = 0; i < list.count; i++) {
        case_hex_exact(clients[i], MR_CLIENT_ID_BYTES, json_array_get(from, i));
    }
    list.clients = (const uint8_t(*)[MR_CLIENT_ID_BYTES])clients;
    for (unsigned i = 0; i < hubs; i++) {
        case_hex_exact(values[i], sizeof values[i],
                       json_array_get(case_get(c->in, "draw_values"), i));
        MR_ASSERT(mr_draw_pledge_make(&list.pledges[i], c->terms.hash,
                                      c->terms.announcement.hubs[i].index, values[i],
                                      c->signing[i]) == 0);
        memcpy(pledge, list.pledges[i].hash, MR_HASH_BYTES);
        memcpy(pledge + MR_HASH_BYTES, list.pledges[i].signature, MR_SIGNATURE_BYTES);
        json_array_append_new(pledges, case_to_hex(pledge, sizeof pledge));
    }
    MR_ASSERT(mr_draw_list_encode(bytes, &list, &c->terms, c->signing[0]) == 0);
    case_put_hex(c, "list", bytes, mr_draw_list_bytes(hubs, list.count));
    MR_ASSERT(mr_draw(drawn, &list, (const uint8_t(*)[MR_DRAW_VALUE_BYTES])values, hubs,
                      (uint32_t)json_integer_value(case_get(c->in, "draw_places"))) == 0);
    for (uint32_t i = 0; i < list.count; i++) {
        if (drawn[i]) {
            json_array_append_new(ids, case_to_hex(clients[i], MR_CLIENT_ID_BYTES));
        }
    }
    json_object_set_new(c->out, "pledges", pledges);
    json_object_set_new(c->out, "drawn", ids);
}

static void do_list_mutants(struct test_case *c)
{
    json_t *verdicts = json_array(), *entry;
    size_t i, length;
    json_array_foreach(case_get(c->in, "list_mutants"), i, entry) {
        struct mr_draw_list list;
        uint8_t *bytes = case_hex_any(&length, entry);
        json_array_append_new(verdicts, json_boolean(mr_draw_list_decode(&list, bytes, length,
                                                                         &c->terms, NULL) == 0));
        free(bytes);
    }
    json_object_set_new(c->out, "list_mutants", verdicts);
}

void case_do_exchange(struct test_case *c)
{
    do_receipts(c);
    do_signed(c);
    do_draw(c);
    do_list_mutants(c);
}
