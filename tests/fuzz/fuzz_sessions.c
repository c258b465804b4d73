/* fuzz_sessions.c - a worker's sessions under packet sequences with true seals. The bytes choose
 * what happens: admit, seal a chunk, repeat, corrupt, seal under another header, cut short, revoke,
 * let time pass, fold, commit or refuse, draw ACKs, begin a new round.
 *
 * Held against the model: an upload is folded whole and once or not at all, the shard is the sum of
 * exactly what was folded, a chunk counts only under a true seal, no address gets more bytes than
 * came from it, and one that never sent a true seal gets none. */
#include <stdlib.h>

#include "tests/fuzz/sessions_model.h"
#include "wire/share.h"

#define STEPS_MAX    400
#define DATAGRAM_MAX (MODEL_CHUNK_BYTES + MR_DATAGRAM_OVERHEAD)

/* What is known of a packet that waits in the burst. */
struct sent {
    uint32_t index;  /* of the device whose key sealed it */
    uint64_t upload; /* … and its upload then */
    uint32_t chunk;
    unsigned from;
    bool genuine; /* seal and header are true */
    bool named;   /* carries that upload's id */
};

struct bench {
    struct mr_sessions *sessions;
    struct mr_upload_counters *counters;
    struct mr_shard shard;
    struct model model;
    unsigned place; /* of the round; each has another, so that queues are never empty by a reset */
    uint64_t now_ms;
    struct mr_packet packets[MR_BURST_MAX];
    struct sent sent[MR_BURST_MAX];
    unsigned count;
};

static void open_bench(struct bench *bench)
{
    struct mr_error error;
    const struct mr_sessions_config config = {.lane = MODEL_LANE,
                                              .sessions = MODEL_SESSIONS,
                                              .slots = MODEL_SLOTS,
                                              .share_bytes_max = MODEL_SHARE_MAX,
                                              .window_max = 64,
                                              .idle_timeout_ms = 1000};
    bench->counters = aligned_alloc(128, sizeof *bench->counters);
    MR_ASSERT(bench->counters);
    memset(bench->counters, 0, sizeof *bench->counters);
    MR_ASSERT(mr_sessions_open(&bench->sessions, &config, bench->counters, &error) == 0);
    MR_ASSERT(mr_shard_open(&bench->shard, MODEL_SHARE_MAX, 4096, &error) == 0);
    model_open(&bench->model);
}

static void begin(struct bench *bench, uint8_t shape)
{
    static const struct {
        uint8_t ring_bits;
        uint64_t dimension;
    } shapes[] = {{16, 64}, {24, 64}, {32, 512}, {16, 2400}, {8, 64}, {10, 192}, {12, 64}};
    struct mr_layout layout;
    const unsigned i = shape % (sizeof shapes / sizeof *shapes);
    MR_ASSERT(mr_layout_init(&layout, shapes[i].ring_bits, shapes[i].dimension, 0,
                             MODEL_CHUNK_BYTES) == 0);
    MR_ASSERT(layout.chunks <= MODEL_CHUNKS_MAX);
    model_begin(&bench->model, bench->model.round + 1, &layout);
    const unsigned before = bench->place;
    bench->place = (bench->place + 1) % 3;
    mr_sessions_begin(bench->sessions, bench->place, bench->model.round, &layout, 128);
    mr_sessions_end(bench->sessions, before, 128);
    mr_shard_clear(&bench->shard, &layout);
}

/* --- what happens by itself ------------------------------------------------------------------ */

static void take_events(struct bench *bench)
{
    struct mr_session_event event;
    while (mr_sessions_event(bench->sessions, &event)) {
        struct model_device *device = &bench->model.devices[mr_upload_id_index(event.upload_id)];
        MR_ASSERT(device->upload_id == event.upload_id);
        if (event.state == MR_UPLOAD_STAGED) {
            MR_ASSERT(device->received == bench->model.layout.chunks);
            device->state = MR_UPLOAD_STAGED;
        } else {
            MR_ASSERT(event.state == MR_UPLOAD_REFUSED && device->state == MR_UPLOAD_RECEIVING);
            device->state = MR_UPLOAD_REFUSED;
        }
    }
}

