/* selection.h - which part of a body an answer to GET or HEAD has, if any: preconditions and ranges
 * of RFC 9110 (13 and 14). Pure. */
#ifndef MR_HTTP_SELECTION_H
#define MR_HTTP_SELECTION_H

#include <stdbool.h>
#include <stddef.h>

/* What the request says; "" where it says nothing. */
struct mr_selection_request {
    const char *if_none_match, *if_range, *range;
    bool is_head; /* a range is passed over then */
};

struct mr_selection {
    int status;           /* 200, 206, 304 or 416 */
    size_t first, length; /* of the body that goes out; 304 and 416: none of it */
};

/* `etag` is the body's strong tag, with its quotes; `length` the bytes of the whole body. Several
 * ranges, and what is malformed, are passed over: the answer is the whole body then. */
struct mr_selection mr_select(const struct mr_selection_request *request, const char *etag,
                              size_t length);

#endif
