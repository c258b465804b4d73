#include "wire/messages.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/base64.h"
#include "base/bytes.h"
#include "base/json_reader.h"
#include "base/json_text.h"

#define COUNT(list) ((unsigned)(sizeof(list) / sizeof *(list)))

static const char *const transport_names[] = {"udp", "http2"};
static const char *const state_names[] = {"receiving", "staged", "committed", "refused"};
static const char *const end_names[] = {"under_way", "published", "void"};
static const char *const reason_names[] = {"none", "closed", "superseded",
                                           "void", "idle",   "unsound"};

const char *mr_upload_state_name(enum mr_upload_state state)
{
    MR_ASSERT(state >= MR_UPLOAD_RECEIVING && state <= MR_UPLOAD_REFUSED);
    return state_names[state - MR_UPLOAD_RECEIVING];
}

const char *mr_upload_reason_name(enum mr_upload_reason reason)
{
    MR_ASSERT((unsigned)reason < COUNT(reason_names));
    return reason_names[reason];
}

static void open_message(struct mr_json_reader *reader, const char *text, size_t length,
                         struct mr_error *error)
{
    *reader = (struct mr_json_reader){.error = error};
    if (length > MR_MESSAGE_MAX) {
        mr_json_reader_fail(reader, "the body has %zu bytes: at most %d are taken", length,
                            MR_MESSAGE_MAX);
    } else {
        mr_json_reader_open(reader, text, length, error);
    }
}

/* Binary as a JSON string; NULL when out of memory. */
static json_t *binary(const uint8_t *data, size_t bytes)
{
    char text[MR_BASE64_LENGTH(MR_BASE64_BYTES_MAX) + 1];
    mr_base64_encode(text, data, bytes);
    return mr_json_text(text);
}

/* Frees the object; NULL in, NULL out. */
static char *dump(json_t *object)
{
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    return text;
}

/* Fails the reader where the text is no receipt's bytes in base64. */
static void receipt_take(struct mr_receipt *receipt, struct mr_json_reader *reader,
                         const json_t *value, unsigned i)
{
    uint8_t bytes[MR_RECEIPT_BYTES];
    const char *text = json_string_value(value);
    if (!text || mr_base64_decode(bytes, sizeof bytes, text, strlen(text)) != 0) {
        mr_json_reader_fail(reader, "receipts[%u] must be %d bytes in base64", i,
                            (int)sizeof bytes);
        return;
    }
    mr_receipt_decode(receipt, bytes);
}

char *mr_upload_request_encode(const struct mr_upload_request *message)
{
    MR_ASSERT(message->receipt_count < MR_HUBS_MAX);
    json_t *receipts = json_array();
    for (unsigned i = 0; i < message->receipt_count; i++) {
        uint8_t bytes[MR_RECEIPT_BYTES];
        mr_receipt_encode(bytes, &message->receipts[i]);
        if (json_array_append_new(receipts, binary(bytes, sizeof bytes)) != 0) {
            json_decref(receipts);
            return NULL;
        }
    }
    return dump(json_pack("{s:o, s:I, s:o, s:o}", "announcement",
                          binary(message->announcement_hash, MR_HASH_BYTES), "attempt",
                          (json_int_t)message->attempt, "transport",
                          mr_json_text(transport_names[message->transport]), "receipts", receipts));
}

/* --- as this file writes it ------------------------------------------------------------------- */

/* A hub reads one such request of each device and round, and Jansson takes as long for it as the
 * connection's keys. What our own encoder has written is read where it stands; all other spellings
 * of the same, and what is refused, are Jansson's. */
struct plain {
    const char *at, *end;
};

static bool plain_has(struct plain *text, const char *words)
{
    const size_t length = strlen(words);
    if ((size_t)(text->end - text->at) < length || memcmp(text->at, words, length) != 0) {
        return false;
    }
    text->at += length;
    return true;
}

/* Bytes in base64, which has no character that JSON would spell otherwise. */
static bool plain_bytes(struct plain *text, uint8_t *out, size_t bytes)
{
    const size_t length = MR_BASE64_LENGTH(bytes);
    if ((size_t)(text->end - text->at) < length ||
        mr_base64_decode(out, bytes, text->at, length) != 0) {
        return false;
    }
    text->at += length;
    return true;
}

