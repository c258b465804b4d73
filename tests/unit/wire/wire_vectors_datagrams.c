/* wire_vectors_datagrams.c - the first client's upload as datagrams. */
#include <stdbool.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "tests/unit/wire/wire_vectors_case.h"
#include "wire/datagram.h"

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
    return case_to_hex(bytes, MR_DATAGRAM_OVERHEAD + header->length);
}

static void do_chunks(struct test_case *c)
{
    const struct mr_layout *layout = &c->terms.layout;
    const struct test_client *client = &c->clients[0];
    struct mr_key_scope scope = case_scope_of(c, client, 0);
    uint8_t secret[MR_CONNECTION_SECRET_BYTES], ekm[MR_EKM_BYTES], id[8];
    json_t *datagrams = json_array();
    case_hex_exact(secret, sizeof secret, case_get(c->in, "secret"));
    MR_ASSERT(mr_upload_ekm(ekm, secret, &scope) == 0);
    case_hex_exact(id, sizeof id, case_get(c->in, "upload_id"));
    MR_ASSERT(mr_upload_keys_derive(&c->keys, ekm) == 0);
    case_put_hex(c, "keys", &c->keys, sizeof c->keys);
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
    const json_t *in = case_get(c->in, "ack");
    struct mr_ack ack = {.state = (uint8_t)json_integer_value(case_get(in, "state")),
                         .reason = (uint8_t)json_integer_value(case_get(in, "reason")),
                         .received = (uint32_t)json_integer_value(case_get(in, "received")),
                         .window = (uint32_t)json_integer_value(case_get(in, "window")),
                         .base = (uint32_t)json_integer_value(case_get(in, "base"))};
    uint8_t payload[MR_ACK_BYTES], id[8];
    case_hex_exact(ack.bitmap, sizeof ack.bitmap, case_get(in, "bitmap"));
    case_hex_exact(id, sizeof id, case_get(c->in, "upload_id"));
    mr_ack_encode(payload, &ack);
    struct mr_datagram header = {.type = MR_DATAGRAM_ACK,
                                 .length = MR_ACK_BYTES,
                                 .upload_id = mr_be64_get(id),
                                 .round = c->terms.announcement.round,
                                 .attempt = c->clients[0].attempt,
                                 .chunk = (uint32_t)json_integer_value(case_get(in, "number"))};
    json_object_set_new(c->out, "ack", sealed(&c->keys.down, &header, payload));
}

/* For each changed datagram: what it opens to, or null. */
static void do_datagram_mutants(struct test_case *c)
{
    json_t *opened = json_array(), *entry;
    struct mr_aead *aead = mr_aead_open();
    MR_ASSERT(aead && mr_aead_rekey(aead, &c->keys.up) == 0);
    size_t i, length;
    json_array_foreach(case_get(c->in, "datagram_mutants"), i, entry) {
        uint8_t plain[MR_CHUNK_BYTES_MAX];
        struct mr_datagram header;
        uint8_t *bytes = case_hex_any(&length, entry);
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
        json_array_append_new(opened, held ? case_to_hex(plain, header.length) : json_null());
        free(bytes);
    }
    mr_aead_close(aead);
    json_object_set_new(c->out, "datagram_mutants", opened);
}

void case_do_datagrams(struct test_case *c)
{
    do_chunks(c);
    do_ack(c);
    do_datagram_mutants(c);
}
