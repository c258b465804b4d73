/* helper_journal.h - the helper's state in its journal: parsed here, kept as sealed bytes there. */
#ifndef MR_ROUND_DRIVE_HELPER_JOURNAL_H
#define MR_ROUND_DRIVE_HELPER_JOURNAL_H

#include "appliance/round/helper/journal_state.h"
#include "appliance/storage/journal.h"

/* Takes the state that a journal holds. -1 with a text: it makes no sense, or there is no memory.
 * mr_journal_read_fini is owed for 0. */
int mr_helper_journal_parse(struct mr_journal_read *read, const struct mr_journal_content *content,
                            struct mr_error *error);

/* As mr_journal_open, with the newest journal parsed. One that is whole and cannot be taken is an
 * error (-1): what it says was answered. mr_journal_read_fini is owed for 0. */
int mr_helper_journal_open(struct mr_journal **journal, const struct mr_disk *disk,
                           const uint8_t private_key[32], struct mr_journal_read *newest,
                           struct mr_error *error);

#endif
