/* line.h - what millrace-edge writes to standard output: one line for each thing that happened. */
#ifndef MR_EDGE_CLI_LINE_H
#define MR_EDGE_CLI_LINE_H

#include <stdbool.h>

#include <jansson.h>

#include "edge-client/include/millrace_edge.h"

/* The whole object on one line; takes over the reference. */
void mr_edge_print_json(json_t *object);

/* What came of a round for this device. */
void mr_edge_print_round(bool json, const char *task, const struct mre_outcome *outcome);
/* How a round ended in which it was counted. */
void mr_edge_print_end(bool json, const char *task, const struct mre_outcome *outcome);

#endif
