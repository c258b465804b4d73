/* wire_vectors.c - answers the oracle's cases with the project's own code.
 *
 * Reads one JSON object a line from stdin, writes one a line to stdout; binary is hex. The cases
 * and the comparison are in tests/oracle/agree.py. A malformed case is a bug: it aborts. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "wire/audit.h"
#include "wire/draw.h"
#include "base/assert.h"
#include "base/bytes.h"
#include "wire/datagram.h"
#include "wire/receipt.h"
#include "appliance/aggregate/sum.h"
#include "tests/unit/wire/wire_vectors_fields.h"
#include "tests/unit/wire/wire_vectors_noise.h"
#include "tests/unit/wire/wire_vectors_quantiser.h"
#include "wire/share.h"
#include "tests/unit/wire/pair.h"

#define CLIENTS_MAX 16

struct test_client {
    uint8_t id[MR_CLIENT_ID_BYTES];
    uint32_t attempt;
    uint8_t *share; /* aligned */
};

struct test_case {
    json_t *in;
    json_t *out;
    const struct mr_kernels *kernels;
    struct mr_round_terms terms;
    uint8_t signing[MR_HUBS_MAX][32];
    struct mr_hpke_pair seals[MR_HUBS_MAX];
    struct test_client clients[CLIENTS_MAX];
    unsigned client_count;
    uint8_t *results[MR_HUBS_MAX]; /* aligned */
    struct mr_upload_keys keys;
};

/* --- hex in and out -------------------------------------------------------------------------- */

static json_t *get(const json_t *object, const char *name)
{
    json_t *value = json_object_get(object, name);
    if (!value) {
        fprintf(stderr, "case has no \"%s\"\n", name);
    }
    MR_ASSERT(value);
    return value;
}

static void hex_exact(uint8_t *out, size_t bytes, const json_t *value)
{
    MR_ASSERT(json_is_string(value));
    MR_ASSERT(mr_hex_decode(out, bytes, json_string_value(value)) == 0);
}

/* malloc'd. */
static uint8_t *hex_any(size_t *length, const json_t *value)
{
    MR_ASSERT(json_is_string(value));
    *length = json_string_length(value) / 2;
    uint8_t *out = malloc(*length + 1);
    MR_ASSERT(out);
    hex_exact(out, *length, value);
    return out;
}

static json_t *to_hex(const void *data, size_t bytes)
{
    char *text = malloc(2 * bytes + 1);
    MR_ASSERT(text);
    mr_hex_encode(text, data, bytes);
    json_t *value = json_string(text);
    free(text);
    return value;
}

static void put_hex(struct test_case *c, const char *name, const void *data, size_t bytes)
{
    json_object_set_new(c->out, name, to_hex(data, bytes));
}

static void *aligned(size_t bytes)
{
    void *p = aligned_alloc(64, (bytes + 63) / 64 * 64);
    MR_ASSERT(p);
    return p;
}

/* --- announcement ---------------------------------------------------------------------------- */

