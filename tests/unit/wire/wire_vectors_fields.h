/* wire_vectors_fields.h - an announcement's fields, as the oracle names them. */
#ifndef MR_TEST_WIRE_VECTORS_FIELDS_H
#define MR_TEST_WIRE_VECTORS_FIELDS_H

#include <jansson.h>

#include "wire/announcement.h"

json_t *wire_vectors_fields(const struct mr_round_terms *terms);

#endif
