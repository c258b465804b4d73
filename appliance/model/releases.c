#include "appliance/model/releases.h"

#include <dirent.h>
#include <inttypes.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "appliance/model/first_deltas.h"
#include "appliance/model/release_make.h"
#include "appliance/storage/files.h"
#include "base/assert.h"
#include "base/bytes.h"

#define LIFETIME_DAYS 90u
#define WORD_VALID_S  86400u
#define DELTA_BYTES   ((size_t)64 << 20)
/* A word is given anew when so much of its time is over. */
#define WORD_RENEWED_AT(valid_s) ((valid_s) / 4)

/* This hub's word as devices get it. */
struct told {
    struct mr_release_word word;
    uint8_t *bytes; /* manifest and word; NULL: to be made */
    size_t length;
};

struct mr_releases {
    struct mr_releases_config config;
    struct mr_job_thread *jobs;
    struct mr_deltas *deltas;
    struct mr_first_deltas first;
    struct mr_rollouts *rollouts;
    bool halted, making;
    uint8_t refused[MR_HASH_BYTES]; /* the model of which none can be made; zeros: none */

    uint8_t *manifest; /* of the newest; NULL: none */
    size_t manifest_bytes;
    struct mr_release release; /* decoded from it */
    uint8_t hash[MR_HASH_BYTES];
    uint8_t signature[MR_SIGNATURE_BYTES]; /* of this hub */
    struct told told, told_tagged; /* a device whose tag comes before the others is told of all */
    struct mr_release_times times;
};

static uint32_t word_valid_s(const struct mr_releases *releases)
{
    const uint32_t valid_s = releases->config.policy->word_valid_s;
    return valid_s ? valid_s : WORD_VALID_S;
}

/* --- the newest ------------------------------------------------------------------------------ */

/* Takes the bytes over. Only ever upwards. */
static int adopt(struct mr_releases *releases, uint8_t *manifest, size_t length)
{
    struct mr_release release;
    if (mr_release_decode(&release, manifest, length, NULL) != 0 ||
        strcmp(release.task, releases->config.task) != 0 ||
        (releases->manifest &&
         mr_release_version_compare(&release.version, &releases->release.version) <= 0)) {
        free(manifest);
        return -1;
    }
    free(releases->manifest);
    releases->manifest = manifest;
    releases->manifest_bytes = length;
    releases->release = release;
    SHA256(manifest, length, releases->hash);
    return mr_release_sign(releases->signature, releases->hash, releases->config.keys);
}

static void forget_told(struct mr_releases *releases)
{
    free(releases->told.bytes);
    free(releases->told_tagged.bytes);
    releases->told.bytes = releases->told_tagged.bytes = NULL;
}

static int renew_word(struct told *told, const struct mr_releases *releases, uint16_t fraction,
                      uint64_t now_s)
{
    struct mr_release_word *word = &told->word;
    *word = (struct mr_release_word){.hub_index = releases->config.hub_index,
                                     .issued_s = now_s,
                                     .valid_s = word_valid_s(releases),
                                     .fraction = fraction};
    memcpy(word->signature, releases->signature, sizeof word->signature);
    if (mr_release_sign_latest(word, releases->hash, releases->config.keys) != 0) {
        return -1;
    }
    free(told->bytes);
    told->bytes = mr_signed_release_encode(releases->manifest, releases->manifest_bytes, word, 1,
                                           &told->length);
    return told->bytes ? 0 : -1;
}

const uint8_t *mr_releases_latest(struct mr_releases *releases, const uint8_t *client_id,
                                  size_t *length, struct mr_release_version *version)
{
    const uint64_t now_s = (uint64_t)time(NULL);
    if (!releases->manifest) {
        return NULL;
    }
    const uint16_t of_all = mr_rollouts_fraction(releases->rollouts, NULL, now_s);
    const uint16_t fraction = mr_rollouts_fraction(releases->rollouts, client_id, now_s);
    struct told *told = fraction == of_all ? &releases->told : &releases->told_tagged;
    const struct mr_release_word *word = &told->word;
    if (!told->bytes || word->fraction != fraction || word->valid_s != word_valid_s(releases) ||
        now_s < word->issued_s || now_s - word->issued_s >= WORD_RENEWED_AT(word->valid_s)) {
        if (renew_word(told, releases, fraction, now_s) != 0) {
            return NULL;
        }
    }
    *length = told->length;
    *version = releases->release.version;
    return told->bytes;
}

/* --- making one ------------------------------------------------------------------------------- */

struct making {
    struct mr_releases *releases;
    struct mr_model *model;
    uint8_t model_hash[MR_HASH_BYTES];
    struct mr_version_place place;
    uint32_t lifetime_days, client_min;
    struct mr_delta_bases bases;
    uint8_t *manifest; /* what came of it */
    size_t manifest_bytes;
    int result; /* 0; 1: no round led to this model; -1 */
    struct mr_error error;
};

