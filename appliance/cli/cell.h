/* cell.h - one JSON scalar as text for people. What a hub sends is shown on somebody's terminal: no
 * control character gets there. */
#ifndef MR_CLI_CELL_H
#define MR_CLI_CELL_H

#include "appliance/cli/cli.h"

#define MR_CELL_BYTES 32

/* Writes the text with '?' for each control character but those in `keep` ("" for none). */
void mr_cell_put_clean(FILE *out, const char *text, const char *keep);

/* A scalar, or "-" for null, for an empty text, for what is absent (NULL) and for objects and
 * lists. The answer is in `buffer` or in the value. Members that end in _unix_ms are shown as
 * times; `narrow` shortens hashes to their first twelve digits. */
const char *mr_cell_text(const char *key, const json_t *value, bool narrow,
                         char buffer[MR_CELL_BYTES]);

/* On the screen a member is called by its key, without the _unix_ms of a time: how many characters
 * of the key that are. */
int mr_cell_label(const char *key);

/* Writes a text from mr_cell_text, padded to `width`; states are coloured where wanted. */
void mr_cell_put(const struct mr_cli *cli, const char *key, const char *text, int width);

#endif
