#include "tests/fuzz/sessions_model.h"

#include <stdlib.h>

static uint64_t draw(uint64_t *seed) /* splitmix64 */
{
    uint64_t z = (*seed += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static void fill(uint64_t *seed, void *bytes, size_t count)
{
    uint8_t *out = bytes;
    for (size_t i = 0; i < count; i += 8) {
        const uint64_t word = draw(seed);
        memcpy(out + i, &word, count - i < 8 ? count - i : 8);
    }
}

void model_open(struct model *model)
{
    for (unsigned i = 0; i < MODEL_SESSIONS; i++) {
        struct model_device *device = &model->devices[i];
        device->up = mr_aead_open();
        device->down = mr_aead_open();
        device->share = aligned_alloc(64, MODEL_SHARE_MAX);
        MR_ASSERT(device->up && device->down && device->share);
    }
}

static void empty(struct model_device *device)
{
    *device = (struct model_device){
        .up = device->up, .down = device->down, .share = device->share, .last_ack = -1};
}

void model_begin(struct model *model, uint64_t round, const struct mr_layout *layout)
{
    model->layout = *layout;
    model->round = round;
    for (unsigned i = 0; i < MODEL_SESSIONS; i++) {
        empty(&model->devices[i]);
    }
    memset(model->lanes, 0, sizeof model->lanes);
    memset(model->trailer, 0, sizeof model->trailer);
}

void model_admit(struct model *model, uint32_t index)
{
    struct model_device *device = &model->devices[index];
    uint64_t seed = ++model->drawn;
    empty(device);
    device->upload_id = mr_upload_id_make(MODEL_LANE, index, (uint32_t)draw(&seed) | 1);
    device->attempt = (uint32_t)draw(&seed);
    device->state = MR_UPLOAD_RECEIVING;
    fill(&seed, &device->keys, sizeof device->keys);
    fill(&seed, device->share, model->layout.share_bytes);
    MR_ASSERT(mr_aead_rekey(device->up, &device->keys.up) == 0);
    MR_ASSERT(mr_aead_rekey(device->down, &device->keys.down) == 0);
}

struct mr_datagram model_header(const struct model *model, uint32_t index, uint32_t chunk)
{
    const struct model_device *device = &model->devices[index];
    return (struct mr_datagram){.type = MR_DATAGRAM_CHUNK,
                                .length = (uint16_t)mr_layout_chunk_length(&model->layout, chunk),
                                .upload_id = device->upload_id,
                                .round = model->round,
                                .attempt = device->attempt,
                                .chunk = chunk};
}

size_t model_seal(const struct model *model, uint32_t index, const struct mr_datagram *header,
                  uint8_t *out)
{
    const struct model_device *device = &model->devices[index];
    const uint64_t at = (uint64_t)(header->chunk % model->layout.chunks) * MODEL_CHUNK_BYTES;
    uint8_t *cipher = out + MR_DATAGRAM_HEADER_BYTES;
    mr_datagram_encode(out, header);
    MR_ASSERT(mr_aead_seal(device->up,
                           &(struct mr_aead_message){.sequence = header->chunk,
                                                     .aad = out,
                                                     .aad_bytes = MR_DATAGRAM_HEADER_BYTES,
                                                     .text = device->share + at,
                                                     .bytes = header->length},
                           cipher, cipher + header->length) == 0);
    return MR_DATAGRAM_OVERHEAD + (size_t)header->length;
}

static struct model_device *find(struct model *model, uint64_t upload_id)
{
    for (unsigned i = 0; i < MODEL_SESSIONS; i++) {
        if (upload_id != 0 && model->devices[i].upload_id == upload_id) {
            return &model->devices[i];
        }
    }
    return NULL;
}

static uint64_t little_endian(const uint8_t *bytes, unsigned count)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < count; i++) {
        value |= (uint64_t)bytes[i] << (8 * i);
    }
    return value;
}

