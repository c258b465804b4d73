#include "context.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "appliance/task/released.h"
#include "tests/unit/appliance/storage/scratch.h"
#include "tests/unit/appliance/upload/small_plane.h"

#define PATIENCE_MS 30000u

static void on_fatal(void *context, const char *text)
{
    struct room *room = context;
    room->fatals++;
    snprintf(room->fatal, sizeof room->fatal, "%s", text);
}

static void open_store(struct room *room)
{
    struct mr_error error = {.text = ""};
    char initial[4096];
    snprintf(initial, sizeof initial, "%s/initial.safetensors", room->dir);
    if (mr_store_open(&room->shared.store, room->config.data_dir, initial, &error) != 0) {
        fail_msg("%s", error.text);
    }
}

static void open_ledger(struct room *room, bool may_be_new)
{
    struct mr_error error = {.text = ""};
    if (mr_released_open(&room->shared.released, room->dir, may_be_new, room->shared.loop,
                         &error) != 0) {
        fail_msg("%s", error.text);
    }
}

static void close_ledger(struct room *room)
{
    mr_released_stop(room->shared.released);
    room_drain(room);
    mr_released_close(room->shared.released);
}

static void configure(struct room *room, unsigned position)
{
    struct world *world = room->world;
    static char any[] = "127.0.0.1", nothing[] = "";
    for (unsigned i = 0; i < 2; i++) {
        room->endpoints[i] = (struct mr_h2_endpoint){.host = any,
                                                     .port = 1,
                                                     .hub_index = world->hubs[i].index,
                                                     .ca_file = nothing,
                                                     .certificate_file = nothing,
                                                     .private_key_file = nothing};
    }
    room->config = (struct mr_hub_config){
        .data_dir = room->dir,
        .identity = {.index = world->hubs[position].index,
                     .ca_file = nothing,
                     .certificate_file = nothing,
                     .private_key_file = nothing,
                     .revocation_file = nothing},
    };
    room->policy = (struct mr_config_round){.cohort_min = 3,
                                            .quorum = 4,
                                            .deadline_ms = 60000,
                                            .ring_bits = 16,
                                            .headroom = 4,
                                            .chunk_bytes = 1408,
                                            .weight_max = 100,
                                            .scale = 500.0f,
                                            .clip_norm = 100.0f,
                                            .server_learning_rate = 1.0f,
                                            .commit_interval_ms = 20,
                                            .peer_timeout_ms = 200,
                                            .lead_grace_ms = 86400000};
}

static void open_plane(struct room *room)
{
    struct mr_upload_plane_config config = small_plane("recvmmsg", 1);
    struct mr_error error = {.text = ""};
    config.receive_buffer_bytes = 65536;
    if (mr_upload_plane_open(&room->shared.plane, room->shared.loop, &config, room->shared.kernels,
                             room->shared.log, &error) != 0) {
        fail_msg("%s", error.text);
    }
}

static void on_made(void *context, struct mr_made_model *made)
{
    struct room *room = context;
    assert_int_equal(made->holders, 1);
    room->made++;
}

