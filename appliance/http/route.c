#include "appliance/http/route.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"

struct span {
    char *start;
    size_t length;
};

/* RFC 3986's unreserved characters, whatever the locale. */
static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

/* By hand: strspn() makes a table of its set first, for every pattern that a path is tried on. */
static size_t param_length(const char *text)
{
    size_t length = 0;
    while (is_unreserved(text[length])) {
        length++;
    }
    return length;
}

/* Number of parameters when the path fits the pattern, else -1. */
static int fits(const char *pattern, char *path, struct span *params)
{
    int count = 0;
    while (*pattern) {
        if (*pattern != '{') {
            if (*pattern++ != *path++) {
                return -1;
            }
            continue;
        }
        const size_t length = param_length(path);
        if (length == 0) {
            return -1;
        }
        MR_ASSERT(count < MR_REQUEST_PARAMS_MAX); /* the table is ours */
        params[count++] = (struct span){path, length};
        path += length;
        pattern = strchr(pattern, '}');
        MR_ASSERT(pattern);
        pattern++;
    }
    return *path ? -1 : count;
}

static void allow(struct mr_route_match *match, const char *method)
{
    const size_t used = strlen(match->allow);
    snprintf(match->allow + used, sizeof match->allow - used, used ? ", %s%s" : "%s%s", method,
             strcmp(method, "GET") == 0 ? ", HEAD" : "");
}

/* HEAD is GET without the body (RFC 9110, 9.3.2). */
static bool takes(const char *row_method, const char *method)
{
    return strcmp(row_method, method) == 0 ||
           (strcmp(method, "HEAD") == 0 && strcmp(row_method, "GET") == 0);
}

enum mr_route_result mr_route_find(struct mr_route_match *match, const struct mr_route *routes,
                                   unsigned route_count, const char *method, char *path)
{
    *match = (struct mr_route_match){.query = ""};
    char *mark = strchr(path, '?');
    if (mark) {
        *mark = '\0';
        match->query = mark + 1;
    }
    for (unsigned i = 0; i < route_count; i++) {
        struct span params[MR_REQUEST_PARAMS_MAX];
        const int count = fits(routes[i].path, path, params);
        if (count < 0) {
            continue;
        }
        if (!takes(routes[i].method, method)) {
            allow(match, routes[i].method);
            continue;
        }
        match->route = &routes[i];
        for (int p = 0; p < count; p++) {
            params[p].start[params[p].length] = '\0';
            match->params[p] = params[p].start;
        }
        return MR_ROUTE_FOUND;
    }
    return *match->allow ? MR_ROUTE_NO_METHOD : MR_ROUTE_NO_PATH;
}
