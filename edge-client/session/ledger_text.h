/* ledger_text.h - the ledger as JSON text and back (inside session/ only). */
#ifndef MR_SESSION_LEDGER_TEXT_H
#define MR_SESSION_LEDGER_TEXT_H

#include <stddef.h>

#include "edge-client/session/ledger.h"

#define MR_LEDGER_BYTES_MAX 65536

/* malloc'd, or NULL when out of memory. */
char *mr_ledger_text(const struct mr_ledger *ledger);

/* Fills all but path and siblings. 0 or -1 with what is wrong. */
int mr_ledger_parse(struct mr_ledger *ledger, const char *text, size_t length,
                    struct mr_error *error);

/* The highest number that a text which cannot be parsed names as a round, if one that can be; else
 * 0. */
uint64_t mr_ledger_salvage(const char *text);

#endif
