#include "perf/crowd_figures.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "perf/crowd.h"

#define RATE(NAME)                                                                                 \
    {                                                                                              \
        .name = "udp." NAME, .unit = "GB/s", .better = MR_BETTER_HIGHER                            \
    }
/* A socket for each of the crowd. */
void mr_crowd_figures_prepare(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) != 0) {
        return;
    }
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
}

/* 80 MB in datagrams of 1,456 bytes, and what the kernel charges for each. */
#define UNHELD_BUFFER (256u << 20)
#define UNHELD_WINDOW 65536u

static const struct mr_crowd_config twenty = {.source = "io_uring",
                                              .devices = 20,
                                              .threads = 2,
                                              .dimension = 100 * 20032,
                                              .receive_buffer_bytes = 8u << 20,
                                              .window_total = 2048};

static void crowd(struct mr_crowd_config config, struct mr_crowd_result *result)
{
    mr_crowd_run(&config, result);
    if (result->staged != config.devices || result->folded != config.devices) {
        fprintf(stderr, "udp_bench: not every device's upload was folded\n");
        exit(1);
    }
}

static double goodput(const struct mr_crowd_result *result)
{
    return 1e-9 * result->bytes / result->seconds;
}

static double cpu_s(const struct mr_crowd_result *result)
{
    return result->hub_s + result->senders_s;
}

static double acks_each(const struct mr_crowd_result *result)
{
    return (double)result->acks / result->staged;
}

/* The same uploads from 20 senders, and from 2,000 in three ways. */
struct crowds {
    struct mr_crowd_result few, many, admitted, unheld;
};

/* What other work on the machine disturbs least. */
static void sample_costs(struct mr_figures *figures, const struct crowds *crowds)
{
    static const char yardstick[] = "CPU time of senders and plane for 20 senders, same bytes";
    static const struct mr_figure ratio = {.name = "udp.crowd.cpu_ratio",
                                           .unit = "ratio",
                                           .better = MR_BETTER_HIGHER,
                                           .of = yardstick};
    static const struct mr_figure unheld = {.name = "udp.crowd.cpu_ratio_unheld",
                                            .unit = "ratio",
                                            .better = MR_BETTER_HIGHER,
                                            .of = yardstick};
    static const struct mr_figure admitted = {.name = "udp.crowd.cpu_ratio_all_admitted",
                                              .unit = "ratio",
                                              .better = MR_BETTER_HIGHER,
                                              .of = yardstick};

    mr_figures_sample(figures, &ratio, cpu_s(&crowds->few) / cpu_s(&crowds->many));
    mr_figures_sample(figures, &admitted, cpu_s(&crowds->few) / cpu_s(&crowds->admitted));
    mr_figures_sample(figures, &unheld, cpu_s(&crowds->few) / cpu_s(&crowds->unheld));
}

static void sample_acks(struct mr_figures *figures, const struct crowds *crowds)
{
    static const struct mr_figure many = {
        .name = "udp.crowd.acks_to_2000", .unit = "ACK/device", .better = MR_BETTER_LOWER};
    static const struct mr_figure admitted = {.name = "udp.crowd.acks_to_2000_all_admitted",
                                              .unit = "ACK/device",
                                              .better = MR_BETTER_LOWER};
    static const struct mr_figure unheld = {
        .name = "udp.crowd.acks_to_2000_unheld", .unit = "ACK/device", .better = MR_BETTER_LOWER};

    mr_figures_sample(figures, &many, acks_each(&crowds->many));
    mr_figures_sample(figures, &admitted, acks_each(&crowds->admitted));
    mr_figures_sample(figures, &unheld, acks_each(&crowds->unheld));
}

