/* wire_vectors.c - answers the oracle's cases with the project's own code.
 *
 * Reads one JSON object a line from stdin, writes one a line to stdout; binary is hex. The cases
 * and the comparison are in tests/oracle/agree.py. A malformed case is a bug: it aborts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/aggregate/sum.h"
#include "base/assert.h"
#include "tests/unit/wire/pair.h"
#include "tests/unit/wire/wire_vectors_case.h"
#include "tests/unit/wire/wire_vectors_fields.h"
#include "tests/unit/wire/wire_vectors_quantiser.h"
#include "wire/share.h"

/* --- announcement ---------------------------------------------------------------------------- */

static void do_announcement(struct test_case *c)
{
    uint8_t again[MR_ANNOUNCEMENT_MAX], signed_bytes[MR_ANNOUNCEMENT_SIGNED_MAX];
    struct mr_hub_signature signatures[MR_HUBS_MAX];
    struct mr_round_terms opened;
    struct mr_error error;
    size_t length;
    uint8_t *canonical = case_hex_any(&length, case_get(c->in, "announcement"));
    if (mr_round_terms_decode(&c->terms, canonical, length, &error) != 0) {
        fprintf(stderr, "announcement refused: %s\n", error.text);
        MR_ASSERT(0);
    }
    free(canonical);
    const struct mr_announcement *a = &c->terms.announcement;
    length = mr_announcement_encode(again, a);
    case_put_hex(c, "announcement", again, length);
    case_put_hex(c, "hash", c->terms.hash, MR_HASH_BYTES);
    json_object_set_new(c->out, "fields", wire_vectors_fields(&c->terms));
    for (unsigned i = 0; i < a->hub_count; i++) {
        case_hex_exact(c->signing[i], 32, json_array_get(case_get(c->in, "signing"), i));
        uint8_t seal[MR_HPKE_KEY_BYTES];
        case_hex_exact(seal, sizeof seal, json_array_get(case_get(c->in, "seals"), i));
        MR_ASSERT(mr_hpke_pair_derive(&c->seals[i], seal) == 0);
        memcpy(signatures[i].seal_key, c->seals[i].public_key, MR_SEAL_KEY_BYTES);
        MR_ASSERT(mr_announcement_sign(signatures[i].bytes, c->terms.hash,
                                       i ? signatures[i].seal_key : NULL,
                                       PAIR_OF(c->signing[i])) == 0);
    }
    size_t total = mr_announcement_seal(signed_bytes, again, length, signatures, a->hub_count);
    case_put_hex(c, "envelope", signed_bytes, total);
    MR_ASSERT(mr_announcement_open(&opened, signed_bytes, total, &error) == 0);
}

/* Whether a changed announcement and a changed envelope are taken. */
static void do_mutants(struct test_case *c)
{
    static const char *const names[] = {"announcement_mutants", "envelope_mutants"};
    for (unsigned kind = 0; kind < 2; kind++) {
        json_t *verdicts = json_array(), *entry;
        size_t i, length;
        json_array_foreach(case_get(c->in, names[kind]), i, entry) {
            struct mr_round_terms terms;
            uint8_t *bytes = case_hex_any(&length, entry);
            int status = kind == 0 ? mr_round_terms_decode(&terms, bytes, length, NULL)
                                   : mr_announcement_open(&terms, bytes, length, NULL);
            json_array_append_new(verdicts, json_boolean(status == 0));
            free(bytes);
        }
        json_object_set_new(c->out, names[kind], verdicts);
    }
}

/* --- shares ---------------------------------------------------------------------------------- */

static void mask_of(struct mr_mask_stream *mask, const struct test_case *c, unsigned client,
                    unsigned hub)
{
    uint8_t seed[MR_SEED_BYTES];
    json_t *entry = json_array_get(case_get(c->in, "clients"), client);
    struct mr_key_scope scope = case_scope_of(c, &c->clients[client], hub);
    case_hex_exact(seed, sizeof seed, json_array_get(case_get(entry, "seeds"), hub - 1));
    MR_ASSERT(mr_mask_derive(mask, seed, &scope) == 0);
}

