/* refuse_call.h - makes the kernel refuse one system call to this process from now on (seccomp), as
 * a container's policy does. For tests, in a child process: it cannot be taken back. */
#ifndef MR_TESTS_REFUSE_CALL_H
#define MR_TESTS_REFUSE_CALL_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/prctl.h>

/* Not where the process is emulated: the filter would meet the emulator's own calls, which have
 * other numbers. */
static inline bool refuse_call_works(void)
{
    return getenv("MESON_EXE_WRAPPER") == NULL;
}

/* 0, or -1 where this process may not filter (the test is skipped). */
static inline int refuse_call(int number, int why)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)why),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {.len = sizeof filter / sizeof *filter, .filter = filter};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        return -1;
    }
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

#endif
