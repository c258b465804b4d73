/* test_hub_plane.c - the upload plane as a hub's configuration asks for it. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on
#include <string.h>

#include "appliance/hub/hub.h"
#include "kernels/kernels.h"

static char any[] = "127.0.0.1", nothing[] = "", source[] = "recvmmsg";

struct scene {
    struct mr_hub_config config;
    struct mr_hub hub;
};

static void scene_open(struct scene *scene)
{
    struct mr_error error;
    memset(scene, 0, sizeof *scene);
    scene->config.upload = (struct mr_config_upload){.source = source,
                                                     .listen_host = any,
                                                     .advertise_host = any,
                                                     .workers = 2,
                                                     .worker_cpus = nothing,
                                                     .slots_per_worker = 4,
                                                     .share_bytes_max = 4096,
                                                     .receive_buffer_bytes = 65536,
                                                     .window_max = 64,
                                                     .window_total = 1024,
                                                     .idle_timeout_ms = 60000,
                                                     .dpdk_device = nothing,
                                                     .dpdk_addresses = nothing,
                                                     .dpdk_exception = nothing,
                                                     .dpdk_eal = nothing};
    scene->hub.config = &scene->config;
    scene->hub.kernels = mr_kernels_select(~0u);
    assert_int_equal(mr_loop_open(&scene->hub.loop, &error), 0);
}

static void scene_close(struct scene *scene)
{
    mr_upload_plane_close(scene->hub.api.plane);
    scene->hub.api.plane = NULL;
    mr_loop_close(scene->hub.loop);
}

/* More workers than named CPUs, or as many: pinned or not, they run. */
static void test_pinned_workers(void **state)
{
    static char one[] = "0", two[] = "0,0";
    char *const lists[] = {one, two};
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct scene scene;
        struct mr_error error = {.text = ""};
        scene_open(&scene);
        scene.config.upload.worker_cpus = lists[i];
        assert_int_equal(mr_hub_open_plane(&scene.hub, 1, &error), 0);
        scene_close(&scene);
    }
}

static void test_what_it_cannot_start_with(void **state)
{
    static char nowhere[] = "192.0.2.1";
    struct scene scene;
    struct mr_error error = {.text = ""};
    (void)state;
    scene_open(&scene);
    scene.config.upload.listen_host = nowhere; /* no address of this machine */
    assert_int_equal(mr_hub_open_plane(&scene.hub, 1, &error), -1);
    assert_non_null(strstr(error.text, "192.0.2.1"));
    assert_null(scene.hub.api.plane);
    scene_close(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pinned_workers),
        cmocka_unit_test(test_what_it_cannot_start_with),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
