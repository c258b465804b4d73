/* test_deltas.c - the delta to a model that a round has just made: begun before the store has the
 * model, the same bytes as from the store, and nobody's until then. Jobs run when the test says so.
 */
#include "tests/unit/appliance/model/next_model_scene.h"

#include <jansson.h>
#include <openssl/sha.h>

#include "appliance/model/delta_build.h"
#include "appliance/model/deltas.h"
#include "base/assert.h"
#include "base/bytes.h"
#include "tests/unit/appliance/storage/scratch.h"

/* --- what the real one would do --------------------------------------------------------------- */

#define JOBS_MAX 8

struct mr_job_thread {
    struct {
        mr_loop_fn work, done;
        void *context;
    } jobs[JOBS_MAX];
    unsigned count, run;
};

void mr_job_run(struct mr_job_thread *thread, mr_loop_fn work, mr_loop_fn done, void *context)
{
    MR_ASSERT(thread->count < JOBS_MAX);
    thread->jobs[thread->count].work = work;
    thread->jobs[thread->count].done = done;
    thread->jobs[thread->count++].context = context;
}

static void run_jobs(struct mr_job_thread *thread)
{
    while (thread->run < thread->count) {
        const unsigned at = thread->run++;
        thread->jobs[at].work(thread->jobs[at].context);
        thread->jobs[at].done(thread->jobs[at].context);
    }
}

static int open_folder(void **state)
{
    *state = scratch_open();
    return 0;
}

static int close_folder(void **state)
{
    scratch_close(*state);
    return 0;
}

/* --- the scene: a store with the model that the round began with, and what the round made ------
 */

struct place {
    struct scene *scene;
    struct mr_store *store;
    struct mr_job_thread jobs;
    struct mr_deltas *deltas;
    struct mr_made_model *made;
    uint8_t base[MR_HASH_BYTES];
    char why[512]; /* of the last answer; "": a delta was sent … */
    uint8_t *sent; /* … with these bytes */
    size_t sent_bytes;
};

static void open_place(struct place *place, const char *dir, uint8_t requantise)
{
    char folder[4096], initial[4096];
    struct mr_error error = {.text = ""};
    *place = (struct place){.scene = make(16, 9)};
    struct scene *scene = place->scene;
    SHA256(scene->model, scene->model_bytes, place->base);
    scene->terms.announcement.optimiser.requantise = requantise;
    memcpy(scene->terms.announcement.model_hash, place->base, MR_HASH_BYTES);
    snprintf(folder, sizeof folder, "%s/data", dir);
    snprintf(initial, sizeof initial, "%s/initial.safetensors", dir);
    FILE *file = fopen(initial, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(scene->model, 1, scene->model_bytes, file), scene->model_bytes);
    fclose(file);
    assert_int_equal(mr_store_open(&place->store, folder, initial, &error), 0);
    const struct mr_deltas_config config = {.store = place->store,
                                            .jobs = &place->jobs,
                                            .kernels = scene->kernels,
                                            .bytes_max = 1 << 20};
    place->deltas = mr_deltas_open(&config);
    place->made = mr_made_model_new(&scene->terms);
    assert_true(place->deltas && place->made);
    assert_int_equal(reveal(scene, COUNT, scene->kernels, &place->made->answer, &error), 0);
}

static void close_place(struct place *place)
{
    mr_deltas_close(place->deltas);
    mr_made_model_drop(place->made);
    mr_store_close(place->store);
    destroy(place->scene);
    free(place->sent);
}

/* As a lead does at the end of its round. */
static void store_made(struct place *place)
{
    struct mr_error error = {.text = ""};
    uint8_t bytes[MR_ANNOUNCEMENT_MAX];
    char announcement[2 * MR_ANNOUNCEMENT_MAX + 1], parent[2 * MR_HASH_BYTES + 1];
    const struct mr_next_model_answer *answer = &place->made->answer;
    const struct mr_announcement *said = &place->made->terms.announcement;
    mr_hex_encode(announcement, bytes, mr_announcement_encode(bytes, said));
    mr_hex_encode(parent, place->base, MR_HASH_BYTES);
    json_t *object = json_pack("{s:s, s:s, s:i}", "announcement", announcement, "parent", parent,
                               "included", (int)COUNT);
    char *text = json_dumps(object, 0);
    json_decref(object);
    if (answer->state) {
        assert_int_equal(mr_store_write_state(place->store, answer->state_hash, answer->state,
                                              answer->state_bytes, &error),
                         0);
    }
    assert_int_equal(mr_store_write_model(place->store, answer->model_hash, answer->model,
                                          answer->model_bytes, text, &error),
                     0);
    assert_int_equal(mr_store_write_round(place->store, said->round, text, answer->sum,
                                          (size_t)place->made->terms.layout.share_bytes, &error),
                     0);
    mr_store_adopt(place->store, answer->model_hash);
    free(text);
}

