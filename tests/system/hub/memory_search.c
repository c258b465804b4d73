#include "memory_search.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static unsigned occurrences(const uint8_t *bytes, size_t length, const uint8_t *secret, size_t size)
{
    unsigned count = 0;
    const uint8_t *at = bytes;
    while ((at = memmem(at, length - (size_t)(at - bytes), secret, size)) != NULL) {
        count++;
        at += size;
    }
    return count;
}

struct found memory_search(pid_t pid, const uint8_t *secret, size_t size)
{
    struct found found = {0};
    char path[64], line[512], access[8] = "";
    unsigned long from = 0, to = 0;
    snprintf(path, sizeof path, "/proc/%d/mem", pid);
    const int memory = open(path, O_RDONLY | O_CLOEXEC);
    snprintf(path, sizeof path, "/proc/%d/smaps", pid);
    FILE *maps = fopen(path, "r");
    assert_true(memory >= 0 && maps);
    while (fgets(line, sizeof line, maps)) {
        unsigned long a, b;
        if (sscanf(line, "%lx-%lx %7s", &a, &b, access) == 3) {
            from = a;
            to = b;
        } else if (strncmp(line, "VmFlags:", 8) == 0 && access[0] == 'r' && access[1] == 'w') {
            uint8_t *bytes = malloc(to - from);
            const ssize_t got = pread(memory, bytes, to - from, (off_t)from);
            const unsigned here = got > 0 ? occurrences(bytes, (size_t)got, secret, size) : 0;
            const bool guarded = strstr(line, " lo ") && strstr(line, " dd ");
            *(guarded ? &found.guarded : &found.bare) += here;
            free(bytes);
        }
    }
    fclose(maps);
    close(memory);
    return found;
}
