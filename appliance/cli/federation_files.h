/* federation_files.h - all files of a federation on one machine, for trying things out.
 *
 *   <dir>/pki/…            as pki.h says
 *   <dir>/hub-0.yaml …     <dir>/device-000.json …     <dir>/operator.json
 *   <dir>/data-device-000 …   the devices' data_dirs, empty; those that are there stay as they are
 *
 * Every hub is lead in its own file's order only if it is hub 0; all listen on 127.0.0.1. */
#ifndef MR_CLI_FEDERATION_FILES_H
#define MR_CLI_FEDERATION_FILES_H

#include "appliance/cli/cli.h"
#include "base/error.h"

#define MR_FEDERATION_HUBS_MAX   5
#define MR_FEDERATION_UDP_OFFSET 1000 /* from a hub's control port to its upload port */

struct mr_federation {
    const char *dir;   /* made when missing */
    const char *model; /* first model */
    unsigned hubs, devices;
    unsigned base_port; /* hub i: control on base_port + i */
    bool force;         /* overwrite */
};

/* Writes them all. 0, or -1 with an error. */
int mr_federation_write(const struct mr_federation *plan, struct mr_error *error);

#endif