static void on_answer(void *context, void *token, struct mr_delta_kept *kept, const char *why)
{
    struct place *place = context;
    (void)token;
    free(place->sent);
    place->sent = NULL;
    snprintf(place->why, sizeof place->why, "%s", kept ? "" : why);
    if (kept) {
        const uint8_t *bytes = mr_delta_kept_bytes(kept, &place->sent_bytes);
        place->sent = malloc(place->sent_bytes);
        memcpy(place->sent, bytes, place->sent_bytes);
        mr_delta_kept_return(kept);
    }
}

static void ask_from(struct place *place, const uint8_t base[MR_HASH_BYTES])
{
    snprintf(place->why, sizeof place->why, "waits");
    mr_deltas_ask(place->deltas, base, place->made->answer.model_hash, on_answer, place, NULL);
}

static void ask(struct place *place)
{
    ask_from(place, place->base);
}

/* What mr_delta_build makes of the store alone. */
static void assert_sent_as_from_the_store(const struct place *place)
{
    struct mr_delta_out out;
    struct mr_error error = {.text = ""};
    const struct mr_next_model_answer *answer = &place->made->answer;
    struct mr_delta_wish wish = {.store = place->store,
                                 .base = place->scene->model,
                                 .base_bytes = place->scene->model_bytes,
                                 .target = answer->model,
                                 .target_bytes = answer->model_bytes,
                                 .kernels = place->scene->kernels};
    memcpy(wish.base_hash, place->base, MR_HASH_BYTES);
    memcpy(wish.target_hash, answer->model_hash, MR_HASH_BYTES);
    assert_int_equal(mr_delta_build(&out, &wish, &error), 0);
    assert_string_equal(place->why, "");
    assert_int_equal(place->sent_bytes, out.length);
    assert_memory_equal(place->sent, out.bytes, out.length);
    assert_true(out.length < answer->model_bytes / 2); /* by its sum, or its levels */
    free(out.bytes);
}

/* --- cases ------------------------------------------------------------------------------------ */

/* Made while the store does not have its model; sent once it does; made once. */
static void check_ahead(const char *dir, uint8_t requantise)
{
    struct place place;
    struct mr_deltas_report report;
    open_place(&place, dir, requantise);
    mr_deltas_make_ahead(place.deltas, place.made);
    assert_int_equal(place.made->holders, 2);
    run_jobs(&place.jobs);
    assert_int_equal(place.made->holders, 1);
    ask(&place);
    assert_non_null(strstr(place.why, "is not in the store"));
    store_made(&place);
    ask(&place);
    assert_sent_as_from_the_store(&place);
    assert_int_equal(place.jobs.count, 1);
    mr_deltas_report(place.deltas, &report);
    assert_int_equal(report.made, 1);
    close_place(&place);
}

static void test_the_sum_is_not_stored_yet(void **state)
{
    check_ahead(*state, 0);
}

static void test_the_state_is_not_stored_yet(void **state)
{
    check_ahead(*state, 8);
}

/* Asked for while it is made: before the store has the model nobody waits, afterwards one does. */
static void test_asked_for_while_it_is_made(void **state)
{
    struct place place;
    open_place(&place, *state, 0);
    mr_deltas_make_ahead(place.deltas, place.made);
    ask(&place);
    assert_non_null(strstr(place.why, "is not in the store"));
    store_made(&place);
    ask(&place);
    assert_string_equal(place.why, "waits");
    run_jobs(&place.jobs);
    assert_sent_as_from_the_store(&place);
    assert_int_equal(place.jobs.count, 1);
    close_place(&place);
}

/* A second time, on the way out, and to the model itself: nothing is begun, and nothing held. */
static void test_nothing_to_make(void **state)
{
    struct place place;
    open_place(&place, *state, 0);
    mr_deltas_make_ahead(place.deltas, place.made);
    mr_deltas_make_ahead(place.deltas, place.made);
    assert_int_equal(place.jobs.count, 1);
    run_jobs(&place.jobs);
    memcpy(place.made->terms.announcement.model_hash, place.made->answer.model_hash, MR_HASH_BYTES);
    mr_deltas_make_ahead(place.deltas, place.made);
    memset(place.made->terms.announcement.model_hash, 1, MR_HASH_BYTES); /* not in the store */
    mr_deltas_make_ahead(place.deltas, place.made);
    memcpy(place.made->terms.announcement.model_hash, place.base, MR_HASH_BYTES);
    place.made->answer.model_hash[0] ^= 1;
    mr_deltas_halt(place.deltas);
    mr_deltas_make_ahead(place.deltas, place.made);
    assert_int_equal(place.jobs.count, 1);
    assert_int_equal(place.made->holders, 1);
    close_place(&place);
}