static bool plain_attempt(struct plain *text, uint32_t *attempt)
{
    _Static_assert(MR_ATTEMPTS_MAX <= 10, "an attempt is one digit");
    if (text->at == text->end || *text->at < '0' || *text->at >= '0' + MR_ATTEMPTS_MAX) {
        return false;
    }
    *attempt = (uint32_t)(*text->at++ - '0');
    return true;
}

static bool plain_transport(struct plain *text, enum mr_transport *transport)
{
    for (unsigned i = 0; i < COUNT(transport_names); i++) {
        if (plain_has(text, transport_names[i])) {
            *transport = (enum mr_transport)i;
            return true;
        }
    }
    return false;
}

static bool plain_receipts(struct plain *text, struct mr_upload_request *message)
{
    do {
        uint8_t bytes[MR_RECEIPT_BYTES];
        if (message->receipt_count == MR_HUBS_MAX - 1 || !plain_has(text, "\"") ||
            !plain_bytes(text, bytes, sizeof bytes) || !plain_has(text, "\"")) {
            return false;
        }
        mr_receipt_decode(&message->receipts[message->receipt_count++], bytes);
    } while (plain_has(text, ","));
    return true;
}

static bool plain_request(struct mr_upload_request *message, const char *bytes, size_t length)
{
    struct plain text = {bytes, bytes + length};
    return plain_has(&text, "{\"announcement\":\"") &&
           plain_bytes(&text, message->announcement_hash, MR_HASH_BYTES) &&
           plain_has(&text, "\",\"attempt\":") && plain_attempt(&text, &message->attempt) &&
           plain_has(&text, ",\"transport\":\"") && plain_transport(&text, &message->transport) &&
           plain_has(&text, "\",\"receipts\":[") && plain_receipts(&text, message) &&
           plain_has(&text, "]}") && text.at == text.end;
}

/* --- requests and grants ---------------------------------------------------------------------- */

int mr_upload_request_decode(struct mr_upload_request *message, const char *text, size_t length,
                             struct mr_error *error)
{
    struct mr_json_reader reader;
    memset(message, 0, sizeof *message);
    if (plain_request(message, text, length)) {
        return 0;
    }
    memset(message, 0, sizeof *message);
    open_message(&reader, text, length, error);
    mr_json_take_binary(&reader, "announcement", message->announcement_hash, MR_HASH_BYTES);
    message->attempt = (uint32_t)mr_json_take_integer(&reader, "attempt", 0, MR_ATTEMPTS_MAX - 1);
    message->transport = (enum mr_transport)mr_json_take_choice(
        &reader, "transport", transport_names, COUNT(transport_names));
    json_t *receipts = mr_json_take_array(&reader, "receipts", 1, MR_HUBS_MAX - 1);
    message->receipt_count = (unsigned)json_array_size(receipts);
    for (unsigned i = 0; i < message->receipt_count; i++) {
        receipt_take(&message->receipts[i], &reader, json_array_get(receipts, i), i);
    }
    json_decref(receipts);
    return mr_json_reader_close(&reader);
}

