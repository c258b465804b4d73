/* table.h - a list of JSON objects as a table for people. */
#ifndef MR_CLI_TABLE_H
#define MR_CLI_TABLE_H

#include "appliance/cli/cli.h"

/* Whether the value is a list of objects, and not empty. */
bool mr_table_is(const json_t *value);

/* Prints it. The columns are the scalar members of all rows together, in the order in which they
 * first appear; a row without one of them shows "-". */
void mr_table_put(const struct mr_cli *cli, const json_t *rows, int indent);

#endif