/* A round more, on what the last one has made; its delta is kept. */
static void go_on(struct place *place)
{
    struct scene *scene = place->scene;
    struct mr_error error = {.text = ""};
    struct mr_announcement *said = &scene->terms.announcement;
    struct mr_made_model *last = place->made;
    const struct mr_next_model_question question = {
        .terms = &scene->terms,
        .results = (const uint8_t *const *)scene->results,
        .included_count = COUNT,
        .parent = last->answer.model,
        .parent_bytes = last->answer.model_bytes,
        .state = last->answer.state,
        .state_bytes = last->answer.state_bytes,
        .kernels = scene->kernels,
    };
    memcpy(place->base, last->answer.model_hash, MR_HASH_BYTES);
    memcpy(said->model_hash, place->base, MR_HASH_BYTES);
    said->round++;
    place->made = mr_made_model_new(&scene->terms);
    assert_non_null(place->made);
    assert_int_equal(mr_next_model(&place->made->answer, &question, &error), 0);
    mr_made_model_drop(last);
    mr_deltas_make_ahead(place->deltas, place->made);
    run_jobs(&place->jobs);
    store_made(place);
}

/* Over two rounds whose deltas are kept: what is sent is what would be made of the store, and
 * comes without the rounds' sums and states, which are gone by then. */
static void test_joined_from_kept_steps(void **state)
{
    struct place place;
    uint8_t first[MR_HASH_BYTES];
    char command[2 * 4096 + 64];
    struct mr_delta_out out;
    struct mr_error error = {.text = ""};
    open_place(&place, *state, 4);
    memcpy(first, place.base, MR_HASH_BYTES);
    uint8_t *model = malloc(place.scene->model_bytes);
    memcpy(model, place.scene->model, place.scene->model_bytes);
    mr_deltas_make_ahead(place.deltas, place.made);
    run_jobs(&place.jobs);
    store_made(&place);
    go_on(&place);
    struct mr_delta_wish wish = {.store = place.store,
                                 .base = model,
                                 .base_bytes = place.scene->model_bytes,
                                 .target = place.made->answer.model,
                                 .target_bytes = place.made->answer.model_bytes,
                                 .kernels = place.scene->kernels};
    memcpy(wish.base_hash, first, MR_HASH_BYTES);
    memcpy(wish.target_hash, place.made->answer.model_hash, MR_HASH_BYTES);
    assert_int_equal(mr_delta_build(&out, &wish, &error), 0);
    assert_int_equal(mr_delta_steps(out.bytes, out.length), 2);
    snprintf(command, sizeof command, "rm -r %s/data/rounds %s/data/optimisers",
             (const char *)*state, (const char *)*state);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): a test's own folder */
    ask_from(&place, first);
    run_jobs(&place.jobs);
    assert_string_equal(place.why, "");
    assert_int_equal(place.sent_bytes, out.length);
    assert_memory_equal(place.sent, out.bytes, out.length);
    assert_int_equal(place.jobs.count, 3);
    free(out.bytes);
    free(model);
    close_place(&place);
}

/* Two rounds of a small model of which every value moves by little: changes take less than the two
 * sums, kept or not. */
static void test_changes_are_smaller(void **state)
{
    struct place place;
    uint8_t first[MR_HASH_BYTES];
    open_place(&place, *state, 0);
    memcpy(first, place.base, MR_HASH_BYTES);
    mr_deltas_make_ahead(place.deltas, place.made);
    run_jobs(&place.jobs);
    store_made(&place);
    go_on(&place);
    ask(&place);
    assert_int_equal(mr_delta_steps(place.sent, place.sent_bytes), 1);
    const size_t step = place.sent_bytes;
    ask_from(&place, first);
    run_jobs(&place.jobs);
    assert_string_equal(place.why, "");
    assert_int_equal(mr_delta_steps(place.sent, place.sent_bytes), 0);
    assert_true(place.sent_bytes < 2 * step);
    close_place(&place);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, open_folder, close_folder)
    const struct CMUnitTest tests[] = {
        T(test_the_sum_is_not_stored_yet),  T(test_the_state_is_not_stored_yet),
        T(test_asked_for_while_it_is_made), T(test_nothing_to_make),
        T(test_joined_from_kept_steps),     T(test_changes_are_smaller),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
