/* Memory for secrets: what the kernel says of it, and what is left when it goes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "appliance/runtime/pages.h"
#include "base/secret.h"

#define BYTES 10000

/* The VmFlags of the mapping that holds an address, "" if there is none. */
static void flags_of(const void *address, char flags[256])
{
    char line[512];
    bool inside = false;
    FILE *file = fopen("/proc/self/smaps", "r");
    assert_non_null(file);
    flags[0] = '\0';
    while (fgets(line, sizeof line, file)) {
        unsigned long from, to;
        char access[8];
        if (sscanf(line, "%lx-%lx %7s", &from, &to, access) == 3) {
            inside = from <= (uintptr_t)address && (uintptr_t)address < to;
        } else if (inside && strncmp(line, "VmFlags:", 8) == 0) {
            snprintf(flags, 256, " %.250s", line + 8);
        }
    }
    fclose(file);
}

static void assert_flag(const void *address, const char *flag, bool there)
{
    char flags[256];
    flags_of(address, flags);
    if (!strstr(flags, flag) == there) {
        fail_msg("%s%sin VmFlags%s", flag, there ? "not " : "", flags);
    }
}

static void assert_guarded(const void *address)
{
    assert_flag(address, " lo ", true);
    assert_flag(address, " dd ", true);
    assert_flag(address, " wf ", true);
}

static void test_flags(void **state)
{
    (void)state;
    uint8_t *secret = mr_secret_new(BYTES);
    uint8_t *plain = aligned_alloc(4096, 4 * 4096);
    assert_non_null(secret);
    assert_true((uintptr_t)secret % 64 == 0);
    for (size_t i = 0; i < BYTES; i++) {
        assert_int_equal(secret[i], 0);
    }
    assert_guarded(secret);
    assert_guarded(secret + BYTES - 1);
    plain[0] = 1;
    assert_flag(plain, " lo ", false); /* so that this test can fail */
    free(plain);
    mr_secret_free(secret);
    mr_secret_free(NULL);
}

static void test_wiped(void **state)
{
    (void)state;
    static const uint8_t zeros[BYTES];
    uint8_t *secret = mr_secret_new(BYTES);
    memset(secret, 0xa5, BYTES);
    mr_secret_wipe(secret);
    assert_memory_equal(secret, zeros, BYTES);
    memset(secret, 0x5a, BYTES);
    const pid_t child = fork();
    if (child == 0) { /* the pages are empty here, the head of the allocation as well */
        _exit(memcmp(secret, zeros, BYTES) == 0 ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(secret[BYTES - 1], 0x5a);
    mr_secret_free(secret);
}

/* One step past either end is a fault, not somebody else's memory. */
static void test_fences(void **state)
{
    (void)state;
    uint8_t *secret = mr_secret_new(4096 - 64);
    const long steps[] = {4096 - 64, -65};
    for (unsigned i = 0; i < 2; i++) {
        const pid_t child = fork();
        if (child == 0) {
            signal(SIGSEGV, SIG_DFL);
            signal(SIGBUS, SIG_DFL);
            _exit(((volatile uint8_t *)secret)[steps[i]] + 1);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    }
    mr_secret_free(secret);
}

static void test_beyond_the_limit(void **state)
{
    (void)state;
    const pid_t child = fork();
    if (child == 0) {
        const struct rlimit none = {0, 0};
        const bool limited = setrlimit(RLIMIT_MEMLOCK, &none) == 0 &&
                             (geteuid() != 0 || setresuid(65534, 65534, 65534) == 0);
        uint8_t *secret = mr_secret_new(BYTES);
        if (!limited || !secret) {
            _exit(2);
        }
        memset(secret, 1, BYTES); /* works all the same */
        char flags[256];
        flags_of(secret, flags);
        mr_secret_free(secret);
        _exit(!strstr(flags, " lo ") ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void test_guarded_pages(void **state)
{
    (void)state;
    struct mr_pages pages;
    struct mr_error error;
    assert_int_equal(mr_pages_map(&pages, BYTES, "a test", &error), 0);
    assert_flag(pages.base, " lo ", false);
    mr_secret_guard(pages.base, pages.bytes);
    assert_guarded(pages.base);
    mr_pages_unmap(&pages);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flags),         cmocka_unit_test(test_wiped),
        cmocka_unit_test(test_fences),        cmocka_unit_test(test_beyond_the_limit),
        cmocka_unit_test(test_guarded_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
