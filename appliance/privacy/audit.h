/* audit.h - reads the transcripts of one or several hubs, each by itself and against the others,
 * and names the first thing that is wrong and who signed it. Needs the files and the hubs' public
 * keys, nothing else. Sans-IO; one thread. */
#ifndef MR_PRIVACY_AUDIT_H
#define MR_PRIVACY_AUDIT_H

#include <stdbool.h>

#include "wire/evidence.h"

struct mr_audit_key {
    uint16_t hub;
    uint8_t public_key[MR_PUBLIC_KEY_BYTES];
};

/* One file, whole. Files of one chain may come in any order. */
struct mr_audit_file {
    const char *name;
    const uint8_t *bytes;
    size_t length;
};

struct mr_audit_result {
    bool good;
    /* Where they were looked at to the end: */
    unsigned hubs, tasks;
    unsigned torn;     /* chains whose last file ends in a record that is not whole, and files that
                          were only begun */
    uint64_t records;  /* all */
    uint64_t rounds;   /* of all tasks, each once */
    uint64_t released; /* of them, with a model */
    unsigned parts;    /* that were recomputed and are right */
    uint64_t debits;   /* of all hubs */
    /* The first thing wrong: */
    const char *file; /* its name; NULL: none */
    int hub;          /* who signed it; -1: nobody that is known */
    char task[MR_TASK_NAME_MAX + 1];
    uint64_t sequence; /* of the record; 0: the file itself */
    uint64_t round;    /* 0: of none */
    char what[400];
};

/* 0 with the result filled, whether it is good or not; -1 without memory. */
int mr_audit(struct mr_audit_result *result, const struct mr_audit_file *files,
             unsigned files_count, const struct mr_audit_key *keys, unsigned keys_count,
             struct mr_error *error);

/* The same, and then the parts of hubs (part.h) against it: that each is of the set, that its hub
 * committed to its tree and opened its sum. A part that no transcript has a word of is not good
 * either; result->parts counts those that are right. */
struct mr_part;
struct mr_audit_input {
    const struct mr_audit_file *files;
    unsigned files_count;
    const struct mr_audit_key *keys;
    unsigned keys_count;
    const struct mr_part *parts;
    unsigned parts_count;
};
int mr_audit_parts(struct mr_audit_result *result, const struct mr_audit_input *input,
                   struct mr_error *error);

#endif