static struct room *open_room(unsigned position, bool noised)
{
    const struct world_options options = {.ring_bits = 16,
                                          .dimension = 50,
                                          .hubs = 2,
                                          .cohort_min = 3,
                                          .quorum = 4,
                                          .deadline_ms = 600000,
                                          .noised = noised};
    struct room *room = calloc(1, sizeof *room);
    struct mr_error error;
    assert_non_null(room);
    room->world = world_open(&options);
    room->dir = scratch_open();
    configure(room, position);
    room_put(room, "initial.safetensors", room->world->model, room->world->model_bytes);
    room->log_fd = open(room_path(room, "log"), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    assert_true(room->log_fd >= 0);
    room->shared = (struct mr_round_context){
        .task = "default",
        .data_dir = room->dir,
        .hub_index = room->config.identity.index,
        .round = &room->policy,
        .accept = &room->accept,
        .endpoints = room->endpoints,
        .share_bytes_max = 4096,
        .hubs = room->world->hubs,
        .hubs_count = 2,
        .private_key = room->world->private_keys[position],
        .log = mr_log_open(MR_LOG_DEBUG, room->log_fd),
        .kernels = room->world->kernels,
        .fatal = on_fatal,
        .fatal_context = room,
        .made = on_made,
        .made_context = room,
    };
    assert_int_equal(mr_log_start(room->shared.log, NULL, NULL), 0);
    assert_int_equal(mr_loop_open(&room->shared.loop, &error), 0);
    open_store(room);
    open_ledger(room, true);
    if (position == 0) { /* the lead */
        open_plane(room);
    }
    return room;
}

struct room *room_open(unsigned position)
{
    return open_room(position, false);
}

struct room *room_open_noised(unsigned position)
{
    return open_room(position, true);
}

void room_close(struct room *room)
{
    close_ledger(room);
    mr_store_close(room->shared.store);
    mr_upload_plane_close(room->shared.plane);
    mr_loop_close(room->shared.loop);
    mr_log_close(room->shared.log);
    close(room->log_fd);
    scratch_close(room->dir);
    world_close(room->world);
    free(room);
}

void room_restart(struct room *room)
{
    close_ledger(room);
    mr_store_close(room->shared.store);
    open_store(room);
    open_ledger(room, false);
}

/* --- the loop -------------------------------------------------------------------------------- */

struct until {
    struct mr_loop *loop;
    struct mr_timer *timer;
    bool (*reached)(void *context);
    void *context;
    uint64_t give_up_ms;
    bool late;
};

static void look(void *context)
{
    struct until *until = context;
    const uint64_t now_ms = mr_loop_now_ms(until->loop);
    until->late = now_ms >= until->give_up_ms;
    if (until->late || until->reached(until->context)) {
        mr_loop_stop(until->loop);
    } else {
        mr_timer_arm(until->timer, now_ms + 2);
    }
}

void room_run_until(struct room *room, bool (*reached)(void *context), void *context)
{
    struct mr_loop *loop = room->shared.loop;
    struct until until = {.loop = loop,
                          .reached = reached,
                          .context = context,
                          .give_up_ms = mr_loop_now_ms(loop) + PATIENCE_MS};
    until.timer = mr_timer_open(loop, look, &until);
    mr_timer_arm(until.timer, mr_loop_now_ms(loop));
    mr_loop_run(loop);
    mr_timer_close(until.timer);
    assert_false(until.late);
}

static bool has_made(void *context)
{
    const struct room *room = context;
    return room->made > 0;
}

void room_run_until_made(struct room *room)
{
    room->made = 0;
    room_run_until(room, has_made, room);
}

static void stop_loop(void *context)
{
    mr_loop_stop(context);
}

void room_drain(struct room *room)
{
    mr_loop_post(room->shared.loop, stop_loop, room->shared.loop);
    mr_loop_run(room->shared.loop);
}

/* --- files ----------------------------------------------------------------------------------- */

/* All that was logged. Until the next call. */
static const char *log_text(const struct room *room)
{
    static char text[1 << 16];
    assert_true(mr_log_flush(room->shared.log, 10000));
    const ssize_t length = pread(room->log_fd, text, sizeof text - 1, 0);
    assert_true(length >= 0);
    text[length] = '\0';
    return text;
}

const char *room_log_at(const struct room *room, const char *words)
{
    return strstr(log_text(room), words);
}

bool room_logged(const struct room *room, const char *words)
{
    return room_log_at(room, words);
}

unsigned room_times_logged(const struct room *room, const char *words)
{
    unsigned times = 0;
    for (const char *at = log_text(room); (at = strstr(at, words)); at++) {
        times++;
    }
    return times;
}

char *room_path(const struct room *room, const char *name)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s", room->dir, name);
    return path;
}

void room_age(const struct room *room, const char *name)
{
    FILE *file = fopen(room_path(room, name), "r+b");
    if (file) {
        assert_int_equal(fseek(file, 7, SEEK_SET), 0);
        assert_int_equal(fputc('1', file), '1');
        fclose(file);
    }
}

void room_put(const struct room *room, const char *name, const void *bytes, size_t length)
{
    FILE *file = fopen(room_path(room, name), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    fclose(file);
}
