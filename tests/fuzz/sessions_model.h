/* sessions_model.h - what an upload session must come to, by plain bookkeeping: the devices with
 * their true shares and keys, and the sum of exactly those uploads that were folded. */
#ifndef MR_TESTS_FUZZ_SESSIONS_MODEL_H
#define MR_TESTS_FUZZ_SESSIONS_MODEL_H

#include <stdbool.h>

#include "appliance/aggregate/shard.h"
#include "appliance/upload/session.h"
#include "tests/fuzz/fuzz.h"

#define MODEL_LANE        3
#define MODEL_SESSIONS    6
#define MODEL_SLOTS       3
#define MODEL_CHUNKS_MAX  80
#define MODEL_CHUNK_BYTES 64
#define MODEL_SHARE_MAX   (MODEL_CHUNKS_MAX * MODEL_CHUNK_BYTES)
#define MODEL_ADDRESSES   4

struct model_device {
    uint64_t upload_id; /* 0: never admitted in this round */
    uint32_t attempt;
    enum mr_upload_state state;
    bool folded;
    bool have[MODEL_CHUNKS_MAX];
    uint32_t received;
    int64_t last_ack;
    struct mr_upload_keys keys;
    struct mr_aead *up, *down; /* made once */
    uint8_t *share;            /* 64-byte aligned */
    /* By address: bytes that came from it for this upload, bytes that went to it, and whether a
     * true seal ever came from there. */
    uint64_t in[MODEL_ADDRESSES], out[MODEL_ADDRESSES];
    bool known[MODEL_ADDRESSES];
};

struct model {
    struct mr_layout layout;
    uint64_t round;
    uint32_t drawn; /* uploads so far: names, keys and shares are drawn from it */
    struct model_device devices[MODEL_SESSIONS];
    uint64_t lanes[MODEL_SHARE_MAX / 2]; /* the sum that the shard must hold */
    uint64_t trailer[MR_TRAILER_LANES];
};

void model_open(struct model *model);
void model_begin(struct model *model, uint64_t round, const struct mr_layout *layout);
/* A new upload with keys and a share of its own. */
void model_admit(struct model *model, uint32_t index);
/* A chunk's datagram with that header, sealed under the device's key; returns its length. */
size_t model_seal(const struct model *model, uint32_t index, const struct mr_datagram *header,
                  uint8_t *out);
struct mr_datagram model_header(const struct model *model, uint32_t index, uint32_t chunk);
/* The upload is folded: it must be whole, and for the first time. */
void model_fold(struct model *model, uint64_t upload_id);
void model_check_shard(const struct model *model, const struct mr_shard *shard);
/* The session is what the model says it is. */
void model_check_session(const struct model *model, const struct mr_sessions *sessions,
                         uint32_t index);
/* An ACK that the hub sends: to whom, under which key, how much, and is it true? */
void model_check_ack(struct model *model, const struct mr_ack_datagram *ack);

struct mr_peer_address model_address(unsigned number);

#endif
