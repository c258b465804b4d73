#include "played_rounds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "appliance/storage/files.h"
#include "wire/announcement_privacy.h"
#include "tests/unit/appliance/storage/scratch.h"
#include "tests/unit/wire/pair.h"

static void open_hub(struct played *played, unsigned hub)
{
    char folder[128];
    uint8_t seed[32];
    struct mr_error error;
    memset(seed, 0x40 + (int)hub, sizeof seed);
    assert_int_equal(mr_signing_pair_derive(&played->keys[hub], seed), 0);
    snprintf(folder, sizeof folder, "%.100s/hub-%u", played->dir, hub);
    assert_int_equal(mkdir(folder, 0700), 0);
    assert_int_equal(mr_disk_file_open(&played->disks[hub], folder, &error), 0);
    const struct mr_transcript_config config = {.disk = mr_disk_file_ops(played->disks[hub]),
                                                .hub = (uint16_t)hub,
                                                .task = "digits",
                                                .private_key = seed,
                                                .file_bytes = played->file_bytes};
    assert_int_equal(mr_transcript_file_open(&played->transcripts[hub], &config, &error), 0);
}

void played_open(struct played *played, uint64_t file_bytes)
{
    *played =
        (struct played){.dir = scratch_open(), .file_bytes = file_bytes, .unix_ms = 1800000000000};
    for (unsigned hub = 0; hub < HUBS; hub++) {
        open_hub(played, hub);
    }
}

static void close_transcripts(struct played *played)
{
    for (unsigned hub = 0; hub < HUBS; hub++) {
        mr_transcript_file_close(played->transcripts[hub]);
        mr_disk_file_close(played->disks[hub]);
        played->transcripts[hub] = NULL;
        played->disks[hub] = NULL;
    }
}

void played_close(struct played *played)
{
    close_transcripts(played);
    for (unsigned i = 0; i < played->files_count; i++) {
        free((void *)played->files[i].bytes);
    }
    scratch_close(played->dir);
}

/* --- rounds ---------------------------------------------------------------------------------- */

void view_sign(const struct played *played, struct view *view)
{
    uint8_t canonical[MR_ANNOUNCEMENT_MAX];
    struct mr_error error;
    struct mr_announcement announcement = view->terms.announcement;
    const size_t length = mr_announcement_encode(canonical, &announcement);
    assert_int_equal(mr_round_terms_decode(&view->terms, canonical, length, &error), 0);
    const uint8_t *hash = view->terms.hash;
    assert_int_equal(mr_included_hash(view->set_hash, hash, view->set, view->set_count), 0);
    for (uint16_t i = 0; i < HUBS; i++) {
        const uint8_t *key = played->keys[i].private_key;
        view->commitments[i].hub_index = i;
        assert_int_equal(mr_commitment_of_seal(view->commitments[i].value, hash, view->set_hash, i,
                                               &view->seals[i]),
                         0);
        assert_int_equal(mr_commitment_sign(&view->commitments[i], hash, PAIR_OF(key)), 0);
        view->signatures[i].seal_key[0] = (uint8_t)i; /* of the lead: zeros */
        assert_int_equal(mr_announcement_sign(view->signatures[i].bytes, hash,
                                              i == 0 ? NULL : view->signatures[i].seal_key,
                                              PAIR_OF(key)),
                         0);
        assert_int_equal(mr_model_sign(view->model_signatures[i], hash, view->set_hash,
                                       view->model_hash, PAIR_OF(key)),
                         0);
    }
}

/* The ledger has a record of each round, and of other tasks' in between. */
static void add_noise(struct view *view, uint64_t number)
{
    struct mr_announcement *announcement = &view->terms.announcement;
    announcement->noise_kind = MR_NOISE_HUB;
    announcement->privacy = (struct mr_privacy_terms){.model_sigma2 = 10000,
                                                      .norms_sigma2 = 1000,
                                                      .budget = MR_PRIVACY_RHO_MAX,
                                                      .delta = 1e-6f,
                                                      .pool = "ward"};
    announcement->privacy.rho = mr_announcement_rho(announcement, 128); /* lanes of 100 values */
    view->pays = true;
    view->debit.rho = announcement->privacy.rho;
    view->debit.records = 3 * number;
    memset(view->debit.head, (int)number + 100, MR_HASH_BYTES);
    memset(view->debit.noise_hash, (int)number + 50, MR_HASH_BYTES);
}

