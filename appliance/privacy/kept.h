/* kept.h - what a hub keeps of a round for audits, sealed: the terms, each share or seed with what
 * the hub's tree says of it, the frozen set, every hub's commitment. Unit layouts:
 * docs/wire-format.md, "Audits".
 *
 * Files of one folder, ROUND-PART.kept: a process that takes a round up again writes the next part
 * (storage/sealed_file.h). Of an upload that is there twice the later one counts. One thread at a
 * time. */
#ifndef MR_PRIVACY_KEPT_H
#define MR_PRIVACY_KEPT_H

#include "wire/audit.h"

struct mr_kept_place {
    const char *folder; /* exists */
    uint64_t round;
    const uint8_t *private_key; /* the hub's Ed25519 seed */
};
#define MR_KEPT_PARTS_MAX 9999

/* --- writing --------------------------------------------------------------------------------- */
struct mr_kept;

/* Begins the next part. 0 or -1. */
int mr_kept_begin(struct mr_kept **kept, const struct mr_kept_place *place, uint16_t hub_index,
                  const struct mr_announcement *announcement, struct mr_error *error);
/* Each adds a unit. `material`: the share bytes or the seed. */
int mr_kept_add(struct mr_kept *kept, const struct mr_audit_entry *counted, const uint8_t *material,
                size_t bytes, struct mr_error *error);
int mr_kept_add_set(struct mr_kept *kept, const struct mr_included *set, uint32_t count,
                    struct mr_error *error);
int mr_kept_add_commitments(struct mr_kept *kept, const struct mr_commitment *list, unsigned count,
                            struct mr_error *error);
/* Durable from now on, also the file's name. */
int mr_kept_sync(struct mr_kept *kept, struct mr_error *error);
void mr_kept_close(struct mr_kept *kept); /* NULL allowed */

/* --- reading --------------------------------------------------------------------------------- */
struct mr_kept_unit {
    enum mr_kept_kind {
        MR_KEPT_TERMS = 1,
        MR_KEPT_COUNTED,
        MR_KEPT_SET,
        MR_KEPT_COMMITMENTS,
    } kind;
    const uint8_t *body; /* what follows the kind; of COUNTED the material */
    size_t bytes;
    struct mr_audit_entry counted; /* COUNTED */
    unsigned part;                 /* the file, and where in it the unit begins … */
    uint64_t at, number;           /* … for mr_kept_again */
};

/* Hands over every whole unit of the round, part by part; `take` returns 0 to go on. 0; 1 if there
 * is nothing of that round; -1 with an error, or what take returned. */
typedef int (*mr_kept_fn)(void *context, const struct mr_kept_unit *unit, struct mr_error *error);
int mr_kept_read(const struct mr_kept_place *place, mr_kept_fn take, void *context,
                 struct mr_error *error);

/* Hands that unit over once more. 0, or -1 with an error, or what take returned. */
int mr_kept_again(const struct mr_kept_place *place, const struct mr_kept_unit *where,
                  mr_kept_fn take, void *context, struct mr_error *error);

/* The path of one part. 0, or -1: too long. */
#define MR_KEPT_PATH_BYTES 4200
int mr_kept_path(char path[MR_KEPT_PATH_BYTES], const char *folder, uint64_t round, unsigned part);
/* Of a counted unit before its material: kind, upload, salt, hash. */
#define MR_KEPT_COUNTED_BYTES (1 + MR_INCLUDED_BYTES + MR_AUDIT_SALT_BYTES + MR_HASH_BYTES)
/* Takes one unit's bytes apart. -1: it is none. */
int mr_kept_unit_parse(struct mr_kept_unit *unit, const uint8_t *bytes, size_t length);
/* The set of a unit of that kind, in place of *set (malloc'd, or NULL). 0, or -1 with an error. */
int mr_kept_unit_set(struct mr_included **set, uint32_t *count, const struct mr_kept_unit *unit,
                     struct mr_error *error);

/* What the files of a round have of so many devices, each with that material: the units, the set.
 * At most, but for terms and commitments, which are some kilobytes. */
uint64_t mr_kept_bytes(uint64_t material_bytes, uint32_t devices);

/* --- the end --------------------------------------------------------------------------------- */
/* Destroys what is kept of a round. */
int mr_kept_destroy(const char *folder, uint64_t round, struct mr_error *error);
/* Destroys what is older than its hours; `spared`: a round that is under way, 0: none. *removed:
 * files. 0 or -1. */
int mr_kept_sweep(const char *folder, uint64_t unix_ms, uint64_t spared, unsigned *removed,
                  struct mr_error *error);

#endif
