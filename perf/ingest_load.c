#include "perf/ingest_load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/upload/session.h"
#include "wire/aead.h"

#define POOL_BYTES  (1u << 20)
#define PACKET_LEAD 42u /* Ethernet, IPv4 and UDP headers before the payload */

static void *need(void *memory)
{
    if (memory == NULL) {
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

    for (size_t i = 0; i < count; i++)
        at[i] = (uint8_t)(draw(state) >> 32);
}

static void open_devices(struct mr_load *load)
{
    load->keys = need(calloc(load->devices, sizeof *load->keys));
    load->aeads = need(calloc(load->devices, sizeof(struct mr_aead *)));
    load->order = need(calloc(load->devices, sizeof *load->order));
    fill(&load->seed, load->keys, load->devices * sizeof *load->keys);
    for (uint32_t i = 0; i < load->devices; i++) {
        load->aeads[i] = need(mr_aead_open());
        if (mr_aead_rekey(load->aeads[i], &load->keys[i].up) != 0)
            need(NULL);
    }
}

void mr_load_open(struct mr_load *load, const struct mr_layout *layout, uint32_t devices)
{
    struct mr_error error;

    memset(load, 0, sizeof *load);
    load->layout = *layout;
    load->devices = devices;
    load->seed = 20240607;
    open_devices(load);
    load->pool = need(aligned_alloc(64, POOL_BYTES + MR_CHUNK_BYTES_MAX));
    fill(&load->seed, load->pool, POOL_BYTES + MR_CHUNK_BYTES_MAX);
    load->expected_main = need(calloc(layout->lanes, sizeof *load->expected_main));
    if (mr_pages_map(&load->ring, (size_t)MR_LOAD_RING_PACKETS * MR_LOAD_PACKET_ROOM, true,
                     "the packets", &error) != 0) {
        fprintf(stderr, "%s\n", error.text);
        exit(1);
    }
}

void mr_load_close(struct mr_load *load)
{
    for (uint32_t i = 0; i < load->devices; i++)
        mr_aead_close(load->aeads[i]);
    free(load->aeads);
    free(load->keys);
    free(load->order);
    free(load->pool);
    free(load->expected_main);
    mr_pages_unmap(&load->ring);
}

uint64_t mr_load_upload_id(uint32_t device)
{
    return mr_upload_id_make(0, device, device * 2654435761u | 1);
}

static void shuffle(struct mr_load *load)
{
    for (uint32_t i = 0; i < load->devices; i++)
        load->order[i] = i;
    for (uint32_t i = load->devices; i > 1; i--) {
        const uint32_t j = (uint32_t)(draw(&load->seed) % i), kept = load->order[i - 1];
        load->order[i - 1] = load->order[j];
        load->order[j] = kept;
    }
}

void mr_load_begin(struct mr_load *load)
{
    load->given = false;
    if (load->kept)
        return;
    load->seed = 99;
    load->chunk = 0;
    load->at = 0;
    memset(load->expected_main, 0, load->layout.lanes * sizeof *load->expected_main);
    memset(load->expected_trailer, 0, sizeof load->expected_trailer);
}

/* The plain sum. Written for itself: it must not share a mistake with the kernels. */
static void expect(struct mr_load *load, uint32_t chunk, const uint8_t *plain, uint32_t bytes)
{
    const uint64_t offset = (uint64_t)chunk * load->layout.chunk_bytes;
    const uint32_t trailer = chunk + 1 == load->layout.chunks ? MR_TRAILER_BYTES : 0;
    uint16_t *restrict to = load->expected_main + offset / 2;
    const uint16_t *restrict from = (const uint16_t *)(const void *)plain;
    uint32_t last[MR_TRAILER_LANES];

    for (uint32_t i = 0; i < (bytes - trailer) / 2; i++)
        to[i] = (uint16_t)(to[i] + from[i]);
    memcpy(last, plain + bytes - trailer, trailer);
    for (uint32_t i = 0; i < trailer / 4; i++)
        load->expected_trailer[i] += last[i];
}

static void seal(struct mr_load *load, uint32_t device, uint32_t chunk)
{
    const uint32_t bytes = mr_layout_chunk_length(&load->layout, chunk);
    const uint8_t *plain = load->pool + draw(&load->seed) % (POOL_BYTES / 64) * 64;
    const struct mr_datagram header = {.type = MR_DATAGRAM_CHUNK,
                                       .length = (uint16_t)bytes,
                                       .upload_id = mr_load_upload_id(device),
                                       .round = MR_LOAD_ROUND,
                                       .attempt = MR_LOAD_ATTEMPT,
                                       .chunk = chunk};
    uint8_t *data = (uint8_t *)load->ring.base + (size_t)load->count * MR_LOAD_PACKET_ROOM;
    struct mr_packet *packet = &load->packets[load->count];

    data += PACKET_LEAD;
    mr_datagram_encode(data, &header);
    uint8_t *cipher = data + MR_DATAGRAM_HEADER_BYTES;
    if (mr_aead_seal(load->aeads[device], chunk, data, MR_DATAGRAM_HEADER_BYTES, plain, bytes,
                     cipher, cipher + bytes) != 0)
        need(NULL);
    *packet = (struct mr_packet){.data = data, .length = MR_DATAGRAM_OVERHEAD + bytes};
    packet->from.host.s6_addr[10] = packet->from.host.s6_addr[11] = 0xff;
    memcpy(packet->from.host.s6_addr + 12, &device, 4);
    packet->from.port = 4000;
    load->owners[load->count] = device;
    load->chunks[load->count] = chunk;
    load->count++;
    expect(load, chunk, plain, bytes);
}

bool mr_load_next(struct mr_load *load)
{
    if (load->kept) {
        const bool more = !load->given;
        load->given = true;
        return more;
    }
    const bool first = load->chunk == 0 && load->at == 0;
    load->count = 0;
    while (load->count < MR_LOAD_RING_PACKETS && load->chunk < load->layout.chunks) {
        if (load->at == 0)
            shuffle(load);
        seal(load, load->order[load->at], load->chunk);
        if (++load->at == load->devices) {
            load->at = 0;
            load->chunk++;
        }
    }
    load->kept = load->given = first && load->chunk == load->layout.chunks;
    return load->count > 0;
}

void mr_load_check(const struct mr_load *load, const struct mr_vector_sum *sum)
{
    if (memcmp(sum->lanes, load->expected_main, (size_t)load->layout.lanes * 2) == 0 &&
        memcmp(sum->trailer, load->expected_trailer, sizeof sum->trailer) == 0)
        return;
    fprintf(stderr, "the sum is WRONG: no figure of this run counts\n");
    exit(1);
}
