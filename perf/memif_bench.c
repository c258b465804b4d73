/* memif_bench.c - ingest from a memif between two processes: see port_bench.h.
 *
 * usage: memif_bench [--quick] [--json FILE] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "appliance/ingest/dpdk_env.h"
#include "perf/port_bench.h"

struct generator {
    char device[128];
    uint16_t id;
    struct rte_mempool *pool;
};

static void fail(const char *text)
{
    fprintf(stderr, "the generator: %s\n", text);
    exit(1);
}

static void generator_open(void *context)
{
    struct generator *generator = context;
    struct mr_error error = {""};
    const struct rte_eth_conf conf = {0};

    if (mr_dpdk_env_start(generator->device, NULL, &error) != 0 ||
        mr_dpdk_env_attach(generator->device, &generator->id, &error) != 0) {
        fail(error.text);
    }
    generator->pool =
        rte_pktmbuf_pool_create("load", 8191, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
    if (!generator->pool || rte_eth_dev_configure(generator->id, 1, 1, &conf) != 0 ||
        rte_eth_rx_queue_setup(generator->id, 0, 4096, 0, NULL, generator->pool) != 0 ||
        rte_eth_tx_queue_setup(generator->id, 0, 4096, 0, NULL) != 0 ||
        rte_eth_dev_start(generator->id) != 0) {
        fail("its port does not start");
    }
}

static void generator_send(void *context, uint8_t *const *frames, const uint32_t *lengths,
                           unsigned count)
{
    struct generator *generator = context;
    struct rte_mbuf *mbufs[MR_BENCH_BURST], *answers[MR_BENCH_BURST];
    unsigned out = 0;

    if (rte_pktmbuf_alloc_bulk(generator->pool, mbufs, count) != 0) {
        fail("its pool is empty");
    }
    for (unsigned i = 0; i < count; i++) {
        memcpy(rte_pktmbuf_mtod(mbufs[i], uint8_t *), frames[i], lengths[i]);
        mbufs[i]->data_len = (uint16_t)lengths[i];
        mbufs[i]->pkt_len = lengths[i];
    }
    while (out < count) {
        out += rte_eth_tx_burst(generator->id, 0, mbufs + out, (uint16_t)(count - out));
    }
    const unsigned heard = rte_eth_rx_burst(generator->id, 0, answers, MR_BENCH_BURST);
    rte_pktmbuf_free_bulk(answers, heard);
}

int main(int argc, char **argv)
{
    static struct generator generator;
    char device[160];
    const long pid = (long)getpid();

    snprintf(generator.device, sizeof generator.device,
             "net_memif1,role=server,id=0,socket=millrace-bench-%ld,socket-abstract=yes", pid);
    snprintf(device, sizeof device,
             "net_memif0,role=client,id=0,socket=millrace-bench-%ld,socket-abstract=yes,"
             "mac=" MR_BENCH_HUB_MAC,
             pid);
    const struct mr_port_bench bench = {.name = "memif",
                                        .device = device,
                                        .ahead = 768,
                                        .open = generator_open,
                                        .send = generator_send,
                                        .context = &generator};
    return mr_port_bench_run(&bench, argc, argv);
}
