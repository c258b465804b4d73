/* doctor.h - what the machine can do: one finding a question, each with the remedy. */
#ifndef MR_CLI_DOCTOR_H
#define MR_CLI_DOCTOR_H

#include "appliance/cli/cli.h"
#include "appliance/config/hub_config.h"

enum mr_finding_level {
    MR_FINDING_OK,
    MR_FINDING_WARN,    /* works, slower or with a risk */
    MR_FINDING_MISSING, /* a hub cannot run here */
};

struct mr_finding {
    enum mr_finding_level level;
    char detail[320]; /* what was found */
    char remedy[320]; /* "" where nothing is to be done */
};

/* doctor_finding.c */
/* Fills the texts; `remedy` may be NULL. */
void mr_finding_set(struct mr_finding *finding, enum mr_finding_level level, const char *remedy,
                    const char *format, ...) __attribute__((format(printf, 4, 5)));

/* What is asked about. */
struct mr_doctor_subject {
    const char *dir;                    /* the data folder to try */
    const char *file;                   /* hub.yaml, or NULL: any hub */
    const struct mr_hub_config *config; /* what is in it; NULL: no file, or a wrong one */
    const char *wrong;                  /* why it is wrong, or "" */
    const char *user;                   /* --user, whom this process has become; or NULL */
};

/* One question; one that has no answer for the subject leaves the detail empty. */
typedef void (*mr_doctor_fn)(struct mr_finding *finding, const struct mr_doctor_subject *subject);

/* doctor_hub.c */
/* Becomes the user, for all questions. 0, or -1 with an error. */
int mr_doctor_become(const char *user, struct mr_error *error);
void mr_doctor_user(struct mr_finding *finding, const struct mr_doctor_subject *subject);
void mr_doctor_config(struct mr_finding *finding, const struct mr_doctor_subject *subject);
void mr_doctor_memory(struct mr_finding *finding, const struct mr_doctor_subject *subject);

/* doctor_machine.c */
/* A number of a /proc file, behind its name at the start of a line; -1 if there is none. */
long long mr_doctor_number(const char *path, const char *name, int base);
void mr_doctor_cpu(struct mr_finding *finding, const struct mr_doctor_subject *subject);
void mr_doctor_hugepages(struct mr_finding *finding, const struct mr_doctor_subject *subject);
void mr_doctor_memlock(struct mr_finding *finding, const struct mr_doctor_subject *subject);
void mr_doctor_files(struct mr_finding *finding, const struct mr_doctor_subject *subject);
void mr_doctor_capabilities(struct mr_finding *finding, const struct mr_doctor_subject *subject);
void mr_doctor_sandbox(struct mr_finding *finding, const struct mr_doctor_subject *subject);
void mr_doctor_clock(struct mr_finding *finding, const struct mr_doctor_subject *subject);
void mr_doctor_disk(struct mr_finding *finding, const struct mr_doctor_subject *subject);

/* doctor_space.c */
void mr_doctor_space(struct mr_finding *finding, const struct mr_doctor_subject *subject);

/* doctor_network.c */
void mr_doctor_io_uring(struct mr_finding *finding, const struct mr_doctor_subject *subject);
void mr_doctor_receive_buffer(struct mr_finding *finding, const struct mr_doctor_subject *subject);
void mr_doctor_gro(struct mr_finding *finding, const struct mr_doctor_subject *subject);
void mr_doctor_gso(struct mr_finding *finding, const struct mr_doctor_subject *subject);
void mr_doctor_dpdk(struct mr_finding *finding, const struct mr_doctor_subject *subject);

/* doctor_certificates.c */
void mr_doctor_certificates(struct mr_finding *finding, const struct mr_doctor_subject *subject);

/* doctor_tpm.c */
void mr_doctor_tpm(struct mr_finding *finding, const struct mr_doctor_subject *subject);

/* doctor_build.c */
void mr_doctor_tls(struct mr_finding *finding, const struct mr_doctor_subject *subject);
void mr_doctor_opener(struct mr_finding *finding, const struct mr_doctor_subject *subject);

#endif
