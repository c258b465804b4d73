/* messages.h - the JSON bodies of the control plane, both directions, encoded and decoded in one
 * place. Routes: docs/wire-format.md, "Control plane".
 *
 * Decoders are strict: wrong type, missing or unknown member, value out of range is refused with a
 * text that names the member. Encoders return a malloc'd NUL-terminated string (caller frees), or
 * NULL when out of memory. Binary members are base64 (standard alphabet, padded). Seed requests and
 * their answers are octets: sealed_seed.h, receipt.h. */
#ifndef MR_WIRE_MESSAGES_H
#define MR_WIRE_MESSAGES_H

#include <stdbool.h>

#include "wire/announcement.h"
#include "wire/datagram.h"
#include "base/error.h"
#include "wire/draw.h"
#include "wire/keys.h"
#include "wire/receipt.h"
#include "wire/refusal.h"

#define MR_MESSAGE_MAX 8192 /* bytes of a body; a longer one is refused unread */

enum mr_transport {
    MR_TRANSPORT_UDP = 0,
    MR_TRANSPORT_HTTP2 = 1,
};

/* POST /v1/tasks/{task}/rounds/{round}/uploads, device to lead: a full set of receipts buys a
 * grant. */
struct mr_upload_request {
    uint8_t announcement_hash[MR_HASH_BYTES];
    uint32_t attempt;
    enum mr_transport transport;
    unsigned receipt_count; /* hub_count - 1 */
    struct mr_receipt receipts[MR_HUBS_MAX];
};
/* … its answer. Keys come from the TLS exporter of the very connection that carried it. */
struct mr_upload_grant {
    uint64_t upload_id;
    char udp_host[64]; /* numeric address; empty for HTTP/2 */
    uint16_t udp_port; /* 0 for HTTP/2 */
    uint32_t window;   /* chunks that may be in flight before the first ACK */
};

/* GET /v1/tasks/{task}/rounds/{round}/uploads/{upload_id}?wait_ms=N */
struct mr_upload_status {
    enum mr_upload_state state;
    enum mr_upload_reason reason; /* MR_REASON_NONE unless refused, and only then */
};

enum mr_round_end_state {
    MR_ROUND_UNDER_WAY = 0,
    MR_ROUND_PUBLISHED = 1,
    MR_ROUND_VOID = 2,
};
#define MR_ROUND_REASON_BYTES 300

/* GET /v1/tasks/{task}/rounds/{round}?wait_ms=N, device to any hub: how a round ended. */
struct mr_round_end {
    enum mr_round_end_state state;
    char model[2 * MR_HASH_BYTES + 1];  /* the new model's hash in hex when published, else "" */
    char reason[MR_ROUND_REASON_BYTES]; /* when void, else "" */
    /* When void: this hub has not opened the round and never will (mr_unopened_sign). */
    bool unopened;
    uint8_t signature[MR_SIGNATURE_BYTES]; /* of that, where `unopened` */
    /* When published, and rounding cost the update too much: how much; else "". */
    char warning[MR_ROUND_REASON_BYTES];
};

/* Answer to POST /v1/tasks/{task}/peer/rounds: the helper's signature of the proposed announcement.
 */
struct mr_peer_signature {
    uint16_t hub_index;
    struct mr_hub_signature signature;         /* with the helper's seal key */
    uint8_t receipt_key[MR_RECEIPT_KEY_BYTES]; /* wire/receipt.h */
    bool pledged;                              /* in a round whose set is drawn (wire/draw.h) */
    struct mr_draw_pledge pledge;              /* where `pledged` */
};

/* POST /v1/tasks/{task}/peer/rounds/{round}/void, lead to helper: give the round up. */
struct mr_peer_void {
    char reason[MR_ROUND_REASON_BYTES]; /* printable ASCII, not empty; begins with its cause */
    uint8_t announcement_hash[MR_HASH_BYTES];
    uint8_t signature[MR_SIGNATURE_BYTES]; /* mr_void_sign */
};

/* Answer to POST /v1/tasks/{task}/peer/rounds/{round}/reveal: the next model's hash, signed
 * (mr_model_sign). */
struct mr_peer_model {
    uint16_t hub_index;
    uint8_t model_hash[MR_HASH_BYTES];
    uint8_t signature[MR_SIGNATURE_BYTES];
};

/* Answer to GET /v1/tasks/{task}/hubs: the task's hubs as that hub would announce them. */
struct mr_task_hubs {
    uint16_t hub_index; /* who says so */
    unsigned hub_count;
    struct mr_announced_hub hubs[MR_HUBS_MAX]; /* the lead first */
};

/* Any refusal is an HTTP status of 4xx or 5xx with struct mr_refusal as its body. The encoder
 * writes
 * '?' for what is not printable ASCII; the decoder takes any code of [a-z_], so that an old device
 * can report a new hub's refusal. */

#define MR_MESSAGE_CODEC(name)                                                                     \
    char *mr_##name##_encode(const struct mr_##name *message);                                     \
    int mr_##name##_decode(struct mr_##name *message, const char *text, size_t length,             \
                           struct mr_error *error);

MR_MESSAGE_CODEC(upload_request)
MR_MESSAGE_CODEC(upload_grant)
MR_MESSAGE_CODEC(upload_status)
MR_MESSAGE_CODEC(round_end)
MR_MESSAGE_CODEC(peer_signature)
MR_MESSAGE_CODEC(peer_void)
MR_MESSAGE_CODEC(peer_model)
MR_MESSAGE_CODEC(task_hubs)
MR_MESSAGE_CODEC(refusal)

/* "receiving", "staged", "committed", "refused"; "none", "closed", "superseded", … */
const char *mr_upload_state_name(enum mr_upload_state state);
const char *mr_upload_reason_name(enum mr_upload_reason reason);

/* An upload id as it stands in paths and bodies: 16 lower-case hex digits. Parsing takes exactly
 * that: 0 or -1. */
void mr_upload_id_format(char text[17], uint64_t upload_id);
int mr_upload_id_parse(uint64_t *upload_id, const char *text);

#endif