/* One judged packet into the books: accepted if and only if it is a new chunk under a true seal. */
static void judge(struct bench *bench, const struct sent *sent, enum mr_drop_reason verdict)
{
    struct model_device *device = &bench->model.devices[sent->index];
    const bool live = device->upload_id == sent->upload && sent->upload != 0;
    const bool fresh = sent->genuine && live && device->state == MR_UPLOAD_RECEIVING &&
                       device->received < bench->model.layout.chunks && !device->have[sent->chunk];
    MR_ASSERT((verdict == MR_UPLOAD_ACCEPTED) == fresh);
    if (fresh) {
        device->have[sent->chunk] = true;
        device->received++;
    }
    if (sent->genuine && live && !fresh) {
        MR_ASSERT(verdict == MR_UPLOAD_DROP_duplicate || verdict == MR_UPLOAD_DROP_not_receiving);
    }
}

static void give(struct bench *bench)
{
    enum mr_drop_reason verdicts[MR_BURST_MAX];
    for (unsigned i = 0; i < bench->count; i++) {
        const struct sent *sent = &bench->sent[i];
        struct model_device *device = &bench->model.devices[sent->index];
        if (device->upload_id != sent->upload || sent->upload == 0 || !sent->named) {
            continue;
        }
        device->in[sent->from] += bench->packets[i].length;
        device->known[sent->from] |= sent->genuine;
    }
    mr_sessions_receive(bench->sessions, bench->packets, bench->count, bench->now_ms, verdicts);
    for (unsigned i = 0; i < bench->count; i++) {
        judge(bench, &bench->sent[i], verdicts[i]);
        free(bench->packets[i].data);
    }
    bench->count = 0;
    take_events(bench);
}

/* --- packets --------------------------------------------------------------------------------- */

static void put(struct bench *bench, const uint8_t *bytes, size_t length, const struct sent *sent)
{
    if (bench->count == MR_BURST_MAX) {
        give(bench);
    }
    uint8_t *exact = malloc(length > 0 ? length : 1); /* so that a step beyond is seen */
    MR_ASSERT(exact);
    if (length > 0) {
        memcpy(exact, bytes, length);
    }
    bench->sent[bench->count] = *sent;
    bench->packets[bench->count++] = (struct mr_packet){
        .data = exact, .length = (uint32_t)length, .from = model_address(sent->from)};
}

enum change { CHANGE_NONE, CHANGE_FLIP, CHANGE_CUT, CHANGE_HEADER, CHANGE_KINDS };

/* Another header under a true seal; a header that is the true one after all stays genuine. */
static void change_header(struct mr_datagram *header, struct fuzz_input *input)
{
    const uint8_t what = fuzz_byte(input), how = fuzz_byte(input);
    switch (what % 6) {
    case 0:
        header->round += how;
        break;
    case 1:
        header->attempt += how;
        break;
    case 2:
        header->upload_id ^= (uint64_t)how << (what / 6 % 8 * 8);
        break;
    case 3:
        header->chunk ^= (uint32_t)how << (what / 6 % 4 * 8);
        break;
    case 4:
        header->length = how % (MODEL_CHUNK_BYTES + 1);
        break;
    default:
        header->type = how;
        break;
    }
}

static bool same_header(const struct mr_datagram *a, const struct mr_datagram *b)
{
    return a->type == b->type && a->length == b->length && a->upload_id == b->upload_id &&
           a->round == b->round && a->attempt == b->attempt && a->chunk == b->chunk;
}

