/* fuzz_ack.c - what the sender makes of what it hears: ACKs under a true seal with any content,
 * forged ones, any bytes, in any order and at any time. It never sends a chunk in two forms, never
 * runs out of the lists' bounds, never leaves a final state, and always wakes or ends. */
#include "edge-client/upload/sender.h"
#include "tests/fuzz/fuzz.h"

#define UPLOAD_ID  UINT64_C(0x0300000100000007)
#define ROUND      7
#define ATTEMPT    2
#define CHUNKS_MAX 64
#define STEPS_MAX  256

struct bench {
    struct mr_layout layout;
    struct mr_upload_keys keys;
    struct mr_aead *down; /* seals ACKs as the hub does */
    struct mr_sender *sender;
    uint64_t now_us;
    uint32_t ack_number;
    uint8_t tags[CHUNKS_MAX][MR_TAG_BYTES]; /* of what was sent: a chunk has one form */
    uint64_t sent;                          /* bit c: chunk c was */
    enum mr_sender_phase phase;
};

static uint8_t share[CHUNKS_MAX * 64] __attribute__((aligned(64)));

static void bench_open(struct bench *bench, struct fuzz_input *input, struct mr_aead *down)
{
    const uint8_t shape = fuzz_byte(input);
    const uint64_t dimension = 64u * (1u + shape % 30u);
    MR_ASSERT(mr_layout_init(&bench->layout, 16, dimension, 0, 64) == 0);
    MR_ASSERT(bench->layout.chunks <= CHUNKS_MAX);
    memset(&bench->keys, 5, sizeof bench->keys);
    bench->down = down;
    bench->now_us = 1000;
    const struct mr_sender_config config = {.layout = &bench->layout,
                                            .share = share,
                                            .upload_id = UPLOAD_ID,
                                            .round = ROUND,
                                            .attempt = ATTEMPT,
                                            .keys = &bench->keys,
                                            .window = fuzz_byte(input),
                                            .silence_us = 3000000};
    bench->sender = mr_sender_open(&config, bench->now_us);
    MR_ASSERT(bench->sender && mr_aead_rekey(down, &bench->keys.down) == 0);
}

static void send_some(struct bench *bench, unsigned most)
{
    uint8_t out[64 + MR_DATAGRAM_OVERHEAD];
    struct mr_datagram datagram;
    for (unsigned i = 0; i < most; i++) {
        const size_t length = mr_sender_next(bench->sender, bench->now_us, out);
        if (length == 0) {
            return;
        }
        MR_ASSERT(mr_datagram_decode(&datagram, out, length) == MR_DATAGRAM_OK);
        MR_ASSERT(datagram.chunk < bench->layout.chunks && datagram.type == MR_DATAGRAM_CHUNK);
        const uint8_t *tag = out + length - MR_TAG_BYTES;
        if (bench->sent >> datagram.chunk & 1) {
            MR_ASSERT(memcmp(bench->tags[datagram.chunk], tag, MR_TAG_BYTES) == 0);
        }
        bench->sent |= UINT64_C(1) << datagram.chunk;
        memcpy(bench->tags[datagram.chunk], tag, MR_TAG_BYTES);
    }
}

static void hear(struct bench *bench, const uint8_t *bytes, size_t length)
{
    const struct mr_sender_counts before = *mr_sender_counts(bench->sender);
    const int taken = mr_sender_receive(bench->sender, bench->now_us, bytes, length) == 0;
    const struct mr_sender_counts *after = mr_sender_counts(bench->sender);
    MR_ASSERT(after->acks == before.acks + taken);
    MR_ASSERT(after->acks_ignored == before.acks_ignored + !taken);
}

