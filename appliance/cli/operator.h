/* operator.h - where the hub is and who is asking: operator.json and the options over it.
 *
 *   {"ca": FILE, "certificate": FILE, "key": FILE,
 *    "hubs": [{"index": 0, "name": "…", "host": "…", "port": 8443}, …]}
 *
 * Relative paths start at the file's folder. Unknown members are errors. */
#ifndef MR_CLI_OPERATOR_H
#define MR_CLI_OPERATOR_H

#include "appliance/cli/cli.h"
#include "transport/h2_client.h"

#define MR_OPERATOR_PATH_MAX 4096

struct mr_operator {
    struct mr_h2_endpoint endpoint; /* points into this struct */
    char host[256];
    char ca[MR_OPERATOR_PATH_MAX];
    char certificate[MR_OPERATOR_PATH_MAX];
    char key[MR_OPERATOR_PATH_MAX];
};

/* Fills it from --config (or $MILLRACE_CONFIG) and the options, which go first. enum mr_exit; the
 * reason of a failure has been written. */
int mr_operator_init(struct mr_operator *operator_, const struct mr_cli *cli);

#endif
