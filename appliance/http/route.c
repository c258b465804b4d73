#include "appliance/http/route.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"

struct span {
    char *start;
    size_t length;
};

static size_t param_length(const char *text)
{
    return strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~-");
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
    snprintf(match->allow + used, sizeof match->allow - used, used ? ", %s" : "%s", method);
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
        if (strcmp(routes[i].method, method) != 0) {
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

static int decimal(const char *text, size_t length, uint64_t *value)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < length; i++) {
        const unsigned digit = (unsigned)(text[i] - '0');
        if (digit > 9 || sum > (UINT64_MAX - digit) / 10) {
            return -1;
        }
        sum = sum * 10 + digit;
    }
    *value = sum;
    return length > 0 ? 0 : -1;
}

uint64_t mr_route_query(const char *query, const char *name, uint64_t otherwise)
{
    const size_t name_length = strlen(name);
    while (*query) {
        const size_t length = strcspn(query, "&");
        uint64_t value;
        if (length > name_length && query[name_length] == '=' &&
            memcmp(query, name, name_length) == 0) {
            const char *digits = query + name_length + 1;
            return decimal(digits, length - name_length - 1, &value) == 0 ? value : otherwise;
        }
        query += length + (query[length] == '&');
    }
    return otherwise;
}
