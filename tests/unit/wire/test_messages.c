/* test_messages.c - the JSON bodies: round trips, exact text, and every kind of wrong body. */
#include "wire_test.h"

#include "base/base64.h"
#include "wire/messages.h"

static struct mr_error error;

static void fill_bytes(uint8_t *out, size_t bytes, uint8_t first)
{
    for (size_t i = 0; i < bytes; i++) {
        out[i] = (uint8_t)(first + i);
    }
}

#define ROUND_TRIP(name, message)                                                                  \
    do {                                                                                           \
        struct mr_##name back;                                                                     \
        char *text = mr_##name##_encode(&(message));                                               \
        assert_non_null(text);                                                                     \
        assert_int_equal(mr_##name##_decode(&back, text, strlen(text), &error), 0);                \
        char *again = mr_##name##_encode(&back);                                                   \
        assert_non_null(again);                                                                    \
        assert_string_equal(text, again);                                                          \
        for (size_t cut = 0; cut < strlen(text); cut++)                                            \
            assert_int_equal(mr_##name##_decode(&back, text, cut, &error), -1);                    \
        free(again);                                                                               \
        free(text);                                                                                \
    } while (0)

static void test_ends(void **state)
{
    (void)state;
    struct mr_round_end end = {.state = MR_ROUND_UNDER_WAY};
    ROUND_TRIP(round_end, end);
    end = (struct mr_round_end){.state = MR_ROUND_VOID, .reason = "below cohort minimum"};
    ROUND_TRIP(round_end, end);
    end.unopened = true;
    fill_bytes(end.signature, sizeof end.signature, 5);
    ROUND_TRIP(round_end, end);
    end = (struct mr_round_end){.state = MR_ROUND_PUBLISHED};
    memset(end.model, 'a', 2 * MR_HASH_BYTES);
    ROUND_TRIP(round_end, end);
    memset(end.warning, 'w', MR_ROUND_REASON_BYTES - 1);
    ROUND_TRIP(round_end, end);

    struct mr_peer_void order = {.reason = "below cohort minimum"};
    fill_bytes(order.announcement_hash, sizeof order.announcement_hash, 3);
    fill_bytes(order.signature, sizeof order.signature, 4);
    ROUND_TRIP(peer_void, order);
}

static void test_round_trips(void **state)
{
    (void)state;
    struct mr_upload_request request = {
        .attempt = 1, .transport = MR_TRANSPORT_HTTP2, .receipt_count = MR_HUBS_MAX - 1};
    for (unsigned i = 0; i < request.receipt_count; i++) {
        request.receipts[i].hub_index = (uint16_t)(i * 9);
        fill_bytes(request.receipts[i].mac, MR_RECEIPT_MAC_BYTES, (uint8_t)i);
        request.receipts[i].count_mask = UINT32_MAX - i;
    }
    ROUND_TRIP(upload_request, request);

    struct mr_upload_grant grant = {UINT64_MAX - 1, "2001:db8::1", 4433, 256};
    ROUND_TRIP(upload_grant, grant);
    struct mr_upload_grant by_http = {.upload_id = 3};
    ROUND_TRIP(upload_grant, by_http);

    for (int s = MR_UPLOAD_RECEIVING; s <= MR_UPLOAD_COMMITTED; s++) {
        struct mr_upload_status status = {(enum mr_upload_state)s, MR_REASON_NONE};
        ROUND_TRIP(upload_status, status);
    }
    for (int r = MR_REASON_CLOSED; r <= MR_REASON_UNSOUND; r++) {
        struct mr_upload_status status = {MR_UPLOAD_REFUSED, (enum mr_upload_reason)r};
        ROUND_TRIP(upload_status, status);
    }
    struct mr_peer_signature signature = {.hub_index = 2};
    fill_bytes(signature.signature.bytes, MR_SIGNATURE_BYTES, 4);
    fill_bytes(signature.signature.seal_key, MR_SEAL_KEY_BYTES, 77);
    ROUND_TRIP(peer_signature, signature);
    signature.pledged = true;
    fill_bytes(signature.pledge.hash, MR_HASH_BYTES, 5);
    fill_bytes(signature.pledge.signature, MR_SIGNATURE_BYTES, 6);
    ROUND_TRIP(peer_signature, signature);
    struct mr_peer_model model = {.hub_index = 2};
    fill_bytes(model.model_hash, sizeof model.model_hash, 9);
    ROUND_TRIP(peer_model, model);
    struct mr_task_hubs hubs = {.hub_index = 9, .hub_count = MR_HUBS_MAX};
    for (unsigned i = 0; i < MR_HUBS_MAX; i++) {
        hubs.hubs[i].index = (uint16_t)(i * 13000);
        snprintf(hubs.hubs[i].name, sizeof hubs.hubs[i].name, "hub-%u.example", i);
        fill_bytes(hubs.hubs[i].public_key, MR_PUBLIC_KEY_BYTES, (uint8_t)i);
    }
    ROUND_TRIP(task_hubs, hubs);
    struct mr_refusal refusal = {MR_REFUSAL_BUSY, 250, "busy", "no slot is free \"now\""};
    ROUND_TRIP(refusal, refusal);
}

static void test_values_arrive(void **state)
{
    (void)state;
    static const char grant[] = "{\"window\":32, \"udp_port\":9000, \"udp_host\":\"127.0.0.1\",\n"
                                "\"upload\":\"00ff00000000000a\"}";
    struct mr_upload_grant got;
    assert_int_equal(mr_upload_grant_decode(&got, grant, strlen(grant), &error), 0);
    assert_true(got.upload_id == UINT64_C(0x00ff00000000000a));
    assert_string_equal(got.udp_host, "127.0.0.1");
    assert_int_equal(got.udp_port, 9000);
    assert_int_equal(got.window, 32);
}

static void test_refusal_text_is_made_printable(void **state)
{
    (void)state;
    struct mr_refusal refusal = {MR_REFUSAL_BAD_REQUEST, 0, "", "a\nb\x1b[31m\xff"}, back;
    char *text = mr_refusal_encode(&refusal);
    assert_non_null(text);
    assert_int_equal(mr_refusal_decode(&back, text, strlen(text), &error), 0);
    assert_string_equal(back.text, "a?b?[31m?");
    free(text);
    assert_int_equal(mr_refusal_status(MR_REFUSAL_SEED_CONFLICT), 409);
    assert_int_equal(mr_refusal_code_of("void"), MR_REFUSAL_VOID);
    assert_int_equal(mr_refusal_code_of("voi"), MR_REFUSAL_UNKNOWN);
}

#define SIG_LETTERS                                                                                \
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define SIG  SIG_LETTERS "=="
#define HASH "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

#define REFUSED(name, body, word)                                                                  \
    do {                                                                                           \
        struct mr_##name refused;                                                                  \
        assert_int_equal(mr_##name##_decode(&refused, (body), strlen(body), &error), -1);          \
        if (strstr(error.text, (word)) == NULL)                                                    \
            fail_msg("%s: expected \"%s\" in \"%s\"", #name, (word), error.text);                  \
    } while (0)

#define RECEIPTS "\"receipt_key\":\"" HASH "\""
#define KEY      "\"seal_key\":\"" HASH "\"," RECEIPTS ",\"pledge\":\"\""

static void test_wrong_pledge(void **state)
{
    (void)state;
    REFUSED(peer_signature,
            "{\"hub\":1,\"seal_key\":\"" HASH "\"," RECEIPTS ",\"pledge\":\"" SIG
            "\",\"signature\":\"" SIG "\"}",
            "96 bytes in base64, or empty");
}

#define END(state, model, reason, unopened, warning)                                               \
    "{\"state\":\"" state "\",\"model\":\"" model "\",\"reason\":\"" reason                        \
    "\",\"unopened\":\"" unopened "\",\"warning\":\"" warning "\"}"

static void test_wrong_ends(void **state)
{
    (void)state;
    char early[256], signature[MR_BASE64_LENGTH(MR_SIGNATURE_BYTES) + 1];
    REFUSED(round_end, END("over", "", "", "", ""), "\"state\"");
    REFUSED(round_end, END("published", "ab", "", "", ""), "\"model\"");
    REFUSED(round_end, END("void", "", "", "", ""), "has a reason");
    REFUSED(round_end, END("under_way", "", "x", "", ""), "has none");
    REFUSED(round_end, END("void", "", "x", "AAAA", ""), "64 bytes");
    REFUSED(round_end, END("void", "", "x", "", "w"), "only a published round");
    mr_base64_encode(signature, (const uint8_t[MR_SIGNATURE_BYTES]){1}, MR_SIGNATURE_BYTES);
    snprintf(early, sizeof early, END("under_way", "", "", "%s", ""), signature);
    REFUSED(round_end, early, "only a void round");
}

static void test_wrong_bodies(void **state)
{
    (void)state;
    struct mr_peer_signature message;
    static const char good[] = "{\"hub\":1," KEY ",\"signature\":\"" SIG "\"}";
    assert_int_equal(mr_peer_signature_decode(&message, good, strlen(good), &error), 0);
    REFUSED(peer_signature, "", "JSON");
    REFUSED(peer_signature, "[]", "object");
    REFUSED(peer_signature, "nul", "JSON");
    REFUSED(peer_signature, "{\"hub\":1," KEY ",\"signature\":\"" SIG "\"} x", "JSON");
    REFUSED(peer_signature, "{\"hub\":1," KEY "}", "\"signature\" is missing");
    REFUSED(peer_signature, "{" KEY ",\"signature\":\"" SIG "\"}", "\"hub\" is missing");
    REFUSED(peer_signature, "{\"hub\":1," KEY ",\"signature\":\"" SIG "\",\"x\":0}",
            "\"x\" is unknown");
    REFUSED(peer_signature, "{\"hub\":1,\"hub\":1," KEY ",\"signature\":\"" SIG "\"}",
            "duplicate object key near '\"hub\"'");
    REFUSED(peer_signature, "{\"hub\":\"1\"," KEY ",\"signature\":\"" SIG "\"}", "\"hub\"");
    REFUSED(peer_signature, "{\"hub\":1.0," KEY ",\"signature\":\"" SIG "\"}", "\"hub\"");
    REFUSED(peer_signature, "{\"hub\":-1," KEY ",\"signature\":\"" SIG "\"}", "\"hub\"");
    REFUSED(peer_signature, "{\"hub\":65536," KEY ",\"signature\":\"" SIG "\"}", "\"hub\"");
    REFUSED(peer_signature, "{\"hub\":99999999999999999999," KEY ",\"signature\":\"" SIG "\"}",
            "JSON");
    REFUSED(peer_signature, "{\"hub\":1," KEY ",\"signature\":\"" HASH "\"}", "\"signature\"");
    REFUSED(peer_signature, "{\"hub\":1," KEY ",\"signature\":7}", "\"signature\"");
    REFUSED(peer_signature, "{\"hub\":1," KEY ",\"signature\":null}", "\"signature\"");
    REFUSED(upload_status, "{\"state\":\"done\",\"reason\":\"none\"}", "\"state\"");
    REFUSED(upload_status, "{\"state\":\"committed\",\"reason\":\"idle\"}", "reason");
    REFUSED(upload_status, "{\"state\":\"refused\",\"reason\":\"none\"}", "reason");
    /* A cause is told, but of the body no more than a key that stands twice. */
    REFUSED(round_end, "{\"state\":\"void\",\"model\":\"\",\n\"state\":\"void\"}",
            "line 2, byte 35: duplicate object key near '\"state\"'");
    REFUSED(round_end, "{\"state\" \"void\"}", "line 1, byte 15: ':' expected");
    assert_null(strstr(error.text, "void"));
    REFUSED(refusal, "{\"code\":\"Busy\",\"message\":\"\",\"retry_after_ms\":0}", "\"code\"");
    REFUSED(refusal, "{\"code\":\"\",\"message\":\"\",\"retry_after_ms\":0}", "\"code\"");
    REFUSED(refusal, "{\"code\":\"busy\",\"message\":\"\\u0007\",\"retry_after_ms\":0}", "message");
    REFUSED(refusal, "{\"code\":\"busy\",\"message\":\"\",\"retry_after_ms\":4294967296}", "retry");
}

static void test_wrong_grants_and_requests(void **state)
{
    (void)state;
#define GRANT(upload, host, port)                                                                  \
    "{\"upload\":\"" upload "\",\"udp_host\":\"" host "\",\"udp_port\":" port ",\"window\":1}"
    REFUSED(upload_grant, GRANT("00000000000000A0", "", "0"), "\"upload\"");
    REFUSED(upload_grant, GRANT("0000", "", "0"), "\"upload\"");
    REFUSED(upload_grant, GRANT("00000000000000000", "", "0"), "\"upload\"");
    REFUSED(upload_grant, GRANT("0000000000000000", "127.0.0.1", "0"), "udp_port");
    REFUSED(upload_grant, GRANT("0000000000000000", "", "5"), "udp_port");
    REFUSED(upload_grant,
            GRANT("0000000000000000",
                  "1111111111111111111111111111111111111111111111111111111111111111", "1"),
            "udp_host");
#define REQUEST(attempt, transport, receipts)                                                      \
    "{\"announcement\":\"" HASH "\",\"attempt\":" attempt ",\"transport\":\"" transport            \
    "\",\"receipts\":" receipts "}"
/* 150 zero bytes */
#define RECEIPT "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==\""
    struct mr_upload_request request;
    static const char good[] = REQUEST("7", "udp", "[" RECEIPT "]");
    assert_int_equal(mr_upload_request_decode(&request, good, strlen(good), &error), 0);
    REFUSED(upload_request, REQUEST("8", "udp", "[" RECEIPT "]"), "\"attempt\"");
    REFUSED(upload_request, REQUEST("0", "tcp", "[" RECEIPT "]"), "\"transport\"");
    REFUSED(upload_request, REQUEST("0", "udp", "[]"), "\"receipts\"");
    REFUSED(upload_request, REQUEST("0", "udp", "{}"), "\"receipts\"");
    REFUSED(upload_request, REQUEST("0", "udp", "[1]"), "receipts[0]");
    REFUSED(upload_request, REQUEST("0", "udp", "[" RECEIPT ",\"" SIG "\"]"), "receipts[1]");
    REFUSED(upload_request, REQUEST("0", "udp", "[{\"hub\":2}]"), "receipts[0]");
    REFUSED(upload_request,
            REQUEST("0", "udp", "[" RECEIPT "," RECEIPT "," RECEIPT "," RECEIPT "," RECEIPT "]"),
            "\"receipts\"");
}

static size_t request_bytes(unsigned receipts)
{
    const struct mr_upload_request request = {.receipt_count = receipts};
    char *text = mr_upload_request_encode(&request);
    assert_non_null(text);
    const size_t bytes = strlen(text);
    free(text);
    return bytes;
}

/* What a helper costs a device in bodies: when seeds were JSON, and receipts named none, it was 129
 * for the seed, 112 for the receipt and 113 to pass it on. */
static void test_bytes_of_a_helper(void **state)
{
    (void)state;
    const size_t bytes = MR_SEED_REQUEST_BYTES + MR_RECEIPT_ANSWER_BYTES + MR_SEAL_KEY_BYTES +
                         request_bytes(2) - request_bytes(1);
    assert_int_equal(bytes, 129 + 112 + 113 - 133);
}

static void test_oversized_and_deep(void **state)
{
    (void)state;
    struct mr_peer_signature message;
    char *body = malloc(MR_MESSAGE_MAX + 1);
    assert_non_null(body);
    memset(body, '[', MR_MESSAGE_MAX + 1);
    assert_int_equal(mr_peer_signature_decode(&message, body, MR_MESSAGE_MAX, &error), -1);
    assert_int_equal(mr_peer_signature_decode(&message, body, MR_MESSAGE_MAX + 1, &error), -1);
    assert_non_null(strstr(error.text, "bytes"));
    free(body);
}

/* What our own encoder has written is read without Jansson; with a space in front of it, by
 * Jansson. Both take the same and refuse the same, whatever is changed in it. */
static void test_requests_by_both_readers(void **state)
{
    static const char put[] = {' ', '"', '0', '8', 'A', '=', ',', ']', '\0'};
    struct mr_upload_request request = {.attempt = 6, .receipt_count = 2}, plain, spaced;
    char text[MR_MESSAGE_MAX] = " ";
    (void)state;
    fill_bytes(request.announcement_hash, MR_HASH_BYTES, 3);
    char *encoded = mr_upload_request_encode(&request);
    const size_t length = strlen(encoded);
    memcpy(text + 1, encoded, length);
    free(encoded);
    assert_int_equal(mr_upload_request_decode(&spaced, text, length + 1, &error), 0);
    assert_memory_equal(&spaced, &request, sizeof request);
    for (size_t at = 0; at < length; at++) {
        const char was = text[1 + at];
        assert_int_equal(mr_upload_request_decode(&plain, text + 1, at, &error), -1);
        for (size_t i = 0; i < sizeof put; i++) {
            text[1 + at] = put[i];
            const int result = mr_upload_request_decode(&plain, text + 1, length, &error);
            assert_int_equal(mr_upload_request_decode(&spaced, text, length + 1, &error), result);
            assert_true(result != 0 || memcmp(&plain, &spaced, sizeof plain) == 0);
        }
        text[1 + at] = was;
    }
    text[1 + length] = 'x';
    assert_int_equal(mr_upload_request_decode(&plain, text + 1, length + 1, &error), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_requests_by_both_readers),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_values_arrive),
        cmocka_unit_test(test_refusal_text_is_made_printable),
        cmocka_unit_test(test_wrong_pledge),
        cmocka_unit_test(test_wrong_ends),
        cmocka_unit_test(test_wrong_bodies),
        cmocka_unit_test(test_wrong_grants_and_requests),
        cmocka_unit_test(test_bytes_of_a_helper),
        cmocka_unit_test(test_oversized_and_deep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
