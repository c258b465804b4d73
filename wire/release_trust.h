/* release_trust.h - whether a device takes a release, and by which name it refuses. No I/O; the
 * time is an argument. */
#ifndef MR_WIRE_RELEASE_TRUST_H
#define MR_WIRE_RELEASE_TRUST_H

#include "kernels/kernels.h"
#include "wire/release.h"

enum mr_release_fault {
    MR_RELEASE_TAKEN = 0,
#define MR_RELEASE_FAULT(NAME, name, sentence) MR_RELEASE_##NAME,
#include "wire/release_faults.def"
#undef MR_RELEASE_FAULT
    MR_RELEASE_FAULTS
};
/* "taken", "rollback", …, and what it means. */
const char *mr_release_fault_name(enum mr_release_fault fault);
const char *mr_release_fault_sentence(enum mr_release_fault fault);

/* What the device goes by. */
struct mr_release_trust {
    const char *task;
    const struct mr_announced_hub *hubs; /* pinned; their keys */
    unsigned hub_count;
    unsigned threshold; /* so many of them must have signed, and say that it is the newest */
    uint64_t now_s;     /* Unix time */
    uint32_t client;    /* this client's version */
    uint64_t target_bytes_max;
    const uint8_t *client_id; /* 16 bytes: which part of a roll-out it is in; NULL: in all */
    /* The newest release that was ever taken here, and its manifest's hash; round 0 and step 0 with
     * a hash of zeros: none. */
    struct mr_release_version floor;
    uint8_t floor_hash[MR_HASH_BYTES];
};

/* Several hubs' answers together, each as it came (decoded); `chosen` is the index of the one whose
 * manifest is taken or refused: the newest that enough hubs have signed, else the newest at all. */
enum mr_release_fault mr_release_judge(const struct mr_signed_release *answers, unsigned count,
                                       const struct mr_release_trust *trust, unsigned *chosen);

/* Which share of the devices a client is in: 0 .. MR_RELEASE_FRACTION_ALL - 1. */
uint16_t mr_release_share(const uint8_t release_hash[MR_HASH_BYTES],
                          const uint8_t client_id[MR_CLIENT_ID_BYTES]);

/* Whether block i of the file is what the release says. The length is that block's. */
bool mr_release_block_holds(const struct mr_release *release, uint32_t i, const uint8_t *bytes,
                            size_t length);

/* Whether a file has that many bytes, and every block of it is what the release says. Blocks are
 * hashed two at a time where the kernels can, which takes half as long as one hash of the file. */
bool mr_release_file_holds(const struct mr_release *release, const uint8_t *bytes, size_t length,
                           const struct mr_kernels *kernels);

#endif
