/* query.h - a request's query: "a=1&b=2", names and decimal numbers. Pure. */
#ifndef MR_HTTP_QUERY_H
#define MR_HTTP_QUERY_H

#include <stdint.h>

#include "base/error.h"

/* Whether it holds nothing but the members of `names` ("after wait_ms"; NULL: none), each once at
 * most and each a decimal number below 2^64. 0, or -1 with an error that names the member. */
int mr_query_check(const char *query, const char *names, struct mr_error *error);

/* The value of a member, or `otherwise` where it is absent; the query has passed the check. */
uint64_t mr_query_number(const char *query, const char *name, uint64_t otherwise);

#endif