static void make_work(void *context)
{
    struct making *making = context;
    const struct mr_releases_config *config = &making->releases->config;
    const struct mr_release_making wish = {.store = config->store,
                                           .task = config->task,
                                           .data_dir = config->data_dir,
                                           .model_hash = making->model_hash,
                                           .model = making->model,
                                           .place = making->place,
                                           .lifetime_days = making->lifetime_days,
                                           .client_min = making->client_min};
    making->result =
        mr_release_make(&making->manifest, &making->manifest_bytes, &wish, &making->error);
    mr_delta_bases_find(&making->bases, config->store, making->model_hash);
}

static void first_delta_made(void *context)
{
    struct mr_releases *releases = context;
    mr_release_times_end(&releases->times, MR_RELEASE_STAGE_DELTA);
}

static void begin_rollout(struct mr_releases *releases)
{
    mr_rollouts_begin(releases->rollouts, releases->hash, &releases->release.version,
                      (uint64_t)time(NULL));
}

static void announce(struct mr_releases *releases, const struct making *making)
{
    char hex[2 * MR_HASH_BYTES + 1];
    mr_hex_encode(hex, making->model_hash, MR_HASH_BYTES);
    forget_told(releases);
    begin_rollout(releases); /* the word says whom it lets have it */
    mr_log_event(releases->config.log, MR_LOG_INFO, "release.made",
                 "task=%s version=%" PRIu64 ".%" PRIu32 " model=%s make_ms=%" PRIu32,
                 releases->config.task, releases->release.version.round,
                 releases->release.version.step, hex,
                 releases->times.us[MR_RELEASE_STAGE_MAKE] / 1000);
    size_t length;
    struct mr_release_version version;
    if (mr_releases_latest(releases, NULL, &length, &version)) {
        mr_release_times_end(&releases->times, MR_RELEASE_STAGE_SIGN);
    }
    releases->times.version = releases->release.version;
    if (!releases->halted) {
        mr_first_deltas_make(&releases->first, &making->bases);
    }
    releases->config.changed(releases->config.context);
}

static void make_done(void *context)
{
    struct making *making = context;
    struct mr_releases *releases = making->releases;
    mr_store_return(releases->config.store, making->model);
    releases->making = false;
    mr_release_times_end(&releases->times, MR_RELEASE_STAGE_MAKE);
    if (making->result != 0) {
        memcpy(releases->refused, making->model_hash, MR_HASH_BYTES);
        free(making->manifest);
    }
    if (making->result < 0) {
        mr_log_event(releases->config.log, MR_LOG_ERROR, "release.failed", "task=%s why=%s",
                     releases->config.task, making->error.text);
    } else if (making->result == 0 &&
               adopt(releases, making->manifest, making->manifest_bytes) == 0) {
        announce(releases, making);
    }
    free(making);
    mr_releases_look(releases); /* for what came meanwhile */
}

void mr_releases_look(struct mr_releases *releases)
{
    const uint8_t *current = mr_store_current(releases->config.store);
    struct mr_error error;
    if (releases->manifest && !releases->halted) {
        begin_rollout(releases); /* the hub may have been killed between the two */
    }
    if (releases->halted || releases->making ||
        memcmp(current, releases->refused, MR_HASH_BYTES) == 0 ||
        (releases->manifest &&
         memcmp(current, releases->release.target_hash, MR_HASH_BYTES) == 0)) {
        return;
    }
    struct making *making = calloc(1, sizeof *making);
    struct mr_model *model =
        making ? mr_store_borrow(releases->config.store, current, &error) : NULL;
    if (!model) {
        free(making);
        return; /* the next look tries again */
    }
    making->releases = releases;
    making->model = model;
    making->lifetime_days = releases->config.policy->lifetime_days;
    making->lifetime_days = making->lifetime_days ? making->lifetime_days : LIFETIME_DAYS;
    (void)mr_config_client_min(&making->client_min, releases->config.policy->client_min,
                               &error); /* was checked when it was read */
    memcpy(making->model_hash, current, MR_HASH_BYTES);
    making->place = *mr_store_place(releases->config.store);
    releases->making = true;
    mr_release_times_begin(&releases->times);
    mr_job_run(releases->jobs, make_work, make_done, making);
}

void mr_releases_expect(struct mr_releases *releases, struct mr_made_model *made)
{
    if (!releases->halted) {
        mr_deltas_make_ahead(releases->deltas, made);
    }
}

/* --- opening and closing --------------------------------------------------------------------- */

static bool read_version(struct mr_release_version *version, const char *name)
{
    char text[64];
    if (sscanf(name, "%" SCNu64 ".%" SCNu32 ".", &version->round, &version->step) != 2) {
        return false;
    }
    snprintf(text, sizeof text, "%" PRIu64 ".%" PRIu32 ".manifest", version->round, version->step);
    return strcmp(text, name) == 0;
}

