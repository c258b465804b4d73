/* round_line.h - one line about a round, for `round watch`. */
#ifndef MR_CLI_ROUND_LINE_H
#define MR_CLI_ROUND_LINE_H

#include "appliance/cli/cli.h"

/* The members of the round whose change is worth a line, null where one is absent; json_decref. */
json_t *mr_round_line_told(const json_t *round);

/* Prints the round and how long it has been open: aligned text, or under --json the hub's object
 * and since_open_ms. False: standard output cannot be written any more. */
bool mr_round_line_put(const struct mr_cli *cli, const json_t *round);

#endif