static void do_announcement(struct test_case *c)
{
    uint8_t again[MR_ANNOUNCEMENT_MAX], signed_bytes[MR_ANNOUNCEMENT_SIGNED_MAX];
    struct mr_hub_signature signatures[MR_HUBS_MAX];
    struct mr_round_terms opened;
    struct mr_error error;
    size_t length;
    uint8_t *canonical = hex_any(&length, get(c->in, "announcement"));
    if (mr_round_terms_decode(&c->terms, canonical, length, &error) != 0) {
        fprintf(stderr, "announcement refused: %s\n", error.text);
        MR_ASSERT(0);
    }
    free(canonical);
    const struct mr_announcement *a = &c->terms.announcement;
    length = mr_announcement_encode(again, a);
    put_hex(c, "announcement", again, length);
    put_hex(c, "hash", c->terms.hash, MR_HASH_BYTES);
    json_object_set_new(c->out, "fields", wire_vectors_fields(&c->terms));
    for (unsigned i = 0; i < a->hub_count; i++) {
        hex_exact(c->signing[i], 32, json_array_get(get(c->in, "signing"), i));
        uint8_t seal[MR_HPKE_KEY_BYTES];
        hex_exact(seal, sizeof seal, json_array_get(get(c->in, "seals"), i));
        MR_ASSERT(mr_hpke_pair_derive(&c->seals[i], seal) == 0);
        memcpy(signatures[i].seal_key, c->seals[i].public_key, MR_SEAL_KEY_BYTES);
        MR_ASSERT(mr_announcement_sign(signatures[i].bytes, c->terms.hash,
                                       i ? signatures[i].seal_key : NULL,
                                       PAIR_OF(c->signing[i])) == 0);
    }
    size_t total = mr_announcement_seal(signed_bytes, again, length, signatures, a->hub_count);
    put_hex(c, "envelope", signed_bytes, total);
    MR_ASSERT(mr_announcement_open(&opened, signed_bytes, total, &error) == 0);
}

/* Whether a changed announcement and a changed envelope are taken. */
static void do_mutants(struct test_case *c)
{
    static const char *const names[] = {"announcement_mutants", "envelope_mutants"};
    for (unsigned kind = 0; kind < 2; kind++) {
        json_t *verdicts = json_array(), *entry;
        size_t i, length;
        json_array_foreach(get(c->in, names[kind]), i, entry) {
            struct mr_round_terms terms;
            uint8_t *bytes = hex_any(&length, entry);
            int status = kind == 0 ? mr_round_terms_decode(&terms, bytes, length, NULL)
                                   : mr_announcement_open(&terms, bytes, length, NULL);
            json_array_append_new(verdicts, json_boolean(status == 0));
            free(bytes);
        }
        json_object_set_new(c->out, names[kind], verdicts);
    }
}

/* --- shares ---------------------------------------------------------------------------------- */

static struct mr_key_scope scope_of(const struct test_case *c, const struct test_client *client,
                                    unsigned hub)
{
    return (struct mr_key_scope){c->terms.announcement.task, c->terms.hash, client->id,
                                 c->terms.announcement.hubs[hub].index, client->attempt};
}

static void mask_of(struct mr_mask_stream *mask, const struct test_case *c, unsigned client,
                    unsigned hub)
{
    uint8_t seed[MR_SEED_BYTES];
    json_t *entry = json_array_get(get(c->in, "clients"), client);
    struct mr_key_scope scope = scope_of(c, &c->clients[client], hub);
    hex_exact(seed, sizeof seed, json_array_get(get(entry, "seeds"), hub - 1));
    MR_ASSERT(mr_mask_derive(mask, seed, &scope) == 0);
}

static void do_shares(struct test_case *c)
{
    const struct mr_layout *layout = &c->terms.layout;
    json_t *shares = json_array(), *entry;
    int8_t *q = malloc(layout->lanes);
    MR_ASSERT(q);
    size_t i;
    json_array_foreach(get(c->in, "clients"), i, entry) {
        MR_ASSERT(i < CLIENTS_MAX);
        struct test_client *client = &c->clients[i];
        uint32_t trailer[MR_TRAILER_LANES_MAX];
        hex_exact(client->id, sizeof client->id, get(entry, "id"));
        client->attempt = (uint32_t)json_integer_value(get(entry, "attempt"));
        client->share = aligned(layout->share_bytes);
        hex_exact((uint8_t *)q, layout->lanes, get(entry, "q"));
        for (unsigned lane = 0; lane < layout->trailer_lanes; lane++) {
            trailer[lane] =
                (uint32_t)json_integer_value(json_array_get(get(entry, "trailer"), lane));
        }
        mr_share_lift(client->share, layout, q, trailer, c->kernels);
        c->client_count = (unsigned)i + 1;
        for (unsigned hub = 1; hub < c->terms.announcement.hub_count; hub++) {
            struct mr_mask_stream mask;
            mask_of(&mask, c, (unsigned)i, hub);
            mr_share_mask(client->share, layout, &mask, c->kernels);
        }
        json_array_append_new(shares, to_hex(client->share, layout->share_bytes));
    }
    free(q);
    json_object_set_new(c->out, "shares", shares);
}