void model_fold(struct model *model, uint64_t upload_id)
{
    struct model_device *device = find(model, upload_id);
    MR_ASSERT(device && device->state == MR_UPLOAD_STAGED && !device->folded);
    MR_ASSERT(device->received == model->layout.chunks);
    device->folded = true;
    for (uint32_t i = 0; i < model->layout.lanes; i++) {
        model->lanes[i] += mr_ring_read(device->share, model->layout.ring_bits, i);
    }
    for (unsigned i = 0; i < MR_TRAILER_LANES; i++) {
        model->trailer[i] += little_endian(device->share + model->layout.main_bytes + 4 * i, 4);
    }
}

void model_check_shard(const struct model *model, const struct mr_shard *shard)
{
    const unsigned bytes = mr_ring_accumulator(model->layout.ring_bits);
    const uint64_t mask = (UINT64_C(1) << model->layout.ring_bits) - 1;
    for (uint32_t i = 0; i < model->layout.lanes; i++) {
        const uint8_t *lane = (const uint8_t *)shard->sum.lanes + (size_t)i * bytes;
        MR_ASSERT(((little_endian(lane, bytes) ^ model->lanes[i]) & mask) == 0);
    }
    for (unsigned i = 0; i < MR_TRAILER_LANES; i++) {
        MR_ASSERT(shard->sum.trailer[i] == (uint32_t)model->trailer[i]);
    }
}

void model_check_session(const struct model *model, const struct mr_sessions *sessions,
                         uint32_t index)
{
    const struct model_device *device = &model->devices[index];
    enum mr_upload_state state;
    uint32_t received;
    if (device->upload_id == 0) {
        return;
    }
    MR_ASSERT(mr_sessions_look(sessions, device->upload_id, &state, &received) == 0);
    MR_ASSERT(state == device->state && received == device->received);
    MR_ASSERT((state == MR_UPLOAD_STAGED || state == MR_UPLOAD_COMMITTED) ==
                  (received == model->layout.chunks) ||
              state == MR_UPLOAD_REFUSED);
}

static unsigned number_of(const struct mr_peer_address *address)
{
    MR_ASSERT(address->port >= 1 && address->port <= MODEL_ADDRESSES);
    return address->port - 1u;
}

void model_check_ack(struct model *model, const struct mr_ack_datagram *ack)
{
    const uint8_t *cipher = ack->bytes + MR_DATAGRAM_HEADER_BYTES;
    const unsigned to = number_of(&ack->to);
    struct mr_datagram header;
    uint8_t plain[MR_ACK_BYTES];
    struct mr_ack told;
    MR_ASSERT(mr_datagram_decode(&header, ack->bytes, sizeof ack->bytes) == MR_DATAGRAM_OK);
    struct model_device *device = find(model, header.upload_id);
    MR_ASSERT(device && header.type == MR_DATAGRAM_ACK && header.round == model->round);
    MR_ASSERT(header.attempt == device->attempt && (int64_t)header.chunk > device->last_ack);
    device->last_ack = header.chunk;
    device->out[to] += sizeof ack->bytes;
    MR_ASSERT(device->known[to] && device->out[to] <= device->in[to]);
    MR_ASSERT(mr_aead_unseal(device->down,
                             &(struct mr_aead_message){.sequence = header.chunk,
                                                       .aad = ack->bytes,
                                                       .aad_bytes = MR_DATAGRAM_HEADER_BYTES,
                                                       .text = cipher,
                                                       .bytes = MR_ACK_BYTES},
                             cipher + MR_ACK_BYTES, plain) == 0);
    MR_ASSERT(mr_ack_decode(&told, plain, sizeof plain) == 0);
    MR_ASSERT(told.state == device->state && told.received == device->received);
    for (uint32_t i = 0; i < model->layout.chunks; i++) {
        const uint32_t bit = i - told.base;
        if (i < told.base) {
            MR_ASSERT(device->have[i]);
        } else if (device->state == MR_UPLOAD_RECEIVING && bit < 8 * MR_ACK_BITMAP_BYTES) {
            MR_ASSERT(device->have[i] == (told.bitmap[bit / 8] >> (bit % 8) & 1));
        }
    }
}

struct mr_peer_address model_address(unsigned number)
{
    return (struct mr_peer_address){.port = (uint16_t)(number + 1)};
}
