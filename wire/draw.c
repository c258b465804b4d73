#include "wire/draw.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "wire/transcript.h"

/* --- pledges --------------------------------------------------------------------------------- */

static int value_hash(uint8_t out[MR_HASH_BYTES], const uint8_t *hash, uint16_t hub_index,
                      const uint8_t *value)
{
    struct mr_transcript transcript;
    mr_transcript_init(&transcript, "millrace draw value");
    mr_transcript_add(&transcript, hash, MR_HASH_BYTES);
    mr_transcript_add16(&transcript, hub_index);
    return mr_transcript_hash(out, &transcript, value, MR_DRAW_VALUE_BYTES);
}

static void pledge_text(struct mr_transcript *transcript, const struct mr_draw_pledge *pledge,
                        const uint8_t *hash, uint16_t hub_index)
{
    mr_transcript_init(transcript, "millrace draw pledge");
    mr_transcript_add(transcript, hash, MR_HASH_BYTES);
    mr_transcript_add16(transcript, hub_index);
    mr_transcript_add(transcript, pledge->hash, MR_HASH_BYTES);
}

int mr_draw_pledge_make(struct mr_draw_pledge *pledge, const uint8_t hash[MR_HASH_BYTES],
                        uint16_t hub_index, const uint8_t value[MR_DRAW_VALUE_BYTES],
                        const uint8_t private_key[32])
{
    struct mr_transcript transcript;
    if (value_hash(pledge->hash, hash, hub_index, value) != 0) {
        return -1;
    }
    pledge_text(&transcript, pledge, hash, hub_index);
    return mr_transcript_sign(pledge->signature, &transcript, private_key);
}

int mr_draw_pledge_verify(const struct mr_draw_pledge *pledge, const uint8_t hash[MR_HASH_BYTES],
                          uint16_t hub_index, const uint8_t public_key[MR_PUBLIC_KEY_BYTES])
{
    struct mr_transcript transcript;
    pledge_text(&transcript, pledge, hash, hub_index);
    return mr_transcript_verify(pledge->signature, &transcript, public_key);
}

int mr_draw_value_check(const struct mr_draw_pledge *pledge, const uint8_t hash[MR_HASH_BYTES],
                        uint16_t hub_index, const uint8_t value[MR_DRAW_VALUE_BYTES])
{
    uint8_t made[MR_HASH_BYTES];
    return value_hash(made, hash, hub_index, value) == 0 &&
                   memcmp(made, pledge->hash, MR_HASH_BYTES) == 0
               ? 0
               : -1;
}

void mr_draw_answer_encode(uint8_t out[MR_DRAW_ANSWER_BYTES], uint16_t hub_index,
                           const uint8_t value[MR_DRAW_VALUE_BYTES])
{
    mr_be16_put(out, hub_index);
    memcpy(out + 2, value, MR_DRAW_VALUE_BYTES);
}

/* --- the list -------------------------------------------------------------------------------- */

static size_t pledges_bytes(unsigned hub_count)
{
    return (size_t)hub_count * MR_DRAW_PLEDGE_BYTES;
}

static size_t clients_bytes(uint32_t count)
{
    return 4 + (size_t)count * MR_CLIENT_ID_BYTES;
}

size_t mr_draw_list_bytes(unsigned hub_count, uint32_t count)
{
    return pledges_bytes(hub_count) + clients_bytes(count) + MR_SIGNATURE_BYTES;
}

/* `clients` are encoded. */
static int list_hash(struct mr_draw_list *list, const struct mr_round_terms *terms,
                     const uint8_t *clients)
{
    struct mr_transcript transcript;
    mr_transcript_init(&transcript, "millrace draw list");
    mr_transcript_add(&transcript, terms->hash, MR_HASH_BYTES);
    for (unsigned i = 0; i < terms->announcement.hub_count; i++) {
        mr_transcript_add(&transcript, list->pledges[i].hash, MR_HASH_BYTES);
    }
    return mr_transcript_hash(list->hash, &transcript, clients, clients_bytes(list->count));
}

static void list_text(struct mr_transcript *transcript, const struct mr_draw_list *list,
                      const uint8_t *hash)
{
    mr_transcript_init(transcript, "millrace draw");
    mr_transcript_add(transcript, hash, MR_HASH_BYTES);
    mr_transcript_add(transcript, list->hash, MR_HASH_BYTES);
}

int mr_draw_list_encode(uint8_t *out, struct mr_draw_list *list, const struct mr_round_terms *terms,
                        const uint8_t private_key[32])
{
    struct mr_transcript transcript;
    uint8_t *at = out;
    for (unsigned i = 0; i < terms->announcement.hub_count; i++, at += MR_DRAW_PLEDGE_BYTES) {
        memcpy(at, list->pledges[i].hash, MR_HASH_BYTES);
        memcpy(at + MR_HASH_BYTES, list->pledges[i].signature, MR_SIGNATURE_BYTES);
    }
    mr_be32_put(at, list->count);
    memcpy(at + 4, list->clients, (size_t)list->count * MR_CLIENT_ID_BYTES);
    if (list_hash(list, terms, at) != 0) {
        return -1;
    }
    list_text(&transcript, list, terms->hash);
    return mr_transcript_sign(at + clients_bytes(list->count), &transcript, private_key);
}

