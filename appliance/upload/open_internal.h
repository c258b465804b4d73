/* open_internal.h - what an implementation of open.h gives: its table, filled into the opener that
 * it embeds as its first member. */
#ifndef MR_UPLOAD_OPEN_INTERNAL_H
#define MR_UPLOAD_OPEN_INTERNAL_H

#include "appliance/upload/open.h"

struct mr_opener_ops {
    const char *name;
    int (*key)(struct mr_opener *opener, uint32_t place, const struct mr_aead_key *key);
    void (*forget)(struct mr_opener *opener, uint32_t place);
    void (*burst)(struct mr_opener *opener, struct mr_open_job *jobs, unsigned count);
    void (*seal)(struct mr_opener *opener, struct mr_seal_job *jobs, unsigned count);
    void (*close)(struct mr_opener *opener);
};

struct mr_opener {
    const struct mr_opener_ops *ops;
    uint32_t keys;
    char why[120];
};

/* Each returns NULL and says why in the error; open_ipsec_mb_absent.c stands in where the build
 * lacks the library. */
struct mr_opener *mr_opener_openssl(uint32_t keys, struct mr_error *error);
struct mr_opener *mr_opener_ipsec_mb(uint32_t keys, uint32_t cpu_levels, struct mr_error *error);

#endif
