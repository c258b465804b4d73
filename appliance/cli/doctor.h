/* doctor.h - what the machine can do: one finding a question, each with the remedy. */
#ifndef MR_CLI_DOCTOR_H
#define MR_CLI_DOCTOR_H

#include "appliance/cli/cli.h"

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

/* One question. `dir` is the data folder to try, or NULL. */
typedef void (*mr_doctor_fn)(struct mr_finding *finding, const char *dir);

/* doctor_machine.c */
/* A number of a /proc file, behind its name at the start of a line; -1 if there is none. */
long long mr_doctor_number(const char *path, const char *name, int base);
void mr_doctor_cpu(struct mr_finding *finding, const char *dir);
void mr_doctor_hugepages(struct mr_finding *finding, const char *dir);
void mr_doctor_memlock(struct mr_finding *finding, const char *dir);
void mr_doctor_files(struct mr_finding *finding, const char *dir);
void mr_doctor_capabilities(struct mr_finding *finding, const char *dir);
void mr_doctor_sandbox(struct mr_finding *finding, const char *dir);
void mr_doctor_clock(struct mr_finding *finding, const char *dir);
void mr_doctor_disk(struct mr_finding *finding, const char *dir);

/* doctor_network.c */
void mr_doctor_io_uring(struct mr_finding *finding, const char *dir);
void mr_doctor_receive_buffer(struct mr_finding *finding, const char *dir);
void mr_doctor_gro(struct mr_finding *finding, const char *dir);
void mr_doctor_gso(struct mr_finding *finding, const char *dir);
void mr_doctor_dpdk(struct mr_finding *finding, const char *dir);

/* doctor_certificates.c: of the hub.yaml at that path. */
void mr_doctor_certificates(struct mr_finding *finding, const char *hub_yaml);

/* doctor_build.c */
void mr_doctor_tls(struct mr_finding *finding, const char *dir);
void mr_doctor_opener(struct mr_finding *finding, const char *dir);

#endif