static int newest_version(const char *folder, struct mr_release_version *newest)
{
    DIR *entries = opendir(folder);
    int found = 1;
    for (struct dirent *entry; entries && (entry = readdir(entries));) {
        struct mr_release_version version;
        if (read_version(&version, entry->d_name) &&
            (found == 1 || mr_release_version_compare(&version, newest) > 0)) {
            *newest = version;
            found = 0;
        }
    }
    if (entries) {
        closedir(entries);
    }
    return found;
}

static int load_newest(struct mr_releases *releases, struct mr_error *error)
{
    char path[MR_RELEASE_PATH_BYTES];
    struct mr_release_version version;
    uint8_t *bytes = NULL;
    size_t length = 0;
    snprintf(path, sizeof path, "%s/releases", releases->config.data_dir);
    if (mr_dir_make(path, error) != 0) {
        return -1;
    }
    if (newest_version(path, &version) != 0) {
        return 0;
    }
    mr_release_path(path, releases->config.data_dir, &version);
    if (mr_file_read(path, &bytes, &length, error) != 0) {
        return -1;
    }
    if (adopt(releases, bytes, length) != 0) {
        return mr_error_set(error,
                            "%s is damaged: it was signed and told to devices, so nothing is "
                            "released until it is there again; another hub has the same file",
                            path);
    }
    return 0;
}

static int open_parts(struct mr_releases *releases, struct mr_error *error)
{
    const struct mr_releases_config *config = &releases->config;
    const size_t bytes_max = (size_t)config->policy->delta_bytes_max;
    const struct mr_deltas_config deltas = {.store = config->store,
                                            .jobs = releases->jobs,
                                            .kernels = config->kernels,
                                            .bytes_max = bytes_max ? bytes_max : DELTA_BYTES};
    const struct mr_rollouts_config rollouts = {.task = config->task,
                                                .data_dir = config->data_dir,
                                                .policy = config->policy,
                                                .jobs = releases->jobs,
                                                .log = config->log,
                                                .times = &releases->times};
    releases->deltas = mr_deltas_open(&deltas);
    releases->first = (struct mr_first_deltas){
        .loop = config->loop,
        .deltas = releases->deltas,
        .timer = mr_timer_open(config->loop, mr_first_deltas_go_on, &releases->first),
        .first_made = first_delta_made,
        .context = releases};
    if (!releases->deltas || !releases->first.timer) {
        return mr_error_set(error, "out of memory");
    }
    return mr_rollouts_open(&releases->rollouts, &rollouts, error);
}

int mr_releases_open(struct mr_releases **out, const struct mr_releases_config *config,
                     struct mr_error *error)
{
    struct mr_releases *releases = calloc(1, sizeof *releases);
    if (!releases) {
        return mr_error_set(error, "out of memory");
    }
    releases->config = *config;
    if (mr_job_thread_open(&releases->jobs, config->loop, "release", error) != 0 ||
        load_newest(releases, error) != 0) {
        mr_releases_join(releases);
        mr_releases_close(releases);
        return -1;
    }
    if (open_parts(releases, error) != 0) {
        mr_releases_join(releases);
        mr_releases_close(releases);
        return -1;
    }
    *out = releases;
    return 0;
}

void mr_releases_halt(struct mr_releases *releases)
{
    releases->halted = true;
    if (releases->first.timer) {
        mr_timer_disarm(releases->first.timer);
    }
    if (releases->deltas) {
        mr_deltas_halt(releases->deltas);
    }
    if (releases->rollouts) {
        mr_rollouts_halt(releases->rollouts);
    }
}

void mr_releases_join(struct mr_releases *releases)
{
    if (releases->jobs) {
        mr_job_thread_close(releases->jobs);
    }
    releases->jobs = NULL;
}

void mr_releases_close(struct mr_releases *releases)
{
    if (!releases) {
        return;
    }
    mr_timer_close(releases->first.timer);
    mr_deltas_close(releases->deltas);
    mr_rollouts_close(releases->rollouts);
    forget_told(releases);
    free(releases->manifest);
    free(releases);
}

void mr_releases_set_policy(struct mr_releases *releases, const struct mr_config_releases *policy)
{
    releases->config.policy = policy;
    mr_rollouts_set_policy(releases->rollouts, policy);
}

struct mr_rollouts *mr_releases_rollouts(struct mr_releases *releases)
{
    return releases->rollouts;
}

const struct mr_release_times *mr_releases_times(const struct mr_releases *releases)
{
    return &releases->times;
}

struct mr_deltas *mr_releases_deltas(struct mr_releases *releases)
{
    return releases->deltas;
}
