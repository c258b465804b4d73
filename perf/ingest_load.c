#include "perf/ingest_load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/upload/session.h"
#include "wire/aead.h"

#define POOL_BYTES (1u << 20)

static void *need(void *memory)
{
    if (!memory) {
        fprintf(stderr, "out of memory for the load\n");
        exit(1);
    }
    return memory;
}

/* xorshift64* (Vigna 2016). */
static uint64_t draw(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(0x2545f4914f6cdd1d);
}

static void fill(uint64_t *state, void *bytes, size_t count)
{
    uint8_t *at = bytes;

    for (size_t i = 0; i < count; i++) {
        at[i] = (uint8_t)(draw(state) >> 32);
    }
}

static void open_devices(struct mr_load *load)
{
    const size_t keys = (size_t)load->devices * load->generations;

    load->keys = need(calloc(keys, sizeof *load->keys));
    load->aeads = need(calloc(load->devices, sizeof(struct mr_aead *)));
    load->order = need(calloc(load->devices, sizeof *load->order));
    fill(&load->seed, load->keys, keys * sizeof *load->keys);
    for (uint32_t i = 0; i < load->devices; i++) {
        load->aeads[i] = need(mr_aead_open());
    }
}

/* Whole passes are kept where they fit the ring, as many different ones as do. */
static void plan(struct mr_load *load)
{
    const uint64_t packets = (uint64_t)load->devices * load->layout.chunks;

    load->kept = packets <= MR_LOAD_RING_PACKETS;
    load->generations = load->kept ? (uint32_t)(MR_LOAD_RING_PACKETS / packets) : 1;
    load->expected = need(calloc(load->generations, sizeof *load->expected));
    for (uint32_t i = 0; i < load->generations; i++) {
        load->expected[i].main = need(calloc(load->layout.lanes, sizeof(uint16_t)));
    }
}

void mr_load_close(struct mr_load *load)
{
    for (uint32_t i = 0; i < load->devices; i++) {
        mr_aead_close(load->aeads[i]);
    }
    for (uint32_t i = 0; i < load->generations; i++) {
        free(load->expected[i].main);
    }
    free(load->expected);
    free(load->aeads);
    free(load->keys);
    free(load->order);
    free(load->pool);
    mr_pages_unmap(&load->ring);
}

uint64_t mr_load_upload_id(uint32_t device)
{
    return mr_upload_id_make(0, device, device * 2654435761u | 1);
}

const struct mr_upload_keys *mr_load_keys(const struct mr_load *load, uint32_t device)
{
    return &load->keys[(size_t)load->generation * load->devices + device];
}

static void shuffle(struct mr_load *load)
{
    for (uint32_t i = 0; i < load->devices; i++) {
        load->order[i] = i;
    }
    for (uint32_t i = load->devices; i > 1; i--) {
        const uint32_t j = (uint32_t)(draw(&load->seed) % i), kept = load->order[i - 1];
        load->order[i - 1] = load->order[j];
        load->order[j] = kept;
    }
}

static void begin_generation(struct mr_load *load, uint32_t generation)
{
    struct mr_load_sum *sum = &load->expected[generation];

    load->generation = generation;
    load->seed = 99 + generation;
    load->chunk = 0;
    load->at = 0;
    memset(sum->main, 0, load->layout.lanes * sizeof *sum->main);
    memset(sum->trailer, 0, sizeof sum->trailer);
    for (uint32_t i = 0; i < load->devices; i++) {
        if (mr_aead_rekey(load->aeads[i], &mr_load_keys(load, i)->up) != 0) {
            need(NULL);
        }
    }
}

void mr_load_begin(struct mr_load *load)
{
    load->given = false;
    if (load->kept) {
        load->generation = (load->generation + 1) % load->generations;
    } else {
        begin_generation(load, 0);
    }
}

/* The plain sum. Written for itself: it must not share a mistake with the kernels. */
static void expect(struct mr_load *load, uint32_t chunk, const uint8_t *plain, uint32_t bytes)
{
    const uint64_t offset = (uint64_t)chunk * load->layout.chunk_bytes;
    const uint32_t trailer = chunk + 1 == load->layout.chunks ? MR_TRAILER_BYTES : 0;
    struct mr_load_sum *sum = &load->expected[load->generation];
    uint16_t *restrict to = sum->main + offset / 2;
    const uint16_t *restrict from = (const uint16_t *)(const void *)plain;
    uint32_t last[MR_TRAILER_LANES];

    for (uint32_t i = 0; i < (bytes - trailer) / 2; i++) {
        to[i] = (uint16_t)(to[i] + from[i]);
    }
    memcpy(last, plain + bytes - trailer, trailer);
    for (uint32_t i = 0; i < trailer / 4; i++) {
        sum->trailer[i] += last[i];
    }
}

/* The plaintext of a chunk: somewhere in the pool; in the last one, made in `last`, the count lane
 * is set. */
static const uint8_t *plaintext(struct mr_load *load, uint32_t chunk, uint32_t bytes,
                                uint8_t last[MR_CHUNK_BYTES_MAX])
{
    const uint8_t *plain = load->pool + draw(&load->seed) % (POOL_BYTES / 64) * 64;
    const uint32_t count_lane = MR_LOAD_COUNT_LANE;

    if (chunk + 1 < load->layout.chunks) {
        return plain;
    }
    memcpy(last, plain, bytes);
    memcpy(last + bytes - MR_TRAILER_BYTES, &count_lane, sizeof count_lane);
    return last;
}

