/* fake_routes.h - what the fake federation's hubs answer (inside tests/unit/edge-client only). */
#ifndef MRE_TEST_FAKE_ROUTES_H
#define MRE_TEST_FAKE_ROUTES_H

#include "tests/unit/edge-client/fake.h"

/* Answers one request at hub `hub` (0 = lead); returns enum mr_h2_failure. */
int fake_route(struct fake *fake, unsigned hub, unsigned connection,
               const struct mr_h2_request *request, struct mr_h2_response *response,
               struct mr_error *error);

/* Key material that depends on the connection, as TLS's does. */
void fake_exporter(uint8_t secret[MR_CONNECTION_SECRET_BYTES], unsigned connection);

/* What the hub counted, in a tree with two neighbours, and all hubs' commitments. */
void fake_prove(struct fake *fake, unsigned hub, struct mr_audit_proof *proof);

/* A staged upload becomes what the lead makes of it. */
void fake_settle(struct fake *fake);

#endif
