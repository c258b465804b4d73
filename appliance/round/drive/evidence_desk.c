#include "appliance/round/drive/evidence_desk.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/round/drive/wall_clock.h"
#include "appliance/storage/files.h"
#include "appliance/storage/folder.h"
#include "base/assert.h"

/* In the order in which it came. */
struct waiting {
    struct waiting *next;
    struct mr_evidence_held held;
    uint64_t needed; /* the slip that has to be durable */
    uint8_t body[];
};

struct mr_evidence_desk {
    struct mr_evidence_desk_config config;
    struct mr_disk_file *disk;
    struct mr_transcript_file *file; /* the job thread's while a job runs */
    struct mr_facts_noted noted;
    uint64_t taken, durable;           /* slips that had something in them */
    struct mr_facts_batch heard_batch; /* other hubs' words, to be recorded with the next slip */
    struct mr_standing heard[MR_HUBS_MAX]; /* the furthest of each; sequence 0: the place is free */
    unsigned heard_now;                    /* recorded while the transcript was in one round */
    struct mr_transcript_head head;
    struct mr_transcript_past past;
    struct waiting *first, **last;
    bool halted;
};

/* --- opening --------------------------------------------------------------------------------- */

static void find_newest(void *context, const struct mr_folder_file *file)
{
    unsigned *newest = context, number = 0;
    int end = 0;
    if (sscanf(file->name, "%6u.log%n", &number, &end) == 1 && file->name[end] == '\0' && end > 0 &&
        number > *newest) {
        *newest = number;
    }
}

static int open_file(struct mr_evidence_desk *desk, struct mr_error *error)
{
    const struct mr_round_context *context = desk->config.context;
    char folder[PATH_MAX];
    struct mr_transcript_config config = {
        .hub = context->hub_index, .task = context->task, .private_key = context->private_key};
    if (snprintf(folder, sizeof folder, "%s/transcript", context->data_dir) >= (int)sizeof folder) {
        return mr_error_set(error, "data_dir: the path is too long");
    }
    if (mr_dir_make(folder, error) != 0 || mr_dir_sync(context->data_dir, error) != 0 ||
        mr_folder_list(folder, find_newest, &config.newest, error) != 0 ||
        mr_disk_file_open(&desk->disk, folder, error) != 0) {
        return -1;
    }
    config.disk = mr_disk_file_ops(desk->disk);
    if (mr_transcript_file_open(&desk->file, &config, error) != 0) {
        return -1;
    }
    mr_transcript_file_head(desk->file, &desk->head);
    desk->past = *mr_transcript_file_past(desk->file);
    for (unsigned i = 0; i < context->hubs_count; i++) {
        const struct mr_standing *heard =
            mr_transcript_file_heard(desk->file, context->hubs[i].index);
        if (heard) {
            desk->heard[i] = *heard;
        }
    }
    return 0;
}

int mr_evidence_desk_open(struct mr_evidence_desk **out,
                          const struct mr_evidence_desk_config *config, struct mr_error *error)
{
    struct mr_evidence_desk *desk = calloc(1, sizeof *desk);
    if (!desk) {
        return mr_error_set(error, "out of memory");
    }
    desk->config = *config;
    desk->last = &desk->first;
    if (open_file(desk, error) != 0) {
        mr_evidence_desk_close(desk);
        return -1;
    }
    *out = desk;
    return 0;
}

void mr_evidence_desk_halt(struct mr_evidence_desk *desk)
{
    desk->halted = true;
    while (desk->first) {
        struct waiting *one = desk->first;
        desk->first = one->next;
        desk->config.drop(desk->config.driver, &one->held);
        free(one);
    }
    desk->last = &desk->first;
}

void mr_evidence_desk_close(struct mr_evidence_desk *desk)
{
    if (!desk) {
        return;
    }
    mr_evidence_desk_halt(desk);
    mr_facts_batch_fini(&desk->heard_batch);
    mr_transcript_file_close(desk->file);
    mr_disk_file_close(desk->disk);
    free(desk);
}

