/* test_frame.c - frames taken apart and put together: what is ours, the kernel's, or dropped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "appliance/ingest/dpdk_frame.h"

#define PORT_BASE 9000

static const struct mr_frame_local hub = {
    .mac = {2, 0, 0, 0, 0, 1},
    .v4 = {.s6_addr = {[10] = 0xff, [11] = 0xff, 192, 0, 2, 1}},
    .v6 = {.s6_addr = {0xfd, [15] = 1}},
    .port_base = PORT_BASE,
    .ports = 2,
};
static const struct mr_frame_local device = {
    .mac = {2, 0, 0, 0, 0, 2},
    .v4 = {.s6_addr = {[10] = 0xff, [11] = 0xff, 192, 0, 2, 2}},
    .v6 = {.s6_addr = {0xfd, [15] = 2}},
};

static struct mr_peer_address hub_address(bool v4, uint16_t vlan)
{
    struct mr_peer_address to = {.host = v4 ? hub.v4 : hub.v6, .port = PORT_BASE + 1};

    to.link.vlan = vlan;
    memcpy(to.link.mac, hub.mac, 6);
    return to;
}

static uint32_t build(uint8_t *bytes, bool v4, uint16_t vlan)
{
    const struct mr_peer_address to = hub_address(v4, vlan);

    return mr_frame_build(bytes, &device, 5000, &to, (const uint8_t *)"hello, hub", 10);
}

static void test_there_and_back(void **state)
{
    (void)state;
    uint8_t bytes[256], answer[256];
    struct mr_frame frame, back;

    for (int i = 0; i < 4; i++) {
        const uint32_t length = build(bytes, i % 2 == 0, i / 2 == 0 ? 0 : 7);
        assert_int_equal(mr_frame_parse(&frame, &hub, bytes, length, false), MR_FRAME_OURS);
        assert_int_equal(frame.length, 10);
        assert_memory_equal(frame.payload, "hello, hub", 10);
        assert_int_equal(frame.port_index, 1);
        assert_int_equal(frame.from.port, 5000);
        assert_int_equal(frame.from.link.vlan, i / 2 == 0 ? 0 : 7);
        assert_memory_equal(frame.from.link.mac, device.mac, 6);
        struct mr_frame_local ears = device;
        ears.port_base = 5000;
        ears.ports = 1;
        const uint32_t answered =
            mr_frame_build(answer, &hub, PORT_BASE + 1, &frame.from, (const uint8_t *)"ok", 2);
        assert_int_equal(mr_frame_parse(&back, &ears, answer, answered, false), MR_FRAME_OURS);
        assert_int_equal(back.from.port, PORT_BASE + 1);
        assert_memory_equal(back.payload, "ok", 2);
    }
}

/* Every truncation is either not ours or dropped, and nothing beyond the end is read (ASan). */
static void test_truncated(void **state)
{
    (void)state;
    uint8_t bytes[256];
    struct mr_frame frame;

    for (int v4 = 0; v4 < 2; v4++) {
        const uint32_t length = build(bytes, v4 != 0, 0);
        for (uint32_t cut = 0; cut < length; cut++) {
            assert_int_not_equal(mr_frame_parse(&frame, &hub, bytes, cut, false), MR_FRAME_OURS);
        }
    }
}

static enum mr_frame_kind judge(uint8_t *bytes, uint32_t length, enum mr_frame_drop *drop)
{
    struct mr_frame frame = {.drop = MR_FRAME_DROPS};
    const enum mr_frame_kind kind = mr_frame_parse(&frame, &hub, bytes, length, true);

    *drop = frame.drop;
    return kind;
}

static void test_not_ours(void **state)
{
    (void)state;
    uint8_t bytes[256];
    enum mr_frame_drop drop;
    uint32_t length = build(bytes, true, 0);

    bytes[36] = 1; /* another port */
    assert_int_equal(judge(bytes, length, &drop), MR_FRAME_KERNEL);
    length = build(bytes, true, 0);
    bytes[33] = 9; /* another address */
    assert_int_equal(judge(bytes, length, &drop), MR_FRAME_KERNEL);
    length = build(bytes, true, 0);
    bytes[23] = 1; /* ICMP */
    assert_int_equal(judge(bytes, length, &drop), MR_FRAME_KERNEL);
    length = build(bytes, true, 0);
    memset(bytes, 0xff, 6); /* broadcast */
    assert_int_equal(judge(bytes, length, &drop), MR_FRAME_KERNEL);
    length = build(bytes, false, 0);
    bytes[20] = 58; /* ICMPv6 */
    assert_int_equal(judge(bytes, length, &drop), MR_FRAME_KERNEL);
}

static void test_dropped(void **state)
{
    (void)state;
    uint8_t bytes[256];
    struct mr_frame frame;
    enum mr_frame_drop drop;
    uint32_t length = build(bytes, true, 0);

    bytes[20] = 0x20; /* more fragments */
    assert_int_equal(judge(bytes, length, &drop), MR_FRAME_BAD);
    assert_int_equal(drop, MR_FRAME_DROP_fragment);
    length = build(bytes, true, 0);
    bytes[5] = 9;
    assert_int_equal(judge(bytes, length, &drop), MR_FRAME_BAD);
    assert_int_equal(drop, MR_FRAME_DROP_other_mac);
    length = build(bytes, true, 0);
    bytes[22] ^= 1; /* hops: the header's checksum no longer holds */
    assert_int_equal(mr_frame_parse(&frame, &hub, bytes, length, false), MR_FRAME_BAD);
    assert_int_equal(frame.drop, MR_FRAME_DROP_bad_checksum);
    length = build(bytes, true, 0);
    memmove(bytes + 38, bytes + 34, length - 34); /* four bytes of options */
    bytes[14] = 0x46;
    bytes[17] = (uint8_t)(bytes[17] + 4);
    assert_int_equal(judge(bytes, length + 4, &drop), MR_FRAME_BAD);
    assert_int_equal(drop, MR_FRAME_DROP_options);
    length = build(bytes, false, 0);
    memmove(bytes + 62, bytes + 54, length - 54); /* a fragment header */
    memset(bytes + 54, 0, 8);
    bytes[54] = 17;
    bytes[57] = 1;
    bytes[20] = 44;
    bytes[19] = (uint8_t)(bytes[19] + 8);
    assert_int_equal(judge(bytes, length + 8, &drop), MR_FRAME_BAD);
    assert_int_equal(drop, MR_FRAME_DROP_fragment);
    length = build(bytes, true, 0);
    bytes[39] = 200; /* UDP longer than its packet */
    assert_int_equal(judge(bytes, length, &drop), MR_FRAME_BAD);
    assert_int_equal(drop, MR_FRAME_DROP_malformed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_not_ours),
        cmocka_unit_test(test_dropped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