void round_make(const struct played *played, struct round *round, uint64_t number,
                const uint8_t parent[MR_HASH_BYTES], unsigned first, unsigned count)
{
    struct view *view = &round->views[0];
    struct mr_announcement *announcement = &view->terms.announcement;
    *view = (struct view){.set_count = count,
                          .admitted = count + 1,
                          .commitments_known = (1u << HUBS) - 1,
                          .openings_known = (1u << HUBS) - 1,
                          .has_model = true};
    *announcement = (struct mr_announcement){.round = number,
                                             .deadline_unix_ms = 1800000000000,
                                             .dimension = 100,
                                             .ring_bits = 24,
                                             .chunk_bytes = 1408,
                                             .cohort_min = COHORT_MIN,
                                             .cohort_max = 100,
                                             .levels = 127,
                                             .headroom = 4,
                                             .seal = MR_SEAL_HPKE,
                                             .weight_max = 1,
                                             .scale = 100,
                                             .clip_norm = 1,
                                             .step_max = 1,
                                             .optimiser = {.learning_rate = 1},
                                             .task = "digits",
                                             .hub_count = HUBS};
    memcpy(announcement->model_hash, parent, MR_HASH_BYTES);
    for (uint16_t i = 0; i < HUBS; i++) {
        announcement->hubs[i].index = i;
        snprintf(announcement->hubs[i].name, sizeof announcement->hubs[i].name, "hub-%u", i);
        memcpy(announcement->hubs[i].public_key, played->keys[i].public_key, MR_PUBLIC_KEY_BYTES);
        memset(&view->seals[i], (int)(number * 8 + i), sizeof view->seals[i]);
    }
    for (unsigned i = 0; i < count; i++) {
        view->set[i].client_id[0] = (uint8_t)(first + i);
    }
    memset(view->model_hash, (int)number, MR_HASH_BYTES);
    if (played->noised) {
        add_noise(view, number);
    }
    view_sign(played, view);
    for (unsigned hub = 1; hub < HUBS; hub++) {
        round->views[hub] = *view;
    }
}

static void record(struct played *played, unsigned hub, const struct mr_round_facts *facts,
                   struct mr_facts_noted *noted)
{
    struct mr_facts_batch batch = {.bytes = NULL};
    struct mr_error error = {.text = ""};
    (void)mr_facts_collect(&batch, noted, facts);
    if (mr_transcript_file_add(played->transcripts[hub], &batch, played->unix_ms, &error) != 0) {
        fail_msg("%s", error.text);
    }
    mr_facts_batch_fini(&batch);
}

void round_record(struct played *played, const struct round *round)
{
    static const uint8_t root[MR_HASH_BYTES] = {1};
    for (unsigned hub = 0; hub < HUBS; hub++) {
        const struct view *view = &round->views[hub];
        struct mr_facts_noted noted = {.round = 0};
        struct mr_round_facts facts = {.terms = &view->terms,
                                       .list = view->list_bytes ? view->list : NULL,
                                       .list_bytes = view->list_bytes,
                                       .draw_values = view->has_values ? view->values[0] : NULL,
                                       .admitted_root = root,
                                       .admitted = view->admitted,
                                       .included = view->skips_set ? NULL : view->set,
                                       .included_count = view->set_count,
                                       .commitments_known = view->commitments_known,
                                       .commitments = view->commitments,
                                       .openings_known = view->openings_known,
                                       .openings = view->seals,
                                       .debit = view->pays ? &view->debit : NULL,
                                       .set_hash = view->set_hash,
                                       .model_hash = view->model_hash,
                                       .end = view->has_model ? MR_FACTS_MODEL : MR_FACTS_UNDER_WAY,
                                       .reason = VOID_REASON};
        for (unsigned i = 0; i < HUBS; i++) {
            facts.signatures[i] = hub == 0 ? &view->signatures[i] : NULL;
            facts.model_signatures[i] = hub == 0 || hub == i ? view->model_signatures[i] : NULL;
        }
        if (!view->silent) {
            record(played, hub, &facts, &noted);
        }
        if (view->has_void) {
            facts.end = MR_FACTS_VOID;
            facts.void_signature = view->void_ordered ? view->void_signature : NULL;
            record(played, hub, &facts, &noted);
        }
    }
}

/* --- the audit ------------------------------------------------------------------------------- */

void played_read(struct played *played)
{
    close_transcripts(played);
    for (unsigned hub = 0; hub < HUBS; hub++) {
        for (unsigned number = 1; number <= FILES_OF; number++) {
            struct mr_audit_file *file = &played->files[played->files_count];
            char *name = played->names[played->files_count];
            uint8_t *bytes;
            struct mr_error error;
            snprintf(name, sizeof played->names[0], "%.100s/hub-%u/%06u.log", played->dir, hub,
                     number);
            if (mr_file_read(name, &bytes, &file->length, &error) == 0) {
                file->name = name;
                file->bytes = bytes;
                played->files_count++;
            }
        }
    }
}

unsigned played_file(const struct played *played, unsigned hub, unsigned number)
{
    char ending[40];
    snprintf(ending, sizeof ending, "hub-%u/%06u.log", hub, number);
    for (unsigned i = 0; i < played->files_count; i++) {
        if (strstr(played->files[i].name, ending)) {
            return i;
        }
    }
    fail_msg("no file %s", ending);
    return 0;
}

void played_audit(const struct played *played, struct mr_audit_result *result)
{
    struct mr_audit_key keys[HUBS];
    struct mr_error error;
    for (uint16_t hub = 0; hub < HUBS; hub++) {
        keys[hub].hub = hub;
        memcpy(keys[hub].public_key, played->keys[hub].public_key, MR_PUBLIC_KEY_BYTES);
    }
    assert_int_equal(mr_audit(result, played->files, played->files_count, keys, HUBS, &error), 0);
}