/* --- slips ----------------------------------------------------------------------------------- */

void mr_evidence_take(struct mr_evidence_desk *desk, struct mr_evidence_slip *slip)
{
    struct mr_round_facts facts;
    *slip = (struct mr_evidence_slip){.unix_ms = mr_round_unix_ms()};
    desk->config.facts(desk->config.driver, &facts);
    slip->batch = desk->heard_batch;
    desk->heard_batch = (struct mr_facts_batch){.bytes = NULL};
    (void)mr_facts_collect(&slip->batch, &desk->noted, &facts);
    if (slip->batch.length > 0) {
        slip->number = ++desk->taken;
    }
}

int mr_evidence_write(struct mr_evidence_desk *desk, struct mr_evidence_slip *slip,
                      struct mr_error *error)
{
    if (slip->number == 0) {
        return 0;
    }
    if (mr_transcript_file_add(desk->file, &slip->batch, slip->unix_ms, error) != 0) {
        return mr_error_prefix(error, "transcript");
    }
    mr_transcript_file_head(desk->file, &slip->head);
    slip->past = *mr_transcript_file_past(desk->file);
    return 0;
}

void mr_evidence_lost(struct mr_evidence_slip *slip)
{
    mr_facts_batch_fini(&slip->batch);
}

void mr_evidence_written(struct mr_evidence_desk *desk, struct mr_evidence_slip *slip)
{
    mr_facts_batch_fini(&slip->batch);
    if (slip->number > desk->durable) {
        desk->durable = slip->number;
        desk->heard_now = slip->head.round == desk->head.round ? desk->heard_now : 0;
        desk->head = slip->head;
        desk->past = slip->past;
    }
    while (desk->first && desk->first->needed <= desk->durable) {
        struct waiting *one = desk->first;
        desk->first = one->next;
        desk->last = one->next ? desk->last : &desk->first;
        desk->config.let_go(desk->config.driver, &one->held);
        free(one);
    }
}

/* --- what may leave -------------------------------------------------------------------------- */

struct note_job {
    struct mr_evidence_desk *desk;
    struct mr_evidence_slip slip;
    int result;
    struct mr_error error;
};

static void note_work(void *context)
{
    struct note_job *job = context;
    job->result = mr_evidence_write(job->desk, &job->slip, &job->error);
}

static void note_done(void *context)
{
    struct note_job *job = context;
    const struct mr_round_context *round = job->desk->config.context;
    if (job->result == 0) {
        mr_evidence_written(job->desk, &job->slip);
    } else {
        mr_evidence_lost(&job->slip);
        round->fatal(round->fatal_context, job->error.text);
    }
    free(job);
}

static void note(struct mr_evidence_desk *desk)
{
    struct note_job *job = malloc(sizeof *job);
    MR_ASSERT(job);
    *job = (struct note_job){.desk = desk};
    mr_evidence_take(desk, &job->slip);
    if (job->slip.number == 0) {
        free(job);
        return;
    }
    mr_job_run(desk->config.jobs, note_work, note_done, job);
}

static void hold(struct mr_evidence_desk *desk, const struct mr_evidence_held *held)
{
    struct waiting *one = malloc(sizeof *one + held->length);
    MR_ASSERT(one);
    one->next = NULL;
    one->held = *held;
    one->needed = desk->taken;
    if (held->body) {
        memcpy(one->body, held->body, held->length);
        one->held.body = one->body;
    }
    *desk->last = one;
    desk->last = &one->next;
}

void mr_evidence_pass(struct mr_evidence_desk *desk, const struct mr_evidence_held *held)
{
    if (desk->halted) {
        desk->config.drop(desk->config.driver, held);
        return;
    }
    note(desk);
    if (desk->durable == desk->taken) {
        desk->config.let_go(desk->config.driver, held);
    } else {
        hold(desk, held);
    }
}

