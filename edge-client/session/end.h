/* end.h - how the round ended that a device was counted in (inside session/ only). */
#ifndef MR_SESSION_END_H
#define MR_SESSION_END_H

#include "edge-client/session/client.h"

/* From now on this round's end is owed to the caller; an older one's no more. */
void mr_end_owe(struct mre_client *client, const struct mr_announcement *round);

/* A newer round is announced. All hubs signed which model it starts from: if it is the owed round's
 * own, that round made none. Another one may be that round's work, one's in between, or the hubs'
 * operators'. */
void mr_end_seen(struct mre_client *client, const struct mr_announcement *newer);

#endif
