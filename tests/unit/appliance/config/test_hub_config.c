/* test_hub_config.c - the sample loads, and what is written in a good file arrives.
 *
 *   test_hub_config config/hub.yaml */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "appliance/config/config_text.h"
#include "appliance/config/fill.h"
#include "appliance/config/option_value.h"
#include "tests/unit/appliance/config/sample.h"

static void test_sample(void **state)
{
    const struct sample *sample = *state;
    struct mr_hub_config *c;
    struct mr_error error = {""};
    char path[128];
    if (mr_hub_config_load(&c, sample->path, &error) != 0) {
        fail_msg("%s", error.text);
    }
    assert_string_equal(c->data_dir, "/var/lib/millrace"); /* as the unit makes it */
    assert_string_equal(c->log_level, "info");
    assert_string_equal(c->cpu_mask, "all");
    snprintf(path, sizeof path, "%s/pki/hub-0.sign.key", sample->folder);
    assert_string_equal(c->identity.signing_key_file, path);
    assert_int_equal(c->identity.index, 0);
    assert_string_equal(c->control.listen_host, "0.0.0.0");
    assert_int_equal(c->control.port, 8443);
    assert_int_equal(c->control.threads, 1);
    assert_int_equal(c->control.connections_max, 4096);
    assert_int_equal(c->control.streams_max, 16);
    assert_int_equal(c->control.bodies_bytes_max, 256u << 20);
    assert_int_equal(c->control.handshake_timeout_ms, 5000);
    assert_int_equal(c->control.idle_timeout_ms, 60000);
    assert_int_equal(c->control.keep_ms, 600000);
    assert_int_equal(c->control.kept_max, 3072);
    assert_int_equal(c->control.sessions_bytes_max, 16777216);
    assert_string_equal(c->upload.source, "auto");
    assert_string_equal(c->upload.advertise_host, "192.0.2.10");
    assert_int_equal(c->upload.port_base, 9443);
    assert_int_equal(c->upload.workers, 1);
    assert_string_equal(c->upload.worker_cpus, "");
    assert_int_equal(c->upload.slots_per_worker, 256);
    assert_int_equal(c->upload.share_bytes_max, 4u << 20);
    assert_int_equal(c->upload.receive_buffer_bytes, 8u << 20);
    assert_int_equal(c->upload.window_max, 64);
    assert_int_equal(c->upload.window_total, 2048);
    assert_int_equal(c->upload.idle_timeout_ms, 10000);
    assert_int_equal(c->hubs_count, 2);
    assert_int_equal(c->hubs[1].index, 1);
    assert_string_equal(c->hubs[1].name, "south.example");
    assert_string_equal(c->hubs[1].host, "198.51.100.20");
    assert_int_equal(c->hubs[1].port, 8443);
    mr_hub_config_free(c);
}

static void test_sample_round(void **state)
{
    const struct sample *sample = *state;
    struct mr_hub_config *c;
    assert_int_equal(mr_hub_config_load(&c, sample->path, NULL), 0);
    const struct mr_config_round *round = &c->tasks[0].round;
    assert_int_equal(round->cohort_min, 20);
    assert_int_equal(round->cohort_max, 64); /* 0 in the file: what 16 bits hold of 127 levels */
    assert_int_equal(round->quorum, 30);
    assert_int_equal(round->deadline_ms, 60000);
    assert_int_equal(round->ring_bits, 16);
    assert_int_equal(round->rotation_log2, MR_ROTATION_AUTO);
    assert_int_equal(round->headroom, 4);
    assert_int_equal(round->chunk_bytes, 1408);
    assert_int_equal(round->weight_max, 1000);
    assert_true(round->scale == 0); /* auto */
    assert_true(round->clip_norm == 1.0f);
    assert_true(round->step_max == 0); /* auto */
    assert_true(round->server_learning_rate == 1.0f);
    assert_string_equal(round->training, "{\"epochs\": 5, \"batch\": 16, \"learning_rate\": 0.05}");
    assert_int_equal(round->commit_interval_ms, 300);
    assert_int_equal(round->peer_timeout_ms, 30000);
    assert_int_equal(round->lead_grace_ms, 86400000);
    assert_false(round->automatic);
    mr_hub_config_free(c);
}

/* Edits that leave a good file. */
static void test_accepts(void **state)
{
    static const struct {
        const char *from, *to;
    } edits[] = {
        {"  # cohort_max: 0", "  cohort_max: 258"},
        {"  # ring_bits: 16", "  ring_bits: 24\n      cohort_max: 66052"},
        {"  # ring_bits: 16", "  ring_bits: 8\n      cohort_max: 31"},
        {"  # ring_bits: 16", "  ring_bits: 12\n      levels: 7"},
        {"  # ring_bits: 16", "  ring_bits: auto\n      cohort_max: 30"},
        {"  # quorum: 30", "  quorum: 20"},
        {"  # automatic: false", "  automatic: true"},
        {"  # scale: auto", "  scale: 1.5e+3"},
        {"# cohort_min: any", "cohort_min: 20.."},
        {"# scale: any", "scale: rule"},
        {"# weight_max: any", "weight_max: 1..1000"},
        {"# clip_norm: any", "clip_norm: \"0.5..2\""},
        {"# noise_kind: any", "noise_kind: 0"},
        {"  # scale: auto", "  scale: auto"},
        {"  # rotation_log2: auto", "  rotation_log2: auto"},
        {"  # rotation_log2: auto", "  rotation_log2: 0"},
        {"  # headroom: 4", "  headroom: 64\n      cohort_min: 2\n      quorum: 4"},
        {"  # step_max: auto", "  step_max: 2.5"},
        {"  # step_max: auto", "  step_max: auto"},
        {"  initial_model_file: model.safetensors\n", ""},
        {"  # worker_cpus: \"\"", "  worker_cpus: \"0,1\"\n  workers: 2"},
        {"  advertise_host: 192.0.2.10", "  listen_host: 127.0.0.1"},
        {"  advertise_host: 192.0.2.10", "  listen_host: \"::1\""},
        {"# cpu_mask: all", "cpu_mask: -avx512"},
        {"pki/ca.pem", "\"pki/ca.pem\""},
    };
    const struct sample *sample = *state;
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        struct mr_hub_config *c;
        struct mr_error error = {""};
        sample_edit(sample, edits[i].from, edits[i].to);
        if (mr_hub_config_load(&c, sample->path, &error) != 0) {
            fail_msg("'%s': %s", edits[i].to, error.text);
        }
        mr_hub_config_free(c);
    }
}

