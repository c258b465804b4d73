/* accept.h - what this device accepts of a round's terms: "accept" of device.json. */
#ifndef MR_SESSION_ACCEPT_H
#define MR_SESSION_ACCEPT_H

#include "base/error.h"
#include "wire/acceptance.h"

/* `text`: a JSON object whose members are names of wire/accepted.def, each a number or a range as
 * text, and "training", an object or "any"; NULL: everything is accepted. 0, or -1 with an error
 * that names the member. On success `acceptance` holds a text that mr_accept_free owes. */
int mr_accept_read(struct mr_acceptance *acceptance, const char *text, struct mr_error *error);
void mr_accept_free(struct mr_acceptance *acceptance);

#endif