/* An ACK under the true key: the payload is the input's, or built from a few of its bytes. */
static void hear_sealed(struct bench *bench, struct fuzz_input *input, int raw)
{
    uint8_t datagram[MR_DATAGRAM_OVERHEAD + MR_ACK_BYTES] = {0};
    uint8_t *cipher = datagram + MR_DATAGRAM_HEADER_BYTES;
    const uint8_t change = fuzz_byte(input);
    bench->ack_number += (change >> 4) - 2u; /* mostly forward */
    const struct mr_datagram header = {.type = MR_DATAGRAM_ACK,
                                       .length = MR_ACK_BYTES,
                                       .upload_id = UPLOAD_ID ^ (change == 1),
                                       .round = ROUND + (change == 2),
                                       .attempt = ATTEMPT + (change == 3),
                                       .chunk = bench->ack_number};
    if (raw) {
        size_t count;
        const uint8_t *bytes = fuzz_take(input, MR_ACK_BYTES, &count);
        if (count > 0) {
            memcpy(cipher, bytes, count);
        }
    } else {
        struct mr_ack ack = {.state = fuzz_byte(input) % 5,
                             .reason = fuzz_byte(input) % 6,
                             .received = fuzz_byte(input),
                             .window = fuzz_word(input),
                             .base = fuzz_byte(input)};
        const uint32_t bits = fuzz_word(input);
        memcpy(ack.bitmap, &bits, sizeof bits);
        mr_ack_encode(cipher, &ack);
    }
    mr_datagram_encode(datagram, &header);
    MR_ASSERT(mr_aead_seal(bench->down,
                           &(struct mr_aead_message){.sequence = header.chunk,
                                                     .aad = datagram,
                                                     .aad_bytes = MR_DATAGRAM_HEADER_BYTES,
                                                     .text = cipher,
                                                     .bytes = MR_ACK_BYTES},
                           cipher, cipher + MR_ACK_BYTES) == 0);
    if (change == 4) {
        cipher[fuzz_byte(input) % (MR_ACK_BYTES + MR_TAG_BYTES)] ^= 1;
    }
    hear(bench, datagram, sizeof datagram);
}

static void look(struct bench *bench)
{
    const enum mr_sender_phase phase = mr_sender_phase(bench->sender);
    const uint64_t wake_us = mr_sender_wake_us(bench->sender, bench->now_us);
    if (bench->phase == MR_SENDER_COMMITTED || bench->phase == MR_SENDER_REFUSED ||
        bench->phase == MR_SENDER_SILENT) {
        MR_ASSERT(phase == bench->phase);
    }
    if (phase == MR_SENDER_SENDING) {
        MR_ASSERT(wake_us >= bench->now_us && wake_us <= bench->now_us + 4000000);
    } else {
        MR_ASSERT(wake_us == UINT64_MAX);
    }
    bench->phase = phase;
}

static void step(struct bench *bench, struct fuzz_input *input)
{
    size_t length;
    const uint8_t *bytes;
    switch (fuzz_byte(input) % 6) {
    case 0:
        send_some(bench, fuzz_byte(input) % 64);
        break;
    case 1:
        bench->now_us += (uint64_t)fuzz_byte(input) * fuzz_byte(input) * 64;
        break;
    case 2:
        hear_sealed(bench, input, 0);
        break;
    case 3:
        hear_sealed(bench, input, 1);
        break;
    case 4:
        bytes = fuzz_take(input, fuzz_byte(input), &length);
        hear(bench, bytes, length);
        break;
    default: /* exactly when it asked to be called */
        if (mr_sender_phase(bench->sender) == MR_SENDER_SENDING) {
            bench->now_us = mr_sender_wake_us(bench->sender, bench->now_us);
        }
        send_some(bench, 1);
        break;
    }
    look(bench);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct mr_aead *down;
    struct fuzz_input input = {data, size};
    struct bench bench = {.ack_number = 0};
    if (!down) {
        down = mr_aead_open();
        MR_ASSERT(down);
        for (size_t i = 0; i < sizeof share; i++) {
            share[i] = (uint8_t)(i * 2654435761u >> 24);
        }
    }
    bench_open(&bench, &input, down);
    for (unsigned i = 0; i < STEPS_MAX && input.left > 0; i++) {
        step(&bench, &input);
    }
    mr_sender_close(bench.sender);
    return 0;
}
