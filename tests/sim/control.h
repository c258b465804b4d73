/* control.h - TLS and HTTP/2 as the simulator has them: a connection that breaks as a whole,
 * delivers each request at most once and whole, and exports key material that both ends agree on.
 */
#ifndef MR_TESTS_SIM_CONTROL_H
#define MR_TESTS_SIM_CONTROL_H

#include "appliance/http/server.h"
#include "transport/h2_client.h"
#include "tests/sim/sim.h"

#define SIM_HUB_INDEX 10 /* hub i of the list has index 10 + i */

/* Requests that are still on their way when everything is over. */
void sim_control_end(struct sim *sim);

#endif