/* Of characters that JSON spells as they are. */
static bool is_plain_host(const char *host)
{
    const char *at = host;
    while ((*at >= '-' && *at <= ':') || (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z')) {
        at++;
    }
    return *at == '\0';
}

static char *plain_grant(const struct mr_upload_grant *message, const char *id)
{
    char text[160 + sizeof message->udp_host];
    snprintf(text, sizeof text,
             "{\"upload\":\"%s\",\"udp_host\":\"%s\",\"udp_port\":%u,\"window\":%" PRIu32 "}", id,
             message->udp_host, message->udp_port, message->window);
    return strdup(text);
}

char *mr_upload_grant_encode(const struct mr_upload_grant *message)
{
    char id[17];
    mr_upload_id_format(id, message->upload_id);
    if (is_plain_host(message->udp_host)) {
        return plain_grant(message, id);
    }
    return dump(json_pack("{s:o, s:o, s:i, s:I}", "upload", mr_json_text(id), "udp_host",
                          mr_json_text(message->udp_host), "udp_port", message->udp_port, "window",
                          (json_int_t)message->window));
}

int mr_upload_grant_decode(struct mr_upload_grant *message, const char *text, size_t length,
                           struct mr_error *error)
{
    struct mr_json_reader reader;
    char id[17] = "";
    memset(message, 0, sizeof *message);
    open_message(&reader, text, length, error);
    mr_json_take_text(&reader, "upload", id, sizeof id);
    if (mr_upload_id_parse(&message->upload_id, id) != 0) {
        mr_json_reader_fail(&reader, "member \"upload\" must be 16 lower-case hex digits");
    }
    mr_json_take_text(&reader, "udp_host", message->udp_host, sizeof message->udp_host);
    message->udp_port = (uint16_t)mr_json_take_integer(&reader, "udp_port", 0, UINT16_MAX);
    message->window = (uint32_t)mr_json_take_integer(&reader, "window", 0, UINT32_MAX);
    if ((message->udp_host[0] == '\0') != (message->udp_port == 0)) {
        mr_json_reader_fail(&reader, "members \"udp_host\" and \"udp_port\" come together");
    }
    return mr_json_reader_close(&reader);
}

char *mr_upload_status_encode(const struct mr_upload_status *message)
{
    MR_ASSERT((message->state == MR_UPLOAD_REFUSED) == (message->reason != MR_REASON_NONE));
    return dump(json_pack("{s:o, s:o}", "state", mr_json_text(mr_upload_state_name(message->state)),
                          "reason", mr_json_text(mr_upload_reason_name(message->reason))));
}

int mr_upload_status_decode(struct mr_upload_status *message, const char *text, size_t length,
                            struct mr_error *error)
{
    struct mr_json_reader reader;
    open_message(&reader, text, length, error);
    message->state = (enum mr_upload_state)(
        MR_UPLOAD_RECEIVING +
        mr_json_take_choice(&reader, "state", state_names, COUNT(state_names)));
    message->reason = (enum mr_upload_reason)mr_json_take_choice(&reader, "reason", reason_names,
                                                                 COUNT(reason_names));
    if ((message->state == MR_UPLOAD_REFUSED) != (message->reason != MR_REASON_NONE)) {
        mr_json_reader_fail(&reader, "a refused upload has a reason, any other has \"none\"");
    }
    return mr_json_reader_close(&reader);
}

char *mr_round_end_encode(const struct mr_round_end *message)
{
    struct mr_round_end plain = *message;
    MR_ASSERT((message->state == MR_ROUND_PUBLISHED) == (message->model[0] != '\0'));
    mr_plain_text(plain.reason);
    mr_plain_text(plain.warning);
    MR_ASSERT(!message->unopened || message->state == MR_ROUND_VOID);
    MR_ASSERT(!message->warning[0] || message->state == MR_ROUND_PUBLISHED);
    json_t *unopened =
        message->unopened ? binary(message->signature, MR_SIGNATURE_BYTES) : mr_json_text("");
    return dump(json_pack("{s:o, s:o, s:o, s:o, s:o}", "state",
                          mr_json_text(end_names[plain.state]), "model", mr_json_text(plain.model),
                          "reason", mr_json_text(plain.reason), "unopened", unopened, "warning",
                          mr_json_text(plain.warning)));
}

int mr_round_end_decode(struct mr_round_end *message, const char *text, size_t length,
                        struct mr_error *error)
{
    struct mr_json_reader reader;
    char statement[MR_BASE64_LENGTH(MR_SIGNATURE_BYTES) + 1] = "";
    memset(message, 0, sizeof *message);
    open_message(&reader, text, length, error);
    message->state =
        (enum mr_round_end_state)mr_json_take_choice(&reader, "state", end_names, COUNT(end_names));
    mr_json_take_text(&reader, "model", message->model, sizeof message->model);
    mr_json_take_text(&reader, "reason", message->reason, sizeof message->reason);
    mr_json_take_text(&reader, "unopened", statement, sizeof statement);
    mr_json_take_text(&reader, "warning", message->warning, sizeof message->warning);
    message->unopened = statement[0] != '\0';
    if (message->unopened && mr_base64_decode(message->signature, MR_SIGNATURE_BYTES, statement,
                                              strlen(statement)) != 0) {
        mr_json_reader_fail(&reader, "member \"unopened\" must be %d bytes in base64, or empty",
                            MR_SIGNATURE_BYTES);
    }
    const size_t digits = strspn(message->model, "0123456789abcdef");
    if (digits != strlen(message->model) ||
        digits != (message->state == MR_ROUND_PUBLISHED ? 2 * MR_HASH_BYTES : 0)) {
        mr_json_reader_fail(&reader, "member \"model\" must be 64 lower-case hex digits when "
                                     "published, else empty");
    }
    if ((message->state == MR_ROUND_VOID) != (message->reason[0] != '\0')) {
        mr_json_reader_fail(&reader, "a void round has a reason, any other has none");
    }
    if (message->unopened && message->state != MR_ROUND_VOID) {
        mr_json_reader_fail(&reader, "only a void round may be unopened");
    }
    if (message->warning[0] && message->state != MR_ROUND_PUBLISHED) {
        mr_json_reader_fail(&reader, "only a published round may have a warning");
    }
    return mr_json_reader_close(&reader);
}

char *mr_peer_signature_encode(const struct mr_peer_signature *message)
{
    const struct mr_hub_signature *signature = &message->signature;
    uint8_t pledge[MR_DRAW_PLEDGE_BYTES];
    memcpy(pledge, message->pledge.hash, MR_HASH_BYTES);
    memcpy(pledge + MR_HASH_BYTES, message->pledge.signature, MR_SIGNATURE_BYTES);
    return dump(json_pack("{s:i, s:o, s:o, s:o, s:o}", "hub", message->hub_index, "seal_key",
                          binary(signature->seal_key, MR_SEAL_KEY_BYTES), "signature",
                          binary(signature->bytes, MR_SIGNATURE_BYTES), "receipt_key",
                          binary(message->receipt_key, MR_RECEIPT_KEY_BYTES), "pledge",
                          message->pledged ? binary(pledge, sizeof pledge) : mr_json_text("")));
}

static void take_pledge(struct mr_json_reader *reader, struct mr_peer_signature *message)
{
    char text[MR_BASE64_LENGTH(MR_DRAW_PLEDGE_BYTES) + 1] = "";
    uint8_t pledge[MR_DRAW_PLEDGE_BYTES];
    mr_json_take_text(reader, "pledge", text, sizeof text);
    message->pledged = text[0] != '\0';
    if (!message->pledged) {
        return;
    }
    if (mr_base64_decode(pledge, sizeof pledge, text, strlen(text)) != 0) {
        mr_json_reader_fail(reader, "member \"pledge\" must be %d bytes in base64, or empty",
                            (int)sizeof pledge);
        return;
    }
    memcpy(message->pledge.hash, pledge, MR_HASH_BYTES);
    memcpy(message->pledge.signature, pledge + MR_HASH_BYTES, MR_SIGNATURE_BYTES);
}

int mr_peer_signature_decode(struct mr_peer_signature *message, const char *text, size_t length,
                             struct mr_error *error)
{
    struct mr_json_reader reader;
    memset(message, 0, sizeof *message);
    open_message(&reader, text, length, error);
    message->hub_index = (uint16_t)mr_json_take_integer(&reader, "hub", 0, UINT16_MAX);
    mr_json_take_binary(&reader, "seal_key", message->signature.seal_key, MR_SEAL_KEY_BYTES);
    mr_json_take_binary(&reader, "signature", message->signature.bytes, MR_SIGNATURE_BYTES);
    mr_json_take_binary(&reader, "receipt_key", message->receipt_key, MR_RECEIPT_KEY_BYTES);
    take_pledge(&reader, message);
    return mr_json_reader_close(&reader);
}

char *mr_peer_void_encode(const struct mr_peer_void *message)
{
    return dump(json_pack("{s:o, s:o, s:o}", "reason", mr_json_text(message->reason),
                          "announcement", binary(message->announcement_hash, MR_HASH_BYTES),
                          "signature", binary(message->signature, MR_SIGNATURE_BYTES)));
}

int mr_peer_void_decode(struct mr_peer_void *message, const char *text, size_t length,
                        struct mr_error *error)
{
    struct mr_json_reader reader;
    memset(message, 0, sizeof *message);
    open_message(&reader, text, length, error);
    mr_json_take_text(&reader, "reason", message->reason, sizeof message->reason);
    mr_json_take_binary(&reader, "announcement", message->announcement_hash, MR_HASH_BYTES);
    mr_json_take_binary(&reader, "signature", message->signature, MR_SIGNATURE_BYTES);
    return mr_json_reader_close(&reader);
}

char *mr_peer_model_encode(const struct mr_peer_model *message)
{
    return dump(json_pack("{s:i, s:o, s:o}", "hub", message->hub_index, "model",
                          binary(message->model_hash, MR_HASH_BYTES), "signature",
                          binary(message->signature, MR_SIGNATURE_BYTES)));
}

int mr_peer_model_decode(struct mr_peer_model *message, const char *text, size_t length,
                         struct mr_error *error)
{
    struct mr_json_reader reader;
    memset(message, 0, sizeof *message);
    open_message(&reader, text, length, error);
    message->hub_index = (uint16_t)mr_json_take_integer(&reader, "hub", 0, UINT16_MAX);
    mr_json_take_binary(&reader, "model", message->model_hash, MR_HASH_BYTES);
    mr_json_take_binary(&reader, "signature", message->signature, MR_SIGNATURE_BYTES);
    return mr_json_reader_close(&reader);
}

char *mr_refusal_encode(const struct mr_refusal *message)
{
    /* The text may quote what came from outside: keep it one printable line. */
    char text[sizeof message->text];
    size_t length = strnlen(message->text, sizeof text - 1);
    for (size_t i = 0; i < length; i++) {
        text[i] = message->text[i] >= 0x20 && message->text[i] <= 0x7e ? message->text[i] : '?';
    }
    text[length] = '\0';
    return dump(json_pack(
        "{s:o, s:o, s:I}", "code",
        mr_json_text(message->code == MR_REFUSAL_UNKNOWN ? message->name
                                                         : mr_refusal_name(message->code)),
        "message", mr_json_text(text), "retry_after_ms", (json_int_t)message->retry_after_ms));
}

int mr_refusal_decode(struct mr_refusal *message, const char *text, size_t length,
                      struct mr_error *error)
{
    struct mr_json_reader reader;
    memset(message, 0, sizeof *message);
    open_message(&reader, text, length, error);
    mr_json_take_text(&reader, "code", message->name, sizeof message->name);
    if (message->name[0] == '\0' ||
        strspn(message->name, "abcdefghijklmnopqrstuvwxyz_") != strlen(message->name)) {
        mr_json_reader_fail(&reader, "member \"code\" must be of [a-z_]");
    }
    message->code = mr_refusal_code_of(message->name);
    mr_json_take_text(&reader, "message", message->text, sizeof message->text);
    message->retry_after_ms =
        (uint32_t)mr_json_take_integer(&reader, "retry_after_ms", 0, UINT32_MAX);
    return mr_json_reader_close(&reader);
}

void mr_upload_id_format(char text[17], uint64_t upload_id)
{
    uint8_t bytes[8];
    mr_be64_put(bytes, upload_id);
    mr_hex_encode(text, bytes, sizeof bytes);
}

int mr_upload_id_parse(uint64_t *upload_id, const char *text)
{
    uint8_t bytes[8];
    char again[17];
    if (mr_hex_decode(bytes, sizeof bytes, text) != 0) {
        return -1;
    }
    mr_hex_encode(again, bytes, sizeof bytes);
    if (strcmp(again, text) != 0) { /* upper case: one spelling only */
        return -1;
    }
    *upload_id = mr_be64_get(bytes);
    return 0;
}