static void send_chunk(struct bench *bench, struct fuzz_input *input, enum change change)
{
    uint8_t datagram[DATAGRAM_MAX];
    const uint8_t who = fuzz_byte(input);
    struct sent sent = {.index = who % MODEL_SESSIONS,
                        .from = who / MODEL_SESSIONS % MODEL_ADDRESSES,
                        .chunk = fuzz_byte(input) % bench->model.layout.chunks,
                        .genuine = true};
    struct mr_datagram header = model_header(&bench->model, sent.index, sent.chunk);
    sent.upload = header.upload_id;
    if (sent.upload == 0) {
        return;
    }
    if (change == CHANGE_HEADER) {
        change_header(&header, input);
        const uint32_t chunk = header.chunk;
        if (chunk < bench->model.layout.chunks) {
            sent.chunk = chunk;
        }
        const struct mr_datagram as_it_is = model_header(&bench->model, sent.index, sent.chunk);
        sent.genuine = same_header(&header, &as_it_is);
    }
    sent.named = header.upload_id == sent.upload;
    size_t length = model_seal(&bench->model, sent.index, &header, datagram);
    if (change == CHANGE_FLIP) {
        datagram[fuzz_byte(input) % length] ^= (uint8_t)(1u << fuzz_byte(input) % 8);
        sent.genuine = false;
    } else if (change == CHANGE_CUT) {
        length = fuzz_byte(input) % length;
        sent.genuine = false;
    }
    put(bench, datagram, length, &sent);
}

static void send_all(struct bench *bench, struct fuzz_input *input)
{
    uint8_t datagram[DATAGRAM_MAX];
    const uint8_t who = fuzz_byte(input), skip = fuzz_byte(input);
    struct sent sent = {.index = who % MODEL_SESSIONS,
                        .from = who / MODEL_SESSIONS % MODEL_ADDRESSES};
    sent.upload = bench->model.devices[sent.index].upload_id;
    sent.genuine = sent.named = true;
    for (uint32_t i = 0; sent.upload != 0 && i < bench->model.layout.chunks; i++) {
        const struct mr_datagram header = model_header(&bench->model, sent.index, i);
        sent.chunk = i;
        if (i != skip) {
            put(bench, datagram, model_seal(&bench->model, sent.index, &header, datagram), &sent);
        }
    }
}

static void send_again(struct bench *bench, struct fuzz_input *input)
{
    if (bench->count == 0 || bench->count == MR_BURST_MAX) {
        return;
    }
    const unsigned which = fuzz_byte(input) % bench->count;
    struct sent sent = bench->sent[which];
    sent.from = fuzz_byte(input) % MODEL_ADDRESSES;
    put(bench, bench->packets[which].data, bench->packets[which].length, &sent);
}

static void send_bytes(struct bench *bench, struct fuzz_input *input)
{
    size_t length;
    const struct sent sent = {.from = fuzz_byte(input) % MODEL_ADDRESSES};
    const uint8_t *bytes = fuzz_take(input, fuzz_byte(input), &length);
    put(bench, bytes, length, &sent);
}

/* --- the hub's side -------------------------------------------------------------------------- */

static bool in_use(const struct model_device *device)
{
    return device->upload_id != 0 &&
           (device->state == MR_UPLOAD_RECEIVING || device->state == MR_UPLOAD_STAGED);
}

static void admit(struct bench *bench, uint32_t index)
{
    struct model_device *device = &bench->model.devices[index];
    if (in_use(device) || mr_sessions_slots_free(bench->sessions) == 0) {
        return;
    }
    model_admit(&bench->model, index);
    const struct mr_session_admission admission = {
        .upload_id = device->upload_id,
        .attempt = device->attempt,
        .count_lane = mr_share_count(device->share, &bench->model.layout),
        .keys = &device->keys};
    MR_ASSERT(mr_sessions_admit(bench->sessions, bench->place, &admission, bench->now_ms) == 0);
}

static void revoke(struct bench *bench, uint32_t index)
{
    struct model_device *device = &bench->model.devices[index];
    const bool gone = mr_sessions_revoke(bench->sessions, device->upload_id, MR_REASON_SUPERSEDED);
    if (device->upload_id == 0) {
        MR_ASSERT(!gone);
        return;
    }
    if (device->state == MR_UPLOAD_RECEIVING) {
        device->state = MR_UPLOAD_REFUSED;
    }
    MR_ASSERT(gone == (device->state == MR_UPLOAD_REFUSED));
}

