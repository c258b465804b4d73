/* route.h - finds a request's row in the route table. Pure. */
#ifndef MR_HTTP_ROUTE_H
#define MR_HTTP_ROUTE_H

#include "appliance/http/server.h"

#define MR_ROUTE_ALLOW_MAX 64

enum mr_route_result {
    MR_ROUTE_FOUND,
    MR_ROUTE_NO_PATH,   /* 404 */
    MR_ROUTE_NO_METHOD, /* 405; `allow` lists what there is */
};

struct mr_route_match {
    const struct mr_route *route;
    const char *params[MR_REQUEST_PARAMS_MAX]; /* into the path; NULL where there are fewer */
    const char *query;                         /* behind the '?', or "" */
    char allow[MR_ROUTE_ALLOW_MAX];            /* "GET, HEAD, POST" */
};

/* The first row that fits; HEAD fits where GET does. Cuts the path into its pieces (NULs are
 * written into it), and the match points there. Parameters are one or more of A-Z a-z 0-9 . _ ~ - ;
 * nothing is percent-decoded. */
enum mr_route_result mr_route_find(struct mr_route_match *match, const struct mr_route *routes,
                                   unsigned route_count, const char *method, char *path);
#endif