/* The lead folds in two shards that are merged, the helpers expand and add. */
static void do_result(struct test_case *c, unsigned hub)
{
    const struct mr_layout *layout = &c->terms.layout;
    struct mr_vector_sum sum = {.lanes = aligned(mr_layout_accumulator_bytes(layout))};
    struct mr_vector_sum other = {.lanes = aligned(mr_layout_accumulator_bytes(layout))};
    mr_sum_zero(&sum, layout);
    mr_sum_zero(&other, layout);
    if (hub == 0) {
        const uint8_t *half[2][MR_FOLD_MAX];
        unsigned counts[2] = {0, 0};
        for (unsigned i = 0; i < c->client_count; i++) {
            half[i % 2][counts[i % 2]++] = c->clients[i].share;
        }
        mr_sum_fold(&sum, layout, half[0], counts[0], c->kernels);
        mr_sum_fold(&other, layout, half[1], counts[1], c->kernels);
    } else {
        for (unsigned i = 0; i < c->client_count; i++) {
            struct mr_mask_stream mask;
            mask_of(&mask, c, i, hub);
            mr_sum_mask(i % 2 ? &other : &sum, layout, &mask, c->kernels);
        }
    }
    mr_sum_merge(&sum, layout, &other, c->kernels);
    c->results[hub] = aligned(layout->share_bytes);
    mr_sum_pack(c->results[hub], layout, &sum, c->kernels);
    free(sum.lanes);
    free(other.lanes);
}

static void do_sums(struct test_case *c)
{
    const struct mr_layout *layout = &c->terms.layout;
    json_t *results = json_array();
    unsigned hubs = c->terms.announcement.hub_count;
    for (unsigned hub = 0; hub < hubs; hub++) {
        do_result(c, hub);
        json_array_append_new(results, to_hex(c->results[hub], layout->share_bytes));
    }
    json_object_set_new(c->out, "results", results);
    struct mr_vector_sum sum = {.lanes = aligned(mr_layout_accumulator_bytes(layout))};
    uint8_t *total = aligned(layout->share_bytes);
    mr_sum_zero(&sum, layout);
    mr_sum_fold(&sum, layout, (const uint8_t *const *)c->results, hubs, c->kernels);
    mr_sum_pack(total, layout, &sum, c->kernels);
    put_hex(c, "total", total, layout->share_bytes);
    free(total);
    free(sum.lanes);
}

static void do_rotation(struct test_case *c)
{
    const struct mr_announcement *a = &c->terms.announcement;
    struct mr_mask_stream signs;
    uint8_t bits[160];
    MR_ASSERT(mr_rotation_derive(&signs, a->rotation_seed, a->round) == 0);
    c->kernels->mask_expand(bits, &signs, 0, sizeof bits);
    put_hex(c, "rotation", bits, sizeof bits);
}

/* --- datagrams ------------------------------------------------------------------------------- */

static json_t *sealed(const struct mr_aead_key *key, const struct mr_datagram *header,
                      const uint8_t *payload)
{
    uint8_t bytes[MR_DATAGRAM_OVERHEAD + MR_CHUNK_BYTES_MAX];
    uint8_t *body = bytes + MR_DATAGRAM_HEADER_BYTES;
    struct mr_aead *aead = mr_aead_open();
    MR_ASSERT(aead && mr_aead_rekey(aead, key) == 0);
    mr_datagram_encode(bytes, header);
    MR_ASSERT(mr_aead_seal(aead,
                           &(struct mr_aead_message){.sequence = header->chunk,
                                                     .aad = bytes,
                                                     .aad_bytes = MR_DATAGRAM_HEADER_BYTES,
                                                     .text = payload,
                                                     .bytes = header->length},
                           body, body + header->length) == 0);
    mr_aead_close(aead);
    return to_hex(bytes, MR_DATAGRAM_OVERHEAD + header->length);
}