static int check_clients(const struct mr_draw_list *list, struct mr_error *error)
{
    for (uint32_t i = 1; i < list->count; i++) {
        if (memcmp(list->clients[i - 1], list->clients[i], MR_CLIENT_ID_BYTES) >= 0) {
            return mr_error_set(error, "the list does not rise strictly at entry %u", i);
        }
    }
    return 0;
}

static int check_pledges(const struct mr_draw_list *list, const struct mr_round_terms *terms,
                         struct mr_error *error)
{
    for (unsigned i = 0; i < terms->announcement.hub_count; i++) {
        const struct mr_announced_hub *hub = &terms->announcement.hubs[i];
        if (mr_draw_pledge_verify(&list->pledges[i], terms->hash, hub->index, hub->public_key) !=
            0) {
            return mr_error_set(error, "the pledge of hub %u is not signed by it", hub->index);
        }
    }
    return 0;
}

int mr_draw_list_decode(struct mr_draw_list *list, const uint8_t *bytes, size_t length,
                        const struct mr_round_terms *terms, struct mr_error *error)
{
    const struct mr_announcement *a = &terms->announcement;
    const uint8_t *at = bytes + pledges_bytes(a->hub_count);
    struct mr_transcript transcript;
    if (length < mr_draw_list_bytes(a->hub_count, 1)) {
        return mr_error_set(error, "the list to draw from is cut short");
    }
    list->count = mr_be32_get(at);
    if (list->count < 1 || list->count > mr_announcement_admits(a) ||
        length != mr_draw_list_bytes(a->hub_count, list->count)) {
        return mr_error_set(error, "the list names %u devices: at most %u, and as many as follow",
                            list->count, mr_announcement_admits(a));
    }
    list->clients = (const uint8_t(*)[MR_CLIENT_ID_BYTES])(at + 4);
    for (unsigned i = 0; i < a->hub_count; i++) {
        const uint8_t *pledge = bytes + (size_t)i * MR_DRAW_PLEDGE_BYTES;
        memcpy(list->pledges[i].hash, pledge, MR_HASH_BYTES);
        memcpy(list->pledges[i].signature, pledge + MR_HASH_BYTES, MR_SIGNATURE_BYTES);
    }
    if (check_clients(list, error) != 0 || check_pledges(list, terms, error) != 0) {
        return -1;
    }
    if (list_hash(list, terms, at) != 0) {
        return mr_error_set(error, "OpenSSL cannot hash");
    }
    list_text(&transcript, list, terms->hash);
    return mr_transcript_verify(bytes + length - MR_SIGNATURE_BYTES, &transcript,
                                a->hubs[0].public_key) == 0
               ? 0
               : mr_error_set(error, "the list is not signed by hub %u, the lead",
                              a->hubs[0].index);
}

static int compare_clients(const void *a, const void *b)
{
    return memcmp(a, b, MR_CLIENT_ID_BYTES);
}

int64_t mr_draw_list_find(const struct mr_draw_list *list,
                          const uint8_t client_id[MR_CLIENT_ID_BYTES])
{
    const uint8_t(*found)[MR_CLIENT_ID_BYTES] =
        bsearch(client_id, list->clients, list->count, sizeof *list->clients, compare_clients);
    return found ? found - list->clients : -1;
}

/* --- the draw -------------------------------------------------------------------------------- */

/* A client's lot: HMAC first, so that lots sort as byte strings. */
struct lot {
    uint8_t mac[32];
    uint32_t client;
};

static int compare_lots(const void *a, const void *b)
{
    return memcmp(((const struct lot *)a)->mac, ((const struct lot *)b)->mac, 32);
}

static int seed_of(uint8_t seed[32], const struct mr_draw_list *list,
                   const uint8_t (*values)[MR_DRAW_VALUE_BYTES], unsigned hub_count)
{
    struct mr_transcript transcript;
    mr_transcript_init(&transcript, "millrace draw seed");
    mr_transcript_add(&transcript, list->hash, MR_HASH_BYTES);
    return mr_transcript_hash(seed, &transcript, values[0],
                              (size_t)hub_count * MR_DRAW_VALUE_BYTES);
}

static int lots_of(struct lot *lots, const struct mr_draw_list *list, const uint8_t seed[32])
{
    struct mr_transcript transcript;
    for (uint32_t i = 0; i < list->count; i++) {
        mr_transcript_init(&transcript, "millrace draw lot");
        mr_transcript_add(&transcript, list->clients[i], MR_CLIENT_ID_BYTES);
        lots[i].client = i;
        if (mr_transcript_hmac(lots[i].mac, seed, &transcript) != 0) {
            return -1;
        }
    }
    return 0;
}

int mr_draw(uint8_t *drawn, const struct mr_draw_list *list,
            const uint8_t (*values)[MR_DRAW_VALUE_BYTES], unsigned hub_count, uint32_t places)
{
    uint8_t seed[32];
    struct lot *lots = malloc((size_t)list->count * sizeof *lots);
    if (!lots || seed_of(seed, list, values, hub_count) != 0 || lots_of(lots, list, seed) != 0) {
        free(lots);
        return -1;
    }
    qsort(lots, list->count, sizeof *lots, compare_lots);
    memset(drawn, 0, list->count);
    for (uint32_t i = 0; i < list->count && i < places; i++) {
        drawn[lots[i].client] = 1;
    }
    free(lots);
    return 0;
}
