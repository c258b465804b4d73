/* doctor_certificates.c - when what a hub's certificates stand on runs out. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "appliance/cli/doctor.h"
#include "appliance/hub/hub_check.h"
#include "transport/certificate.h"
#include "transport/tls.h"

#define DAY_S     86400
#define WARN_DAYS 30

static struct mr_tls *open_files(const struct mr_config_identity *identity, struct mr_error *error)
{
    const struct mr_tls_files files = mr_hub_tls_files(identity);
    struct mr_tls *tls = NULL;
    return mr_tls_open(&tls, MR_TLS_SERVER, &files, error) == 0 ? tls : NULL;
}

/* "own 2026-07-01T12:00:00Z (12 days)" of all that run out. */
static void describe(struct mr_finding *finding, const struct mr_tls *tls)
{
    char detail[sizeof finding->detail] = "until:";
    bool soon = false;
    for (int term = 0; term < MR_TLS_TERMS; term++) {
        const int64_t ends = mr_tls_ends(tls, (enum mr_tls_term)term);
        char text[MR_CERTIFICATE_TIME_MAX];
        if (ends == INT64_MAX) {
            continue;
        }
        const int64_t days = (ends - (int64_t)time(NULL)) / DAY_S;
        const size_t used = strlen(detail);
        mr_certificate_time(text, ends);
        snprintf(detail + used, sizeof detail - used, "%s %s %s (%" PRId64 " days)",
                 used > strlen("until:") ? "," : "", mr_tls_term_names[term], text, days);
        soon = soon || days < WARN_DAYS;
    }
    mr_finding_set(finding, soon ? MR_FINDING_WARN : MR_FINDING_OK,
                   soon ? "have the CA issue a new one in time, put it in place and send SIGHUP"
                        : NULL,
                   "%s", detail);
}

void mr_doctor_certificates(struct mr_finding *finding, const struct mr_doctor_subject *subject)
{
    if (!subject->config) {
        return; /* the question `config` says what is wrong */
    }
    struct mr_error error;
    struct mr_tls *tls = open_files(&subject->config->identity, &error);
    if (tls) {
        describe(finding, tls);
    } else {
        mr_finding_set(finding, MR_FINDING_MISSING, NULL, "%s", error.text);
    }
    mr_tls_close(tls);
}