int mr_evidence_complete(struct mr_evidence_desk *desk, const struct mr_round_facts *facts,
                         struct mr_error *error)
{
    struct mr_facts_batch batch = {.bytes = NULL};
    struct mr_facts_noted noted = {.round = 0};
    if (mr_transcript_file_ended(desk->file, facts->terms->announcement.round)) {
        return 0;
    }
    (void)mr_facts_collect(&batch, &noted, facts);
    const int result = mr_transcript_file_add(desk->file, &batch, mr_round_unix_ms(), error);
    mr_facts_batch_fini(&batch);
    return result == 0 ? 0 : mr_error_prefix(error, "transcript");
}

bool mr_evidence_has_set(const struct mr_evidence_desk *desk, uint64_t round)
{
    return mr_transcript_file_has(desk->file, round, MR_EVIDENCE_SET);
}

bool mr_evidence_left(const struct mr_evidence_desk *desk, uint64_t round,
                      struct mr_evidence_left *left)
{
    struct mr_error unused;
    size_t length;
    const struct mr_transcript_file *file = desk->file;
    const uint8_t *terms = mr_transcript_file_terms(file, round, &length);
    *left = (struct mr_evidence_left){
        .listed = mr_transcript_file_has(file, round, MR_EVIDENCE_LISTED),
        .set = mr_transcript_file_has(file, round, MR_EVIDENCE_SET),
        .opened = mr_transcript_file_opened(file, round),
        .model = mr_transcript_file_has(file, round, MR_EVIDENCE_MODEL),
    };
    return terms && mr_round_terms_decode(&left->terms, terms, length, &unused) == 0;
}

int mr_evidence_add(struct mr_evidence_desk *desk, enum mr_evidence_kind kind, const uint8_t *body,
                    size_t length, struct mr_error *error)
{
    struct mr_facts_batch batch = {.bytes = NULL};
    mr_facts_add(&batch, kind, body, length);
    const int result = mr_transcript_file_add(desk->file, &batch, mr_round_unix_ms(), error);
    mr_facts_batch_fini(&batch);
    return result == 0 ? 0 : mr_error_prefix(error, "transcript");
}

/* --- where the hubs stand -------------------------------------------------------------------- */

/* Of one round; a hub that asks more often has its newest word on record later. */
#define HEARD_MAX 256u

const struct mr_transcript_head *mr_evidence_head(const struct mr_evidence_desk *desk)
{
    return &desk->head;
}

const struct mr_transcript_past *mr_evidence_past(const struct mr_evidence_desk *desk)
{
    return &desk->past;
}

static int place_of(const struct mr_evidence_desk *desk, uint16_t hub)
{
    const struct mr_round_context *context = desk->config.context;
    for (unsigned i = 0; i < context->hubs_count; i++) {
        if (context->hubs[i].index == hub) {
            return (int)i;
        }
    }
    return -1;
}

void mr_evidence_hear(struct mr_evidence_desk *desk, const struct mr_standing *standing)
{
    uint8_t body[MR_STANDING_BYTES];
    const int place = place_of(desk, standing->hub);
    if (place < 0 || standing->sequence == 0 || desk->heard_now >= HEARD_MAX ||
        (desk->heard[place].sequence && !mr_standing_is_further(standing, &desk->heard[place]))) {
        return;
    }
    desk->heard_now++;
    desk->heard[place] = *standing;
    mr_standing_encode(body, standing);
    mr_facts_add(&desk->heard_batch, MR_EVIDENCE_HEARD, body, sizeof body);
}

const struct mr_standing *mr_evidence_heard(const struct mr_evidence_desk *desk, uint16_t hub)
{
    const int place = place_of(desk, hub);
    return place >= 0 && desk->heard[place].sequence ? &desk->heard[place] : NULL;
}
