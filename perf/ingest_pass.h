/* ingest_pass.h - a pass of the ingest bench: uploads from their sealed packets to the folded
 * accumulator, through the session core as a worker runs it, and the two yardsticks beside it.
 *
 * The yardsticks take turns with it over the same packets and slots, in the same thread's time. The
 * opener is one and the same, and so are its keys. */
#ifndef MR_PERF_INGEST_PASS_H
#define MR_PERF_INGEST_PASS_H

#include "appliance/upload/open.h"
#include "perf/ingest_load.h"

enum mr_ingest_part {
    MR_INGEST_ALL,  /* from received packets to the folded accumulator, without the ACKs */
    MR_INGEST_ACK,  /* making ACKs */
    MR_INGEST_AEAD, /* yardstick: opening the same packets into one fixed buffer */
    MR_INGEST_ADD,  /* yardstick: folding the same slots */
    /* The stages of MR_INGEST_ALL, of timed passes only: */
    MR_INGEST_SESSION, /* header, session, bitmap, bookkeeping */
    MR_INGEST_OPEN,    /* the seal, into the slot */
    MR_INGEST_FOLD,
    MR_INGEST_PARTS
};

struct mr_ingest_pass_config {
    uint32_t devices;
    uint64_t slots_bytes; /* all slots together, about */
    uint64_t cache_bytes; /* as a worker is told */
    enum mr_opener_kind opener;
    uint32_t cpu_levels; /* that kernels and opener may use */
};

enum mr_ingest_kind {
    MR_INGEST_PLAIN,
    MR_INGEST_QUICK,  /* without the yardsticks */
    MR_INGEST_TIMED,  /* with the clock read between stages: it costs time */
    MR_INGEST_FAULTY, /* after mr_load_spoil */
};

struct mr_ingest;

/* Exits with a message where something is missing. */
struct mr_ingest *mr_ingest_open(const struct mr_ingest_pass_config *config);
void mr_ingest_close(struct mr_ingest *ingest);

const struct mr_layout *mr_ingest_layout(const struct mr_ingest *ingest);
/* Its devices; passes of others may be taken in turn with its own. */
struct mr_load *mr_ingest_load(struct mr_ingest *ingest);
const struct mr_opener *mr_ingest_opener(const struct mr_ingest *ingest);

/* One pass; adds what its parts took, in seconds. Exits with a message unless every upload was
 * folded once, the sum is right, and every packet is accounted for. */
void mr_ingest_pass(struct mr_ingest *ingest, enum mr_ingest_kind kind,
                    double seconds[MR_INGEST_PARTS]);

#endif