static void seal(struct mr_load *load, uint32_t place, uint32_t device, uint32_t chunk)
{
    const uint32_t bytes = mr_layout_chunk_length(&load->layout, chunk);
    _Alignas(64) uint8_t last[MR_CHUNK_BYTES_MAX];
    const uint8_t *plain = plaintext(load, chunk, bytes, last);
    const struct mr_datagram header = {.type = MR_DATAGRAM_CHUNK,
                                       .length = (uint16_t)bytes,
                                       .upload_id = mr_load_upload_id(device),
                                       .round = MR_LOAD_ROUND,
                                       .attempt = MR_LOAD_ATTEMPT,
                                       .chunk = chunk};
    uint8_t *data = (uint8_t *)load->ring.base + (size_t)place * MR_LOAD_PACKET_ROOM;
    struct mr_packet *packet = &load->ring_packets[place];

    data += MR_LOAD_PACKET_LEAD;
    mr_datagram_encode(data, &header);
    uint8_t *cipher = data + MR_DATAGRAM_HEADER_BYTES;
    if (mr_aead_seal(load->aeads[device],
                     &(struct mr_aead_message){.sequence = chunk,
                                               .aad = data,
                                               .aad_bytes = MR_DATAGRAM_HEADER_BYTES,
                                               .text = plain,
                                               .bytes = bytes},
                     cipher, cipher + bytes) != 0) {
        need(NULL);
    }
    *packet = (struct mr_packet){.data = data, .length = MR_DATAGRAM_OVERHEAD + bytes};
    packet->from.host.s6_addr[10] = packet->from.host.s6_addr[11] = 0xff;
    memcpy(packet->from.host.s6_addr + 12, &device, 4);
    packet->from.port = 4000;
    load->ring_owners[place] = device;
    load->ring_chunks[place] = chunk;
    expect(load, chunk, plain, bytes);
}

/* Seals what comes next in the pass into the ring, from that place on. */
static void fill_ring(struct mr_load *load, uint32_t first)
{
    uint32_t place = first;

    while (place < MR_LOAD_RING_PACKETS && load->chunk < load->layout.chunks) {
        if (load->at == 0) {
            shuffle(load);
        }
        seal(load, place++, load->order[load->at], load->chunk);
        if (++load->at == load->devices) {
            load->at = 0;
            load->chunk++;
        }
    }
    load->count = place - first;
}

void mr_load_open(struct mr_load *load, const struct mr_layout *layout, uint32_t devices)
{
    struct mr_error error;

    memset(load, 0, sizeof *load);
    load->layout = *layout;
    load->devices = devices;
    load->seed = 20240607;
    plan(load);
    open_devices(load);
    load->pool = need(aligned_alloc(64, POOL_BYTES + MR_CHUNK_BYTES_MAX));
    fill(&load->seed, load->pool, POOL_BYTES + MR_CHUNK_BYTES_MAX);
    if (mr_pages_map(&load->ring, (size_t)MR_LOAD_RING_PACKETS * MR_LOAD_PACKET_ROOM, "the packets",
                     &error) != 0) {
        fprintf(stderr, "%s\n", error.text);
        exit(1);
    }
    for (uint32_t i = 0; load->kept && i < load->generations; i++) {
        begin_generation(load, i);
        fill_ring(load, i * devices * layout->chunks);
    }
}

bool mr_load_next(struct mr_load *load)
{
    uint32_t first = 0;

    if (load->kept) {
        if (load->given) {
            return false;
        }
        load->given = true;
        first = load->generation * load->devices * load->layout.chunks;
        load->count = load->devices * load->layout.chunks;
    } else {
        fill_ring(load, 0);
    }
    load->packets = load->ring_packets + first;
    load->owners = load->ring_owners + first;
    load->chunks = load->ring_chunks + first;
    return load->count > 0;
}

uint32_t mr_load_spoil(struct mr_load *load)
{
    uint32_t count = 0, lost = 0;

    for (uint32_t i = 0; i < load->count; i++) {
        const uint64_t luck = draw(&load->seed) % 100;
        if (luck < 5) { /* lost: kept at the far end, to come after all others */
            load->faulty[MR_LOAD_FAULTY_PACKETS - ++lost] = load->packets[i];
            continue;
        }
        load->faulty[count++] = load->packets[i];
        if (luck < 10) {
            load->faulty[count++] = load->packets[i];
        }
    }
    while (lost > 0) {
        load->faulty[count++] = load->faulty[MR_LOAD_FAULTY_PACKETS - lost--];
    }
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t luck = draw(&load->seed);
        const uint32_t j = i + (uint32_t)(luck >> 32) % 64;
        if (luck % 4 != 0 || j >= count) {
            continue;
        }
        const struct mr_packet kept = load->faulty[i];
        load->faulty[i] = load->faulty[j];
        load->faulty[j] = kept;
    }
    return count;
}

void mr_load_check(const struct mr_load *load, const struct mr_vector_sum *sum)
{
    const struct mr_load_sum *expected = &load->expected[load->generation];

    if (memcmp(sum->lanes, expected->main, (size_t)load->layout.lanes * 2) == 0 &&
        memcmp(sum->trailer, expected->trailer, sizeof expected->trailer) == 0) {
        return;
    }
    fprintf(stderr, "the sum is WRONG: no figure of this run counts\n");
    exit(1);
}
