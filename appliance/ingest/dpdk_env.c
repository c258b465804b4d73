#include "appliance/ingest/dpdk_env.h"

#include <ctype.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_alarm.h>
#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_log.h>

#define WORDS_MAX    48
#define NO_HUGE_MIB  "256" /* ordinary pages: reserved, backed when used */
#define DEVICE_BYTES 512

void mr_dpdk_ear_begin(struct mr_dpdk_ear *ear)
{
    ear->heard = NULL;
    ear->bytes = 0;
    ear->stream = open_memstream(&ear->heard, &ear->bytes);
    (void)rte_openlog_stream(ear->stream);
}

/* DPDK's log goes nowhere from now on: without a stream it would write to standard error. */
static void stop_listening(void)
{
    (void)rte_openlog_stream(fopen("/dev/null", "we"));
}

void mr_dpdk_ear_end(struct mr_dpdk_ear *ear, char text[160])
{
    FILE *stream = ear->stream;

    stop_listening();
    if (stream) {
        fclose(stream);
    }
    snprintf(text, 160, "no reason given");
    if (!ear->heard) {
        return;
    }
    /* The first line is the cause, the rest is what follows from it. */
    const size_t length = strcspn(ear->heard, "\n");
    if (length > 0) {
        snprintf(text, 160, "%.*s", (int)length, ear->heard);
    }
    free(ear->heard);
}

static bool has_hugepages(void)
{
    char line[128];
    unsigned long long free_pages = 0;
    FILE *file = fopen("/proc/meminfo", "re");

    while (file && fgets(line, sizeof line, file)) {
        if (strncmp(line, "HugePages_Free:", 15) == 0) {
            free_pages = strtoull(line + 15, NULL, 10);
        }
    }
    if (file) {
        fclose(file);
    }
    return free_pages > 0;
}

/* "0000:03:00.0" and the like. */
static bool is_pci(const char *device)
{
    return isxdigit((unsigned char)device[0]) && strchr(device, ':') &&
           strchr(device, ':') < device + 5;
}

static int start(const char *device, const char *more, struct mr_error *error)
{
    char extra[1024], *rest = NULL, why[160];
    char *words[WORDS_MAX] = {"millrace",
                              "--no-telemetry",
                              "--lcores=0",
                              "--log-level=*:error",
                              "--single-file-segments",
                              "--in-memory"};
    int count = 6;
    struct mr_dpdk_ear ear;

    if (!has_hugepages()) {
        /* What EAL calls "in memory" is for hugepages only; this leaves no files either. */
        words[count - 1] = "--no-shconf";
        words[count++] = "--no-huge";
        words[count++] = "-m";
        words[count++] = NO_HUGE_MIB;
    }
    if (is_pci(device)) {
        words[count++] = "-a";
        words[count++] = (char *)device;
    } else {
        words[count++] = "--no-pci";
    }
    snprintf(extra, sizeof extra, "%s", more ? more : "");
    for (char *word = strtok_r(extra, " ", &rest); word && count < WORDS_MAX - 1;
         word = strtok_r(NULL, " ", &rest)) {
        words[count++] = word;
    }
    mr_dpdk_ear_begin(&ear);
    const int failed = rte_eal_init(count, words) < 0 ? rte_errno : 0;
    mr_dpdk_ear_end(&ear, why);
    if (failed == 0 || failed == EALREADY) {
        return 0;
    }
    return mr_error_set(error,
                        "DPDK does not start: %s (see upload.dpdk_eal, hugepages, and "
                        "`millrace doctor`)",
                        why);
}

int mr_dpdk_env_start(const char *device, const char *more, struct mr_error *error)
{
    cpu_set_t cpus;

    /* EAL binds whoever starts it to a CPU; whose thread that is, is not its business. */
    const int kept = pthread_getaffinity_np(pthread_self(), sizeof cpus, &cpus);
    const int failed = start(device, more, error);
    if (kept == 0) {
        (void)pthread_setaffinity_np(pthread_self(), sizeof cpus, &cpus);
    }
    return failed;
}

int mr_dpdk_env_attach(const char *device, uint16_t *port_id, struct mr_error *error)
{
    char name[DEVICE_BYTES], why[160];
    struct mr_dpdk_ear ear;

    snprintf(name, sizeof name, "%s", device);
    name[strcspn(name, ",")] = '\0';
    if (rte_eth_dev_get_port_by_name(name, port_id) == 0) {
        return 0;
    }
    mr_dpdk_ear_begin(&ear);
    const int failed =
        rte_dev_probe(device) != 0 ? -1 : rte_eth_dev_get_port_by_name(name, port_id);
    mr_dpdk_ear_end(&ear, why);
    if (failed == 0) {
        return 0;
    }
    return mr_error_set(error,
                        "DPDK has no port \"%s\": %s; a device is written as "
                        "net_af_xdp0,iface=eth1 or 0000:03:00.0",
                        name, why);
}

void mr_dpdk_env_detach(uint16_t port_id)
{
    struct rte_eth_dev_info info;
    struct mr_dpdk_ear ear;
    char why[160];

    mr_dpdk_ear_begin(&ear);
    if (rte_eth_dev_info_get(port_id, &info) == 0) {
        (void)rte_eth_dev_close(port_id);
        (void)rte_dev_remove(info.device);
    }
    mr_dpdk_ear_end(&ear, why);
}

struct call {
    int (*action)(uint16_t port_id);
    uint16_t port_id;
    int said;
    sem_t done;
};

static void answer(void *context)
{
    struct call *call = context;

    call->said = call->action(call->port_id);
    sem_post(&call->done);
}

int mr_dpdk_env_call(int (*action)(uint16_t port_id), uint16_t port_id)
{
    struct call call = {.action = action, .port_id = port_id};

    sem_init(&call.done, 0, 0);
    if (rte_eal_alarm_set(1, answer, &call) != 0) {
        /* Out of memory. Not to act at all would be worse. */
        (void)rte_eal_alarm_cancel(answer, &call);
        sem_destroy(&call.done);
        return action(port_id);
    }
    while (sem_wait(&call.done) != 0 && errno == EINTR) {
    }
    sem_destroy(&call.done);
    return call.said;
}