static void refuse_all(struct bench *bench)
{
    mr_sessions_refuse_all(bench->sessions, bench->place, MR_REASON_CLOSED);
    for (unsigned i = 0; i < MODEL_SESSIONS; i++) {
        if (in_use(&bench->model.devices[i]) &&
            bench->model.devices[i].state == MR_UPLOAD_RECEIVING) {
            bench->model.devices[i].state = MR_UPLOAD_REFUSED;
        }
    }
}

static void fold(struct bench *bench)
{
    const uint8_t *shares[MR_FOLD_MAX];
    uint64_t upload_ids[MR_FOLD_MAX];
    while (mr_sessions_staged_count(bench->sessions, bench->place) > 0) {
        const unsigned n = mr_sessions_staged(bench->sessions, bench->place, shares, upload_ids);
        for (unsigned i = 0; i < n; i++) {
            model_fold(&bench->model, upload_ids[i]);
        }
        mr_shard_fold(&bench->shard, &bench->model.layout, shares, upload_ids, n,
                      mr_kernels_select(~0u));
        mr_sessions_folded(bench->sessions, bench->place, n);
    }
    model_check_shard(&bench->model, &bench->shard);
}

static void settle(struct bench *bench, uint32_t index, bool committed)
{
    struct model_device *device = &bench->model.devices[index];
    if (!device->folded || device->state != MR_UPLOAD_STAGED) {
        return; /* only what was collected is settled */
    }
    mr_sessions_settle(bench->sessions, device->upload_id, committed, MR_REASON_VOID);
    device->state = committed ? MR_UPLOAD_COMMITTED : MR_UPLOAD_REFUSED;
}

static void draw_acks(struct bench *bench, uint8_t how)
{
    struct mr_ack_datagram ack;
    (void)mr_sessions_ack_wait_ms(bench->sessions, bench->now_ms);
    for (unsigned i = 0; i < (how >> 1); i++) {
        if (!mr_sessions_ack(bench->sessions, bench->now_ms, how & 1, &ack)) {
            return;
        }
        model_check_ack(&bench->model, &ack);
    }
}

/* Everything but the making of packets first gives what waits. */
static void act(struct bench *bench, uint8_t what, struct fuzz_input *input)
{
    const uint8_t how = fuzz_byte(input);
    give(bench);
    switch (what) {
    case 0:
        admit(bench, how % MODEL_SESSIONS);
        break;
    case 1:
        revoke(bench, how % MODEL_SESSIONS);
        break;
    case 2:
        bench->now_ms += how;
        mr_sessions_expire(bench->sessions, bench->now_ms);
        take_events(bench);
        break;
    case 3:
        fold(bench);
        break;
    case 4:
        settle(bench, how % MODEL_SESSIONS, how & 0x80);
        break;
    case 5:
        draw_acks(bench, how);
        break;
    case 6:
        if (how < 32) {
            begin(bench, how);
        } else if (how > 224) {
            refuse_all(bench);
        } else {
            bench->now_ms += how % 8;
        }
        break;
    default:
        break;
    }
    for (uint32_t i = 0; i < MODEL_SESSIONS; i++) {
        model_check_session(&bench->model, bench->sessions, i);
    }
}

static void step(struct bench *bench, struct fuzz_input *input)
{
    const uint8_t what = fuzz_byte(input) % 16;
    switch (what) {
    case 8:
    case 9:
        send_chunk(bench, input, CHANGE_NONE);
        break;
    case 10:
    case 11:
    case 12:
        send_chunk(bench, input, (enum change)(CHANGE_NONE + what - 9));
        break;
    case 13:
        send_again(bench, input);
        break;
    case 14:
        send_bytes(bench, input);
        break;
    case 15:
        send_all(bench, input);
        break;
    default:
        act(bench, what, input);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct bench bench;
    struct fuzz_input input = {data, size};
    if (!bench.sessions) {
        open_bench(&bench);
    }
    bench.model.round = 0;
    bench.model.drawn = 0;
    bench.now_ms = 1000;
    begin(&bench, fuzz_byte(&input));
    for (unsigned i = 0; i < STEPS_MAX && input.left > 0; i++) {
        step(&bench, &input);
    }
    give(&bench);
    fold(&bench);
    draw_acks(&bench, 0xff);
    return 0;
}
