#include <stdio.h>
#include <string.h>

#include "edge-client/cli/cli.h"

enum mr_edge_exit mr_edge_exit_of(enum mre_result result)
{
    switch (result) {
    case MRE_OK:
    case MRE_COMMITTED:
    case MRE_ALREADY_COUNTED:
    case MRE_NO_ROUND:
    case MRE_PUBLISHED:
    case MRE_UPDATED:
        return MR_EDGE_EXIT_OK;
    case MRE_RELEASE_REFUSED:
        return MR_EDGE_EXIT_RELEASE;
    case MRE_CLOSED:
    case MRE_VOID:
    case MRE_REFUSED:
    case MRE_AWAITS_MODEL:
    case MRE_NOT_ACCEPTED:
        return MR_EDGE_EXIT_NOT_COUNTED;
    case MRE_UNTRUSTED_ANNOUNCEMENT:
        return MR_EDGE_EXIT_UNTRUSTED;
    case MRE_CERTIFICATE_REFUSED:
        return MR_EDGE_EXIT_CERTIFICATE;
    case MRE_UNREACHABLE:
        return MR_EDGE_EXIT_UNREACHABLE;
    case MRE_BAD_DELTA:
    case MRE_BAD_MODEL:
    case MRE_TRAINER_FAILED:
        return MR_EDGE_EXIT_TRAINING;
    case MRE_BAD_CONFIG:
        return MR_EDGE_EXIT_CONFIG;
    case MRE_FAILED:
    case MRE_CANCELLED:
        break;
    }
    return MR_EDGE_EXIT_FAILED;
}

static int take_transport(struct mre_options *options, const char *name)
{
    static const char *const names[] = {"auto", "udp", "http2"};
    for (unsigned i = 0; i < 3; i++) {
        if (strcmp(name, names[i]) == 0) {
            options->transport = (enum mre_transport)i;
            return 0;
        }
    }
    fprintf(stderr, "millrace-edge: --transport %s: auto, udp or http2\n", name);
    return MR_EDGE_EXIT_USAGE;
}

int mr_edge_load(const struct mr_edge_arguments *arguments, const struct mr_edge_task *task,
                 struct mre_config **config)
{
    struct mre_outcome outcome;
    *config = NULL;
    if (!task->config) {
        fprintf(stderr, "millrace-edge: --config FILE is needed (see millrace-edge help)\n");
        return MR_EDGE_EXIT_USAGE;
    }
    if (mre_config_load(config, task->config, &outcome)) {
        fprintf(stderr, "millrace-edge: %s\n", outcome.text);
        return mr_edge_exit_of(outcome.result);
    }
    struct mre_options *options = mre_config_options(*config);
    options->dump_dir = arguments->dump_dir;
    options->stop_after_chunks = arguments->stop_after_chunks;
    options->cpu_mask = arguments->cpu_mask;
    if (arguments->transport && take_transport(options, arguments->transport)) {
        mre_config_free(*config);
        *config = NULL;
        return MR_EDGE_EXIT_USAGE;
    }
    return MR_EDGE_EXIT_OK;
}