static void do_shares(struct test_case *c)
{
    const struct mr_layout *layout = &c->terms.layout;
    json_t *shares = json_array(), *entry;
    int8_t *q = malloc(layout->lanes);
    MR_ASSERT(q);
    size_t i;
    json_array_foreach(case_get(c->in, "clients"), i, entry) {
        MR_ASSERT(i < CASE_CLIENTS_MAX);
        struct test_client *client = &c->clients[i];
        uint32_t trailer[MR_TRAILER_LANES_MAX];
        case_hex_exact(client->id, sizeof client->id, case_get(entry, "id"));
        client->attempt = (uint32_t)json_integer_value(case_get(entry, "attempt"));
        client->share = case_aligned(layout->share_bytes);
        case_hex_exact((uint8_t *)q, layout->lanes, case_get(entry, "q"));
        for (unsigned lane = 0; lane < layout->trailer_lanes; lane++) {
            trailer[lane] =
                (uint32_t)json_integer_value(json_array_get(case_get(entry, "trailer"), lane));
        }
        mr_share_lift(client->share, layout, q, trailer, c->kernels);
        c->client_count = (unsigned)i + 1;
        for (unsigned hub = 1; hub < c->terms.announcement.hub_count; hub++) {
            struct mr_mask_stream mask;
            mask_of(&mask, c, (unsigned)i, hub);
            mr_share_mask(client->share, layout, &mask, c->kernels);
        }
        json_array_append_new(shares, case_to_hex(client->share, layout->share_bytes));
    }
    free(q);
    json_object_set_new(c->out, "shares", shares);
}

/* The lead folds in two shards that are merged, the helpers expand and add. */
static void do_result(struct test_case *c, unsigned hub)
{
    const struct mr_layout *layout = &c->terms.layout;
    struct mr_vector_sum sum = {.lanes = case_aligned(mr_layout_accumulator_bytes(layout))};
    struct mr_vector_sum other = {.lanes = case_aligned(mr_layout_accumulator_bytes(layout))};
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
    c->results[hub] = case_aligned(layout->share_bytes);
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
        json_array_append_new(results, case_to_hex(c->results[hub], layout->share_bytes));
    }
    json_object_set_new(c->out, "results", results);
    struct mr_vector_sum sum = {.lanes = case_aligned(mr_layout_accumulator_bytes(layout))};
    uint8_t *total = case_aligned(layout->share_bytes);
    mr_sum_zero(&sum, layout);
    mr_sum_fold(&sum, layout, (const uint8_t *const *)c->results, hubs, c->kernels);
    mr_sum_pack(total, layout, &sum, c->kernels);
    case_put_hex(c, "total", total, layout->share_bytes);
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
    case_put_hex(c, "rotation", bits, sizeof bits);
}

static void do_quantiser(struct test_case *c)
{
    size_t bytes;
    uint8_t *vector = case_hex_any(&bytes, case_get(c->in, "vector"));
    float *x = case_aligned(bytes);
    MR_ASSERT(bytes == c->terms.layout.lanes * sizeof *x);
    memcpy(x, vector, bytes);
    wire_vectors_rotate(x, &c->terms, c->kernels);
    case_put_hex(c, "rotated", x, bytes);
    json_object_set_new(c->out, "quantiser", wire_vectors_quantiser(case_get(c->in, "quantiser")));
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
    MR_ASSERT(mr_cpu_mask_parse(json_string_value(case_get(c.in, "cpu_mask")), &levels) == 0);
    c.kernels = mr_kernels_select(levels);
    do_announcement(&c);
    do_mutants(&c);
    do_shares(&c);
    do_sums(&c);
    do_rotation(&c);
    case_do_datagrams(&c);
    case_do_exchange(&c);
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