static void sample_goodputs(struct mr_figures *figures, const struct crowds *crowds)
{
    static const char yardstick[] = "goodput of 20 senders, udp.crowd.goodput_of_20";
    static const struct mr_figure few = RATE("crowd.goodput_of_20");
    static const struct mr_figure many = RATE("crowd.goodput_of_2000");
    static const struct mr_figure admitted = RATE("crowd.goodput_of_2000_all_admitted");
    static const struct mr_figure unheld = RATE("crowd.goodput_of_2000_unheld");
    static const struct mr_figure ratio = {.name = "udp.crowd.ratio",
                                           .unit = "ratio",
                                           .better = MR_BETTER_HIGHER,
                                           .target = 0.8,
                                           .of = yardstick};
    static const struct mr_figure ratio_admitted = {.name = "udp.crowd.ratio_all_admitted",
                                                    .unit = "ratio",
                                                    .better = MR_BETTER_HIGHER,
                                                    .of = yardstick};
    static const struct mr_figure of_unheld = {.name = "udp.crowd.ratio_to_unheld",
                                               .unit = "ratio",
                                               .better = MR_BETTER_HIGHER,
                                               .of = "udp.crowd.goodput_of_2000_unheld"};

    mr_figures_sample(figures, &few, goodput(&crowds->few));
    mr_figures_sample(figures, &many, goodput(&crowds->many));
    mr_figures_sample(figures, &admitted, goodput(&crowds->admitted));
    mr_figures_sample(figures, &unheld, goodput(&crowds->unheld));
    mr_figures_sample(figures, &ratio, goodput(&crowds->many) / goodput(&crowds->few));
    mr_figures_sample(figures, &ratio_admitted, goodput(&crowds->admitted) / goodput(&crowds->few));
    mr_figures_sample(figures, &of_unheld, goodput(&crowds->many) / goodput(&crowds->unheld));
}

/* Real senders, a socket each, the same bytes from few as from many. */
static void run_crowds(struct crowds *crowds)
{
    struct mr_crowd_config many = twenty, admitted, unheld;

    many.devices = 2000;
    many.dimension = 20032;
    admitted = many;
    admitted.all_admitted = true;
    unheld = admitted;
    unheld.receive_buffer_bytes = UNHELD_BUFFER;
    unheld.window_total = UNHELD_WINDOW;
    crowd(twenty, &crowds->few);
    crowd(many, &crowds->many);
    crowd(admitted, &crowds->admitted);
    crowd(unheld, &crowds->unheld);
}

void mr_crowd_figures_sample(struct mr_figures *figures)
{
    static const struct mr_figure bad_rate = RATE("crowd.goodput_of_20_with_faults");
    static const struct mr_figure hub_ratio = {
        .name = "udp.crowd.hub_cpu_ratio",
        .unit = "ratio",
        .better = MR_BETTER_HIGHER,
        .of = "CPU time of the plane for 20 senders, for the same bytes"};
    static const struct mr_figure senders_share = {.name = "udp.crowd.senders_share_of_cpu",
                                                   .unit = "share",
                                                   .better = MR_BETTER_NEITHER,
                                                   .of = "CPU time of senders and plane"};
    static const struct mr_figure again = {.name = "udp.crowd.sent_again_by_2000",
                                           .unit = "share",
                                           .better = MR_BETTER_LOWER,
                                           .of = "chunks"};
    struct mr_crowd_config bad = twenty;
    struct mr_crowd_result of_bad;
    struct crowds crowds;

    bad.loss_percent = bad.twice_percent = bad.late_percent = 5;
    run_crowds(&crowds);
    crowd(bad, &of_bad);
    sample_goodputs(figures, &crowds);
    mr_figures_sample(figures, &hub_ratio, crowds.few.hub_s / crowds.many.hub_s);
    mr_figures_sample(figures, &senders_share, crowds.many.senders_s / cpu_s(&crowds.many));
    mr_figures_sample(figures, &again,
                      (double)crowds.many.retransmitted / (double)crowds.many.chunks);
    mr_figures_sample(figures, &bad_rate, goodput(&of_bad));
    sample_acks(figures, &crowds);
    sample_costs(figures, &crowds);
}
