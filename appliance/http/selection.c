#include "appliance/http/selection.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#define UNIT "bytes="

/* "*", or a list of tags with the tag in it. Weak ones count here as strong (13.1.2). */
static bool names_tag(const char *list, const char *etag)
{
    const size_t length = strlen(etag);
    if (strcmp(list, "*") == 0) {
        return true;
    }
    for (const char *at = strstr(list, etag); at; at = strstr(at + 1, etag)) {
        const char *before = at >= list + 2 && strncmp(at - 2, "W/", 2) == 0 ? at - 2 : at;
        if ((before == list || strchr(", \t", before[-1])) && strchr(", \t", at[length])) {
            return true;
        }
    }
    return false;
}

/* Digits up to `end`; false where there are none, or it is no number that matters. */
static bool read_number(const char **at, uint64_t *value)
{
    const size_t digits = strspn(*at, "0123456789");
    *value = 0;
    for (size_t i = 0; i < digits; i++) {
        *value = *value > UINT64_MAX / 16 ? *value : *value * 10 + (uint64_t)((*at)[i] - '0');
    }
    *at += digits;
    return digits > 0;
}

/* "bytes=a-b", "bytes=a-" or "bytes=-n". False: it is none of these. */
static bool read_range(const char *text, uint64_t length, uint64_t *first, uint64_t *last)
{
    if (strncasecmp(text, UNIT, strlen(UNIT)) != 0) {
        return false;
    }
    text += strlen(UNIT);
    const bool from = read_number(&text, first);
    if (*text++ != '-') {
        return false;
    }
    const bool to = read_number(&text, last);
    if (*text != '\0' || (!from && !to) || (from && to && *last < *first)) {
        return false;
    }
    if (!from) { /* the last n bytes; of none there is no range */
        *first = *last == 0 ? length : *last < length ? length - *last : 0;
        *last = length;
    } else if (!to) {
        *last = length;
    }
    return true;
}

struct mr_selection mr_select(const struct mr_selection_request *request, const char *etag,
                              size_t length)
{
    const struct mr_selection whole = {.status = 200, .length = length};
    uint64_t first, last;
    if (*request->if_none_match != '\0' && names_tag(request->if_none_match, etag)) {
        return (struct mr_selection){.status = 304};
    }
    if (request->is_head || *request->range == '\0' ||
        (*request->if_range != '\0' && strcmp(request->if_range, etag) != 0) ||
        !read_range(request->range, length, &first, &last)) {
        return whole;
    }
    if (first >= length) {
        return (struct mr_selection){.status = 416};
    }
    last = last < length ? last : length - 1;
    return (struct mr_selection){
        .status = 206, .first = (size_t)first, .length = (size_t)(last - first + 1)};
}
