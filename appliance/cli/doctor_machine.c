/* doctor_machine.c - processor, memory, limits, clock, disk. */
#include "appliance/cli/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "appliance/runtime/sandbox.h"
#include "kernels/kernels.h"

#define MEMLOCK_BYTES     (64u << 20)
#define CONNECTIONS       4096 /* the default of control.connections_max */
#define FILES_BESIDE      512  /* workers, peers, files of the store */
#define SYNC_WRITES       16
#define SYNC_BYTES        65536
#define SYNC_SLOW_MS      100.0
#define CAP_NET_ADMIN_BIT 12
#define CAP_IPC_LOCK_BIT  14
#define CAP_SYS_NICE_BIT  23

void mr_doctor_cpu(struct mr_finding *finding, const struct mr_doctor_subject *subject)
{
    (void)subject;
    static const enum mr_cpu_level levels[] = {MR_CPU_AVX2, MR_CPU_AVX512, MR_CPU_NEON};
    char have[64] = "";
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        const struct mr_kernels *kernels = mr_kernels_at(levels[i]);
        if (kernels) {
            snprintf(have + strlen(have), sizeof have - strlen(have), " %s", kernels->name);
        }
    }
    const char *chosen = mr_kernels_select(UINT32_MAX)->name;
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    if (*have == '\0') {
        mr_finding_set(finding, MR_FINDING_WARN,
                       "no AVX2 or NEON with AES here: summing and expanding are many times slower",
                       "%ld processors, kernels %s", online, chosen);
        return;
    }
    mr_finding_set(finding, MR_FINDING_OK, NULL, "%ld processors, levels%s, kernels %s", online,
                   have, chosen);
}

long long mr_doctor_number(const char *path, const char *name, int base)
{
    char line[256];
    long long found = -1;
    FILE *file = fopen(path, "re");
    while (file && found < 0 && fgets(line, sizeof line, file)) {
        if (strncmp(line, name, strlen(name)) == 0) {
            found = strtoll(line + strlen(name), NULL, base);
        }
    }
    if (file) {
        fclose(file);
    }
    return found;
}

void mr_doctor_hugepages(struct mr_finding *finding, const struct mr_doctor_subject *subject)
{
    (void)subject;
    const long long total = mr_doctor_number("/proc/meminfo", "HugePages_Total:", 10);
    const long long kib = mr_doctor_number("/proc/meminfo", "Hugepagesize:", 10);
    if (total <= 0) {
        mr_finding_set(
            finding, MR_FINDING_OK, NULL,
            "none reserved; only DPDK on a physical NIC needs them, the upload memory uses "
            "transparent ones");
        return;
    }
    mr_finding_set(finding, MR_FINDING_OK, NULL, "%lld of %lld KiB", total, kib);
}

/* Kernels before 5.12 count a ring's memory as locked. */
static bool counts_rings_as_locked(void)
{
    struct utsname system;
    char *rest;
    if (uname(&system) != 0) {
        return true;
    }
    const unsigned long major = strtoul(system.release, &rest, 10);
    const unsigned long minor = *rest == '.' ? strtoul(rest + 1, NULL, 10) : 0;
    return major < 5 || (major == 5 && minor < 12);
}

void mr_doctor_memlock(struct mr_finding *finding, const struct mr_doctor_subject *subject)
{
    struct rlimit limit;
    (void)subject;
    getrlimit(RLIMIT_MEMLOCK, &limit);
    if (limit.rlim_cur == RLIM_INFINITY) {
        mr_finding_set(finding, MR_FINDING_OK, NULL, "unlimited");
    } else if (limit.rlim_cur < MEMLOCK_BYTES && counts_rings_as_locked()) {
        mr_finding_set(finding, MR_FINDING_WARN,
                       "LimitMEMLOCK=infinity in the unit, or ulimit -l unlimited: this kernel "
                       "counts an io_uring's memory here",
                       "%llu bytes may be locked", (unsigned long long)limit.rlim_cur);
    } else {
        mr_finding_set(finding, MR_FINDING_OK, NULL, "%llu bytes may be locked",
                       (unsigned long long)limit.rlim_cur);
    }
}

void mr_doctor_files(struct mr_finding *finding, const struct mr_doctor_subject *subject)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    const unsigned connections =
        subject->config ? subject->config->control.connections_max : CONNECTIONS;
    const bool enough = limit.rlim_cur >= connections + FILES_BESIDE;
    mr_finding_set(finding, enough ? MR_FINDING_OK : MR_FINDING_WARN,
                   enough ? NULL
                          : "LimitNOFILE=16384 in the unit, or a smaller control.connections_max",
                   "%llu files and connections here, for control.connections_max %u",
                   (unsigned long long)limit.rlim_cur, connections);
}

