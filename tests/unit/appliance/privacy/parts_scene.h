/* parts_scene.h - one round of three hubs with all that each of them counted, kept as a driver
 * keeps it; a test changes what a hub signs. */
#ifndef MR_TEST_PRIVACY_PARTS_SCENE_H
#define MR_TEST_PRIVACY_PARTS_SCENE_H

#include "played_rounds.h"

#include "appliance/privacy/counted.h"
#include "appliance/privacy/part.h"

#define DEVICES 7
#define ROUND   5

/* What the three hubs received of one round. */
struct parts_scene {
    struct played played;
    struct round round;
    char folders[HUBS][160];
    uint8_t *shares[DEVICES]; /* 64-byte aligned */
    uint8_t seeds[HUBS][DEVICES][MR_SEED_BYTES];
    struct mr_counted_table tables[HUBS];
    const struct mr_kernels *kernels;
};

/* All is kept and counted, and the first view says what honest hubs sign. */
void parts_open(struct parts_scene *scene);
/* All hubs sign and record what the first view says by now. */
void parts_end(struct parts_scene *scene);
void parts_close(struct parts_scene *scene);

struct mr_kept_place parts_place(const struct parts_scene *scene, unsigned hub);

/* Exports one hub's part and judges it by the transcripts. */
void parts_judge(const struct parts_scene *scene, unsigned hub, struct mr_audit_result *result);
/* … which find it right, or put the blame on that hub, in words with this text. */
void parts_right(const struct parts_scene *scene, unsigned hub);
void parts_named(const struct parts_scene *scene, unsigned hub, const char *text);

#endif