static void do_chunks(struct test_case *c)
{
    const struct mr_layout *layout = &c->terms.layout;
    const struct test_client *client = &c->clients[0];
    struct mr_key_scope scope = scope_of(c, client, 0);
    uint8_t secret[MR_CONNECTION_SECRET_BYTES], ekm[MR_EKM_BYTES], id[8];
    json_t *datagrams = json_array();
    hex_exact(secret, sizeof secret, get(c->in, "secret"));
    MR_ASSERT(mr_upload_ekm(ekm, secret, &scope) == 0);
    hex_exact(id, sizeof id, get(c->in, "upload_id"));
    MR_ASSERT(mr_upload_keys_derive(&c->keys, ekm) == 0);
    put_hex(c, "keys", &c->keys, sizeof c->keys);
    for (uint32_t chunk = 0; chunk < layout->chunks; chunk++) {
        struct mr_datagram header = {.type = MR_DATAGRAM_CHUNK,
                                     .length = (uint16_t)mr_layout_chunk_length(layout, chunk),
                                     .upload_id = mr_be64_get(id),
                                     .round = c->terms.announcement.round,
                                     .attempt = client->attempt,
                                     .chunk = chunk};
        const uint8_t *payload = client->share + (size_t)chunk * layout->chunk_bytes;
        json_array_append_new(datagrams, sealed(&c->keys.up, &header, payload));
    }
    json_object_set_new(c->out, "datagrams", datagrams);
}

static void do_ack(struct test_case *c)
{
    const json_t *in = get(c->in, "ack");
    struct mr_ack ack = {.state = (uint8_t)json_integer_value(get(in, "state")),
                         .reason = (uint8_t)json_integer_value(get(in, "reason")),
                         .received = (uint32_t)json_integer_value(get(in, "received")),
                         .window = (uint32_t)json_integer_value(get(in, "window")),
                         .base = (uint32_t)json_integer_value(get(in, "base"))};
    uint8_t payload[MR_ACK_BYTES], id[8];
    hex_exact(ack.bitmap, sizeof ack.bitmap, get(in, "bitmap"));
    hex_exact(id, sizeof id, get(c->in, "upload_id"));
    mr_ack_encode(payload, &ack);
    struct mr_datagram header = {.type = MR_DATAGRAM_ACK,
                                 .length = MR_ACK_BYTES,
                                 .upload_id = mr_be64_get(id),
                                 .round = c->terms.announcement.round,
                                 .attempt = c->clients[0].attempt,
                                 .chunk = (uint32_t)json_integer_value(get(in, "number"))};
    json_object_set_new(c->out, "ack", sealed(&c->keys.down, &header, payload));
}

/* For each changed datagram: what it opens to, or null. */
static void do_datagram_mutants(struct test_case *c)
{
    json_t *opened = json_array(), *entry;
    struct mr_aead *aead = mr_aead_open();
    MR_ASSERT(aead && mr_aead_rekey(aead, &c->keys.up) == 0);
    size_t i, length;
    json_array_foreach(get(c->in, "datagram_mutants"), i, entry) {
        uint8_t plain[MR_CHUNK_BYTES_MAX];
        struct mr_datagram header;
        uint8_t *bytes = hex_any(&length, entry);
        const uint8_t *body = bytes + MR_DATAGRAM_HEADER_BYTES;
        bool held = mr_datagram_decode(&header, bytes, length) == MR_DATAGRAM_OK &&
                    header.length <= sizeof plain &&
                    mr_aead_unseal(aead,
                                   &(struct mr_aead_message){.sequence = header.chunk,
                                                             .aad = bytes,
                                                             .aad_bytes = MR_DATAGRAM_HEADER_BYTES,
                                                             .text = body,
                                                             .bytes = header.length},
                                   body + header.length, plain) == 0;
        json_array_append_new(opened, held ? to_hex(plain, header.length) : json_null());
        free(bytes);
    }
    mr_aead_close(aead);
    json_object_set_new(c->out, "datagram_mutants", opened);
}