void mr_doctor_capabilities(struct mr_finding *finding, const struct mr_doctor_subject *subject)
{
    static const struct {
        int bit;
        const char *text;
    } useful[] = {{CAP_NET_ADMIN_BIT, " net_admin (larger receive buffers)"},
                  {CAP_IPC_LOCK_BIT, " ipc_lock"},
                  {CAP_SYS_NICE_BIT, " sys_nice"}};
    (void)subject;
    const long long effective = mr_doctor_number("/proc/self/status", "CapEff:", 16);
    char have[128] = "";
    for (size_t i = 0; effective > 0 && i < sizeof useful / sizeof *useful; i++) {
        if ((effective >> useful[i].bit) & 1) {
            strncat(have, useful[i].text, sizeof have - strlen(have) - 1);
        }
    }
    mr_finding_set(finding, MR_FINDING_OK, NULL, "none are needed; here:%s",
                   *have != '\0' ? have : " none");
}

/* What a hub could give up here (sandbox.mode). */
void mr_doctor_sandbox(struct mr_finding *finding, const struct mr_doctor_subject *subject)
{
    (void)subject;
    const int version = mr_sandbox_landlock_version();
    const bool filters = mr_sandbox_has_seccomp();
    if (filters && version >= 4) {
        mr_finding_set(finding, MR_FINDING_OK, NULL, "seccomp, Landlock version %d", version);
        return;
    }
    mr_finding_set(
        finding, MR_FINDING_WARN,
        "the hub runs without what is missing: Linux 6.7 with lsm=landlock has all of it, "
        "and a container's profile must allow both",
        "%s, %s", filters ? "seccomp" : "no seccomp filters",
        version == 0 ? "no Landlock" : "Landlock for files, not for ports");
}

void mr_doctor_clock(struct mr_finding *finding, const struct mr_doctor_subject *subject)
{
    (void)subject;
    struct timex state = {0};
    if (time(NULL) < 1704067200) { /* 2024-01-01: the clock was never set */
        mr_finding_set(finding, MR_FINDING_MISSING,
                       "set the clock: every certificate would be refused as not yet valid",
                       "the clock says %lld", (long long)time(NULL));
        return;
    }
    if (adjtimex(&state) < 0 || (state.status & STA_UNSYNC) != 0) {
        mr_finding_set(finding, MR_FINDING_WARN,
                       "run an NTP client (systemd-timesyncd, chrony): deadlines and certificates "
                       "go by the clock",
                       "not known to be synchronised");
        return;
    }
    mr_finding_set(finding, MR_FINDING_OK, NULL, "synchronised, within %ld µs", state.esterror);
}

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Median milliseconds of writing and syncing 64 KiB, or -1 with errno set. */
static double time_syncs(int fd)
{
    static const char block[SYNC_BYTES];
    double took[SYNC_WRITES];
    for (int i = 0; i < SYNC_WRITES; i++) {
        const double began = now_ms();
        if (write(fd, block, sizeof block) != (ssize_t)sizeof block || fdatasync(fd) != 0) {
            return -1;
        }
        took[i] = now_ms() - began;
    }
    qsort(took, SYNC_WRITES, sizeof *took, by_value);
    return took[SYNC_WRITES / 2];
}

void mr_doctor_disk(struct mr_finding *finding, const struct mr_doctor_subject *subject)
{
    char above[PATH_MAX];
    const char *dir = subject->dir;
    if (subject->config && access(dir, F_OK) != 0 && strrchr(dir, '/') > dir) {
        /* The hub makes it at its first start. */
        snprintf(above, sizeof above, "%.*s", (int)(strrchr(dir, '/') - dir), dir);
        dir = above;
    }
    const int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    const double median = fd < 0 ? -1 : time_syncs(fd);
    const int failed = errno;
    if (fd >= 0) {
        close(fd);
    }
    if (median < 0) {
        const bool denied = failed == EACCES || failed == EPERM || failed == EROFS;
        mr_finding_set(finding, denied && subject->file ? MR_FINDING_MISSING : MR_FINDING_WARN,
                       denied ? "the hub's user must be able to write there: chown it to that user"
                              : "give the hub's data_dir with --dir, or its configuration",
                       "cannot try %s: %s", dir, strerror(failed));
        return;
    }
    mr_finding_set(finding, median < SYNC_SLOW_MS ? MR_FINDING_OK : MR_FINDING_WARN,
                   median < SYNC_SLOW_MS ? NULL
                                         : "a slow disk delays every commit: use another for "
                                           "data_dir, or a longer commit_interval_ms",
                   "%s: 64 KiB written and synced in %.2f ms", dir, median);
}