/* What is written is what arrives, at either end of its range. */
static void test_values_arrive(void **state)
{
    const struct sample *sample = *state;
    struct mr_hub_config *c;
    sample_edit(
        sample, "  # weight_max: 1000",
        "  weight_max: 4294967295\n      cohort_min: 2\n      cohort_max: 0\n      quorum: 2\n"
        "      ring_bits: 32");
    /* The weights leave room for one device only. */
    assert_int_equal(mr_hub_config_load(&c, sample->path, NULL), -1);
    sample_edit(
        sample, "  # weight_max: 1000",
        "  weight_max: 2147483647\n      cohort_min: 2\n      cohort_max: 0\n      quorum: 2\n"
        "      ring_bits: 32\n      deadline_ms: 604800000\n      automatic: true\n"
        "      scale: 0.5");
    assert_int_equal(mr_hub_config_load(&c, sample->path, NULL), 0);
    const struct mr_config_round *round = &c->tasks[0].round;
    assert_int_equal(round->weight_max, 2147483647);
    assert_int_equal(round->cohort_max, 2);
    assert_int_equal(round->deadline_ms, 604800000);
    assert_true(round->automatic);
    assert_true(round->scale == 0.5f);
    mr_hub_config_free(c);
}

/* What is printed as being in force loads as the same configuration. */
static void test_effective(void **state)
{
    const struct sample *sample = *state;
    struct mr_hub_config *first, *second;
    struct mr_error error = {""};
    char *text;
    size_t length, count;
    sample_edit(sample, "  # worker_cpus: \"\"", "  worker_cpus: '2'");
    assert_int_equal(mr_hub_config_load(&first, sample->path, NULL), 0);
    FILE *out = open_memstream(&text, &length);
    mr_config_write_effective(out, first);
    fclose(out);
    sample_write(sample, "hub.yaml", text, 0644);
    free(text);
    if (mr_hub_config_load(&second, sample->path, &error) != 0) {
        fail_msg("%s", error.text);
    }
    const struct mr_option *rows = mr_options(&count);
    for (size_t i = 0; i < count; i++) {
        const unsigned entries = mr_config_entries(first, rows[i].section);
        assert_int_equal(mr_config_entries(second, rows[i].section), entries);
        for (unsigned entry = 0; entry < entries; entry++) {
            if (!mr_option_value_equal(&rows[i], mr_config_option_at(first, &rows[i], entry),
                                       mr_config_option_at(second, &rows[i], entry))) {
                fail_msg("%s.%s is another", rows[i].section, rows[i].name);
            }
        }
    }
    mr_hub_config_free(first);
    mr_hub_config_free(second);
}

/* Two tasks, of which this hub leads one and helps in the other; each has its own values. */
static void test_two_tasks(void **state)
{
    const struct sample *sample = *state;
    struct mr_hub_config *c;
    struct mr_error error = {""};
    sample_edit(sample, "  - name: default\n",
                "  - name: speech-2\n    hubs: [1, 0]\n    round:\n      quorum: 21\n"
                "      ring_bits: 32\n      training: ''\n  - name: default\n");
    if (mr_hub_config_load(&c, sample->path, &error) != 0) {
        fail_msg("%s", error.text);
    }
    assert_int_equal(c->tasks_count, 2);
    assert_string_equal(c->tasks[0].name, "speech-2");
    assert_int_equal(c->tasks[0].hubs_count, 2);
    assert_int_equal(c->tasks[0].hubs[0], 1);
    assert_int_equal(c->tasks[0].round.quorum, 21);
    assert_int_equal(c->tasks[0].round.cohort_min, 20);
    assert_int_equal(c->tasks[0].round.ring_bits, 32);
    assert_string_equal(c->tasks[0].initial_model_file, "");
    assert_false(mr_hub_config_leads(c, &c->tasks[0]));
    assert_ptr_equal(mr_hub_config_task(c, "default"), &c->tasks[1]);
    assert_true(mr_hub_config_leads(c, &c->tasks[1]));
    assert_int_equal(c->tasks[1].round.quorum, 30);
    assert_null(mr_hub_config_task(c, "speech"));
    assert_string_equal(mr_hub_config_address(c, 1)->name, "south.example");
    mr_hub_config_free(c);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: test_hub_config config/hub.yaml\n");
        return 2;
    }
    struct sample_fixture fixture = {.source = argv[1]};
    const struct CMUnitTest tests[] = {
        WITH_SAMPLE(test_sample),    WITH_SAMPLE(test_sample_round),
        WITH_SAMPLE(test_accepts),   WITH_SAMPLE(test_values_arrive),
        WITH_SAMPLE(test_effective), WITH_SAMPLE(test_two_tasks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
