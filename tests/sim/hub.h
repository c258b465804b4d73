/* hub.h - hubs of the simulation: real ones (mr_hub_open) on simulated machines. */
#ifndef MR_TESTS_SIM_HUB_H
#define MR_TESTS_SIM_HUB_H

#include "appliance/hub/hub.h"
#include "appliance/ingest/packet_source.h"
#include "tests/sim/sim.h"

/* Makes the machines, with the first models on their disks; nothing runs yet. */
void sim_hubs_new(struct sim *sim);
void sim_hubs_free(struct sim *sim);

/* Puts on an empty disk what every hub begins with. */
void sim_hub_set_up(struct sim_node *node);

/* Value i of the model that a task begins with, in the one tensor that it has. */
#define SIM_TENSOR "weights"
float sim_initial_value(const struct sim *sim, const struct sim_task *task, size_t i);

/* Starts the process; where that fails (its disk is full) it is tried again later. */
void sim_hub_start(struct sim_node *node);
/* The process is gone at once. It starts again after `again_us`; UINT64_MAX: never. */
void sim_hub_kill(struct sim_node *node, uint64_t again_us);
/* The process is asked to stop, does so, and starts again. */
void sim_hub_stop(struct sim_node *node);
/* Every task that it serves is in its files: it has been up since they were made. */
bool sim_hub_has_begun(const struct sim_node *node);
/* Its process runs, or is starting or stopping. */
bool sim_hub_alive(const struct sim_node *node);
/* What runs there; NULL: nothing. */
struct mr_hub *sim_hub_of(const struct sim_node *node);
/* The same of one that is just stopping as well. */
struct mr_hub *sim_hub_until_its_end(const struct sim_node *node);

/* --- for the seams --------------------------------------------------------------------------- */
struct mr_loop *sim_node_loop(const struct sim_node *node); /* NULL: none */
void sim_hub_set_server(struct sim_node *node, struct mr_server *server);
const struct mr_server *sim_hub_server(const struct sim_node *node);
uint16_t sim_hub_add_source(struct sim_node *node, struct mr_packet_source *source); /* its port */
void sim_hub_remove_source(struct sim_node *node, const struct mr_packet_source *source);
struct mr_packet_source *sim_hub_source(const struct sim_node *node, uint16_t port);

#endif
