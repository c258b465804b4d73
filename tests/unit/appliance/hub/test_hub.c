/* test_hub.c - what a hub's parts ask of it before all of them are there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "appliance/hub/hub.h"

/* A lead that took up a full round freezes it; if the server then does not open (its port is
 * taken), the set is looked at while the hub closes. */
static void test_revocation_without_a_server(void **state)
{
    struct mr_hub hub = {.server = NULL};
    const struct mr_serial serial = {.bytes = {1}};
    (void)state;
    assert_false(mr_hub_revoked(&hub, &serial));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_revocation_without_a_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