/* --- exchange -------------------------------------------------------------------------------- */

/* What the oracle sealed, or something changed of it: the seed, or null. */
static void do_sealed(struct test_case *c)
{
    const struct test_client *client = &c->clients[0];
    const struct mr_key_scope scope = scope_of(c, client, 1);
    struct mr_hpke_kit *kit = mr_hpke_kit_new();
    json_t *entry, *opened = json_array();
    size_t i, length;
    json_array_foreach(get(c->in, "sealed"), i, entry) {
        uint8_t *bytes = hex_any(&length, entry), seed[MR_SEED_BYTES];
        struct mr_seed_request request;
        const bool held = mr_seed_request_decode(&request, bytes, length, NULL) == 0 &&
                          mr_seed_open(kit, seed, &request, &scope, &c->seals[1]) == MR_HPKE_OPEN;
        json_array_append_new(opened, held ? to_hex(seed, sizeof seed) : json_null());
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
    const json_t *from = json_array_get(get(c->in, "clients"), 0);
    for (unsigned hub = 1; hub < c->terms.announcement.hub_count; hub++) {
        const struct mr_key_scope scope = scope_of(c, client, hub);
        struct mr_seed_request request;
        struct mr_receipt receipt;
        uint8_t seed[MR_SEED_BYTES], ephemeral[32], sealed_hash[MR_HASH_BYTES];
        uint8_t bytes[MR_SEED_REQUEST_BYTES], key[MR_RECEIPT_KEY_BYTES];
        hex_exact(seed, sizeof seed, json_array_get(get(from, "seeds"), hub - 1));
        hex_exact(ephemeral, sizeof ephemeral, json_array_get(get(from, "ephemerals"), hub - 1));
        MR_ASSERT(mr_seed_seal(&request, seed, &scope, c->seals[hub].public_key, ephemeral) == 0);
        mr_seed_request_encode(bytes, &request);
        json_array_append_new(requests, to_hex(bytes, sizeof bytes));
        MR_ASSERT(mr_sealed_hash(sealed_hash, &request) == 0 &&
                  mr_receipt_fill(&receipt, seed, sealed_hash, &scope, &c->terms.layout) == 0);
        MR_ASSERT(mr_receipt_key(key, c->terms.hash, c->signing[hub]) == 0 &&
                  mr_receipt_mac_make(&receipt, &scope, key) == 0);
        mr_receipt_answer_encode(bytes, &receipt);
        json_array_append_new(answers, to_hex(bytes, MR_RECEIPT_ANSWER_BYTES));
        mr_receipt_encode(bytes, &receipt);
        json_array_append_new(receipts, to_hex(bytes, MR_RECEIPT_BYTES));
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
    struct mr_audit_entry list[CLIENTS_MAX] = {{.hash = {0}}};
    struct mr_audit_proof proof;
    struct mr_audit_tree tree;
    uint32_t first = 0;
    for (unsigned i = 0; i < c->client_count; i++) {
        const struct test_client *client = &c->clients[i];
        const struct mr_key_scope scope = scope_of(c, client, hub);
        const json_t *from = json_array_get(get(c->in, "clients"), i);
        uint8_t seed[MR_SEED_BYTES];
        memcpy(list[i].of.client_id, client->id, MR_CLIENT_ID_BYTES);
        list[i].of.attempt = client->attempt;
        if (hub == 0) {
            hex_exact(list[i].salt, sizeof list[i].salt, json_array_get(get(c->in, "salts"), i));
            MR_ASSERT(mr_share_hash(list[i].hash, client->share, c->terms.layout.share_bytes,
                                    &scope) == 0);
        } else {
            hex_exact(seed, sizeof seed, json_array_get(get(from, "seeds"), hub - 1));
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
    json_array_append_new(paths, to_hex(proof.path, (size_t)proof.path_count * MR_HASH_BYTES));
}

static void do_commitments(struct test_case *c, const uint8_t *set_hash)
{
    json_t *commitments = json_array(), *paths = json_array();
    for (unsigned hub = 0; hub < c->terms.announcement.hub_count; hub++) {
        struct mr_commitment commitment = {.hub_index = c->terms.announcement.hubs[hub].index};
        uint8_t random[MR_NONCE_BYTES], bytes[MR_COMMITMENT_BYTES];
        hex_exact(random, sizeof random, json_array_get(get(c->in, "nonces"), hub));
        MR_ASSERT(mr_commitment_compute(commitment.value, c->terms.hash, set_hash,
                                        commitment.hub_index, random, c->results[hub],
                                        c->terms.layout.share_bytes) == 0);
        count_all(c, hub, commitment.root, paths);
        MR_ASSERT(mr_commitment_sign(&commitment, c->terms.hash, PAIR_OF(c->signing[hub])) == 0);
        mr_commitment_encode(bytes, &commitment);
        json_array_append_new(commitments, to_hex(bytes, sizeof bytes));
    }
    json_object_set_new(c->out, "commitments", commitments);
    json_object_set_new(c->out, "paths", paths);
}

static void do_exchange(struct test_case *c)
{
    struct mr_included entries[CLIENTS_MAX];
    uint8_t set[4 + CLIENTS_MAX * MR_INCLUDED_BYTES], set_hash[MR_HASH_BYTES];
    uint8_t model[MR_HASH_BYTES], signature[MR_SIGNATURE_BYTES];
    for (unsigned i = 0; i < c->client_count; i++) {
        memcpy(entries[i].client_id, c->clients[i].id, MR_CLIENT_ID_BYTES);
        entries[i].attempt = c->clients[i].attempt;
    }
    mr_included_sort(entries, c->client_count);
    put_hex(c, "set", set, mr_included_encode(set, entries, c->client_count));
    MR_ASSERT(mr_included_hash(set_hash, c->terms.hash, entries, c->client_count) == 0);
    put_hex(c, "set_hash", set_hash, sizeof set_hash);
    json_object_set_new(c->out, "noise", wire_vectors_noise(&c->terms, c->signing, set_hash));
    do_commitments(c, set_hash);
    hex_exact(model, sizeof model, get(c->in, "model_hash"));
    MR_ASSERT(!mr_model_sign(signature, c->terms.hash, set_hash, model, PAIR_OF(c->signing[0])));
    put_hex(c, "model_signature", signature, sizeof signature);
    MR_ASSERT(mr_void_sign(signature, c->terms.hash, "lead_gone: tired", c->signing[0]) == 0);
    put_hex(c, "void_signature", signature, sizeof signature);
    MR_ASSERT(mr_unopened_sign(signature, c->terms.hash, c->signing[0]) == 0);
    put_hex(c, "unopened_signature", signature, sizeof signature);
}

/* The draw, from every hub's value. */
static void do_draw(struct test_case *c)
{
    const json_t *from = get(c->in, "draw_clients");
    const uint16_t hubs = c->terms.announcement.hub_count;
    static uint8_t clients[64][MR_CLIENT_ID_BYTES], values[MR_HUBS_MAX][MR_DRAW_VALUE_BYTES];
    uint8_t drawn[64], bytes[2048], pledge[MR_DRAW_PLEDGE_BYTES];
    struct mr_draw_list list = {.count = (uint32_t)json_array_size(from)};
    json_t *pledges = json_array(), *ids = json_array();
    for (uint32_t i = 0; i < list.count; i++) {
        hex_exact(clients[i], MR_CLIENT_ID_BYTES, json_array_get(from, i));
    }
    list.clients = (const uint8_t(*)[MR_CLIENT_ID_BYTES])clients;
    for (unsigned i = 0; i < hubs; i++) {
        hex_exact(values[i], sizeof values[i], json_array_get(get(c->in, "draw_values"), i));
        MR_ASSERT(mr_draw_pledge_make(&list.pledges[i], c->terms.hash,
                                      c->terms.announcement.hubs[i].index, values[i],
                                      c->signing[i]) == 0);
        memcpy(pledge, list.pledges[i].hash, MR_HASH_BYTES);
        memcpy(pledge + MR_HASH_BYTES, list.pledges[i].signature, MR_SIGNATURE_BYTES);
        json_array_append_new(pledges, to_hex(pledge, sizeof pledge));
    }
    MR_ASSERT(mr_draw_list_encode(bytes, &list, &c->terms, c->signing[0]) == 0);
    put_hex(c, "list", bytes, mr_draw_list_bytes(hubs, list.count));
    MR_ASSERT(mr_draw(drawn, &list, (const uint8_t(*)[MR_DRAW_VALUE_BYTES])values, hubs,
                      (uint32_t)json_integer_value(get(c->in, "draw_places"))) == 0);
    for (uint32_t i = 0; i < list.count; i++) {
        if (drawn[i]) {
            json_array_append_new(ids, to_hex(clients[i], MR_CLIENT_ID_BYTES));
        }
    }
    json_object_set_new(c->out, "pledges", pledges);
    json_object_set_new(c->out, "drawn", ids);
}

static void do_list_mutants(struct test_case *c)
{
    json_t *verdicts = json_array(), *entry;
    size_t i, length;
    json_array_foreach(get(c->in, "list_mutants"), i, entry) {
        struct mr_draw_list list;
        uint8_t *bytes = hex_any(&length, entry);
        json_array_append_new(verdicts, json_boolean(mr_draw_list_decode(&list, bytes, length,
                                                                         &c->terms, NULL) == 0));
        free(bytes);
    }
    json_object_set_new(c->out, "list_mutants", verdicts);
}

static void do_quantiser(struct test_case *c)
{
    size_t bytes;
    uint8_t *vector = hex_any(&bytes, get(c->in, "vector"));
    float *x = aligned(bytes);
    MR_ASSERT(bytes == c->terms.layout.lanes * sizeof *x);
    memcpy(x, vector, bytes);
    wire_vectors_rotate(x, &c->terms, c->kernels);
    put_hex(c, "rotated", x, bytes);
    json_object_set_new(c->out, "quantiser", wire_vectors_quantiser(get(c->in, "quantiser")));
    free(x);
    free(vector);
}

static void do_case(const char *line)
{
    static struct test_case c;
    uint32_t levels;
    memset(&c, 0, sizeof c);
    c.in = json_loads(line, 0, NULL);
    c.out = json_object();
    MR_ASSERT(c.in && c.out);
    MR_ASSERT(mr_cpu_mask_parse(json_string_value(get(c.in, "cpu_mask")), &levels) == 0);
    c.kernels = mr_kernels_select(levels);
    do_announcement(&c);
    do_mutants(&c);
    do_shares(&c);
    do_sums(&c);
    do_rotation(&c);
    do_chunks(&c);
    do_ack(&c);
    do_datagram_mutants(&c);
    do_receipts(&c);
    do_exchange(&c);
    do_draw(&c);
    do_list_mutants(&c);
    do_quantiser(&c);
    json_dumpf(c.out, stdout, JSON_COMPACT);
    putchar('\n');
    fflush(stdout);
    for (unsigned i = 0; i < c.client_count; i++) {
        free(c.clients[i].share);
    }
    for (unsigned i = 0; i < MR_HUBS_MAX; i++) {
        free(c.results[i]);
    }
    json_decref(c.in);
    json_decref(c.out);
}

int main(void)
{
    char *line = NULL;
    size_t room = 0;
    while (getline(&line, &room, stdin) > 0) {
        do_case(line);
    }
    free(line);
    return 0;
}
