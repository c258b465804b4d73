/* hub_lists.h - how old the revocation lists are that this hub has seen, kept in its data folder,
 * so that an older list is noticed also after a restart. */
#ifndef MR_HUB_HUB_LISTS_H
#define MR_HUB_HUB_LISTS_H

#include "base/error.h"
#include "transport/revocation.h"

/* Whether none is older than what was seen. NULL: there are no lists. 0 or -1. */
int mr_hub_lists_check(const char *data_dir, const struct mr_revocations *lists,
                       struct mr_error *error);
/* These are in force now. 0 or -1. */
int mr_hub_lists_note(const char *data_dir, const struct mr_revocations *lists,
                      struct mr_error *error);

#endif
