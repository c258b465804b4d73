#include "wire/model_line.h"

#include <string.h>

#include "wire/transcript.h"

int mr_model_line(struct mr_model_line *line, const struct mr_announcement *announcement)
{
    const bool trains = mr_announcement_trains(announcement);
    struct mr_transcript transcript;
    uint8_t evaluations[MR_HASH_BYTES];
    mr_transcript_init(&transcript, "millrace evaluation");
    mr_transcript_add(&transcript, announcement->model_hash, MR_HASH_BYTES);
    if (mr_transcript_hash(evaluations, &transcript, NULL, 0) != 0) {
        return -1;
    }
    memcpy(line->own, trains ? announcement->model_hash : evaluations, MR_HASH_BYTES);
    memcpy(line->also, trains ? evaluations : announcement->model_hash, MR_HASH_BYTES);
    line->looks = mr_announcement_evaluates(announcement);
    return 0;
}
