/* test_hub_config.c - the sample loads, and every kind of wrong file is told with its line.
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

struct fixture {
    struct sample sample; /* first: the tests see only this */
    const char *source;
};

static int set_up(void **state)
{
    struct fixture *fixture = *state;
    sample_init(&fixture->sample, fixture->source);
    return 0;
}

static int tear_down(void **state)
{
    sample_fini(&((struct fixture *)*state)->sample);
    return 0;
}

/* --- good files ----------------------------------------------------------------------------- */

static void test_sample(void **state)
{
    const struct sample *sample = *state;
    struct mr_hub_config *c;
    struct mr_error error = {""};
    char path[128];
    if (mr_hub_config_load(&c, sample->path, &error) != 0) {
        fail_msg("%s", error.text);
    }
    snprintf(path, sizeof path, "%s/data", sample->folder);
    assert_string_equal(c->data_dir, path);
    assert_string_equal(c->log_level, "info");
    assert_string_equal(c->cpu_mask, "all");
    snprintf(path, sizeof path, "%s/pki/hub-0.sign.key", sample->folder);
    assert_string_equal(c->identity.signing_key_file, path);
    assert_int_equal(c->identity.index, 0);
    assert_string_equal(c->control.listen_host, "0.0.0.0");
    assert_int_equal(c->control.port, 8443);
    assert_int_equal(c->control.connections_max, 4096);
    assert_int_equal(c->control.streams_max, 16);
    assert_int_equal(c->control.bodies_bytes_max, 256u << 20);
    assert_int_equal(c->control.handshake_timeout_ms, 5000);
    assert_int_equal(c->control.idle_timeout_ms, 60000);
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
    assert_int_equal(round->cohort_max, 258); /* 0 in the file: what 16 bits hold */
    assert_int_equal(round->quorum, 30);
    assert_int_equal(round->deadline_ms, 60000);
    assert_int_equal(round->ring_bits, 16);
    assert_int_equal(round->rotation_log2, 0);
    assert_int_equal(round->chunk_bytes, 1408);
    assert_int_equal(round->weight_max, 1000);
    assert_true(round->scale == 1000.0f);
    assert_true(round->clip_norm == 1.0f);
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
        {"  # quorum: 30", "  quorum: 20"},
        {"  # automatic: false", "  automatic: true"},
        {"  # scale: 1000", "  scale: 1.5e+3"},
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

/* --- wrong files ---------------------------------------------------------------------------- */

/* Line numbers are those of config/hub.yaml: found at run time as the line that holds `line_of`. */
struct wrong {
    const char *from, *to;
    const char *line_of; /* text in the edited file whose line must be named; NULL: any */
    const char *says;
};

static unsigned line_with(const struct sample *sample, const struct wrong *wrong)
{
    char text[65536];
    FILE *f = fopen(sample->path, "re");
    assert_non_null(f);
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    fclose(f);
    const char *found = strstr(text, wrong->line_of);
    assert_non_null(found);
    unsigned line = 1;
    for (const char *at = text; at < found; at++) {
        line += *at == '\n';
    }
    return line;
}

static void expect_wrong(const struct sample *sample, const struct wrong *wrong, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct mr_hub_config *c;
        struct mr_error error = {""};
        sample_edit(sample, wrong[i].from, wrong[i].to);
        if (mr_hub_config_load(&c, sample->path, &error) == 0) {
            fail_msg("'%s' was accepted", wrong[i].to);
        }
        assert_null(c);
        char place[128];
        snprintf(place, sizeof place, "%s:", sample->path);
        if (wrong[i].line_of) {
            snprintf(place, sizeof place, "%s:%u: ", sample->path, line_with(sample, &wrong[i]));
        }
        if (strncmp(error.text, place, strlen(place)) != 0 || !strstr(error.text, wrong[i].says)) {
            fail_msg("'%s'\n  says    %s\n  wanted  %s… %s", wrong[i].to, error.text, place,
                     wrong[i].says);
        }
    }
}

static void test_keys(void **state)
{
    static const struct wrong wrong[] = {
        {"  # quorum: 30", "  quorom: 30", "quorom",
         "unknown key 'quorom' in section 'tasks.round'; did you mean 'quorum'?"},
        {"  # quorum: 30", "  volume: 11", "volume",
         "unknown key 'volume' in section 'tasks.round'; known:"},
        {"data_dir: data", "data_dri: data", "data_dri", "did you mean 'data_dir'?"},
        {"control:", "contrl:\n  port: 1\ncontrol:", "contrl", "did you mean 'control'?"},
        {"    name: south.example", "    nmae: south.example", "nmae",
         "in section 'hubs'; did you mean 'name'?"},
        {"  index: 0\n", "  index: 0\n  index: 0\n", "  index: 0\n  # Ed", "stands here again"},
        {"data_dir: data", "", NULL, "'data_dir' is missing"},
        {"  ca_file: pki/ca.pem", "", "identity:", "'ca_file' is missing in section 'identity'"},
        {"    port: 8443\n", "", "- index: 0", "'port' is missing in section 'hubs'"},
        {"hubs:\n", "hubs: 3\nx:\n", "hubs: 3", "must be a list"},
        {"  - index: 1", "  - 7\n  - index: 1", "- 7", "'key: value'"},
    };
    expect_wrong(*state, wrong, sizeof wrong / sizeof *wrong);
}

static void test_types(void **state)
{
    static const struct wrong wrong[] = {
        {"  # quorum: 30", "  quorum: many", "quorum: many",
         "round.quorum: must be a whole number from 2 to 16909320, not 'many'"},
        {"  # quorum: 30", "  quorum: 30.5", "quorum: 30.5", "whole number"},
        {"  # quorum: 30", "  quorum: 0x20", "quorum: 0x20", "whole number"},
        {"  # quorum: 30", "  quorum: 030", "quorum: 030", "whole number"},
        {"  # quorum: 30", "  quorum: -30", "quorum: -30", "whole number"},
        {"  # quorum: 30", "  quorum:", "quorum:", "whole number"},
        {"  # quorum: 30", "  quorum: '30'", "quorum: '30'", "without quotes"},
        {"  # quorum: 30", "  quorum: [30]", "quorum: [30]", "a single value, not a list"},
        {"  # automatic: false", "  automatic: yes", "automatic: yes", "true or false"},
        {"  # scale: 1000", "  scale: .nan", "scale: .nan", "finite number above 0"},
        {"  # scale: 1000", "  scale: 1e39", "scale: 1e39", "finite number above 0"},
        {"  # scale: 1000", "  scale: 0", "scale: 0", "finite number above 0"},
        {"  # clip_norm: 1", "  clip_norm: -1", "clip_norm: -1", "finite number above 0"},
        {"# log_level: info", "log_level: loud", "log_level", "one of error|warn|info|debug"},
        {"# cpu_mask: all", "cpu_mask: mmx", "cpu_mask", "not 'mmx'"},
        {"  # listen_host: 0.0.0.0", "  listen_host: localhost", "localhost", "numeric address"},
        {"training: '{\"epochs\"", "training: {\"a\": 1}\n      automatic: '{\"epochs\"",
         "training:", "put the text into quotes"},
        {"identity:", "identity: 7\nx:", "identity: 7", "section identity must hold lines"},
    };
    expect_wrong(*state, wrong, sizeof wrong / sizeof *wrong);
}

static void test_ranges(void **state)
{
    static const struct wrong wrong[] = {
        {"  port: 8443", "  port: 65536", "port: 65536", "from 0 to 65535"},
        {"  # cohort_min: 20", "  cohort_min: 1", "cohort_min: 1", "from 2 to"},
        {"  # ring_bits: 16", "  ring_bits: 20", "ring_bits: 20", "must be 16, 24 or 32"},
        {"  # ring_bits: 16", "  ring_bits: 8", "ring_bits: 8", "from 16 to 32"},
        {"  # chunk_bytes: 1408", "  chunk_bytes: 1400", "chunk_bytes: 1400", "multiple of 64"},
        {"  # chunk_bytes: 1408", "  chunk_bytes: 8960", "chunk_bytes: 8960", "from 64 to 8896"},
        {"  # weight_max: 1000", "  weight_max: 4294967296", "weight_max: 4", "4294967295"},
        {"  # weight_max: 1000", "  weight_max: 99999999999999999999", "weight_max: 9",
         "4294967295"},
        {"name: south.example", "name: South", "name: South", "a-z, 0-9"},
        {"  # deadline_ms: 60000", "  deadline_ms: 5", "deadline_ms: 5", "from 100"},
    };
    expect_wrong(*state, wrong, sizeof wrong / sizeof *wrong);
}

static void test_cross_checks(void **state)
{
    static const struct wrong wrong[] = {
        {"  # lead_grace_ms: 86400000", "  lead_grace_ms: 119999", "lead_grace_ms: 119999",
         "at least four times peer_timeout_ms (120000)"},
        {"  # cohort_max: 0", "  cohort_max: 259", "cohort_max: 259",
         "do not fit into a ring of 16 bits, which holds 258"},
        {"  # ring_bits: 16", "  ring_bits: 24\n      cohort_max: 66053", "cohort_max: 66053",
         "holds 66052"},
        {"  # cohort_max: 0", "  cohort_max: 200\n      weight_max: 30000000", "cohort_max: 200",
         "overflow the sum of weights: at most 143 devices"},
        {"  # cohort_max: 0", "  cohort_max: 19", "round:", "20 is above the most devices"},
        {"  # quorum: 30", "  quorum: 19", "quorum: 19", "from cohort_min (20)"},
        {"  # quorum: 30", "  quorum: 259", "quorum: 259", "(258), not 259"},
        {"  index: 0\n", "  index: 7\n", "  index: 7", "is not in the list of hubs"},
        {"  - index: 1\n", "  - index: 0\n", "- index: 0\n    name: south",
         "is taken by the entry"},
        {"  # worker_cpus: \"\"", "  worker_cpus: \"2,3\"", "worker_cpus: \"2", "each of the 1"},
        {"  # worker_cpus: \"\"", "  worker_cpus: \"2,\"", "worker_cpus: \"2", "one CPU for each"},
        {"  port_base: 9443", "  port_base: 65535\n  workers: 2", "port_base: 6", "at most 65534"},
        {"  # window_max: 64", "  window_max: 4096", "upload:", "at least window_max (4096)"},
        {"  advertise_host: 192.0.2.10", "", "upload:", "address at which devices reach"},
        {"  # bodies_bytes_max: 268435456", "  bodies_bytes_max: 65536", "bodies_bytes_max: 6",
         "at least one upload"},
        {"'{\"epochs\": 5,", "'{\"epochs\": 5,,", "training:", "must be a JSON object"},
        {"'{\"epochs\": 5, \"batch\": 16, \"learning_rate\": 0.05}'", "'[1]'",
         "training:", "another kind of JSON"},
        {"'{\"epochs\": 5,", "'{\"\u00e9\": 5,", "training:", "printable ASCII"},
    };
    expect_wrong(*state, wrong, sizeof wrong / sizeof *wrong);
}

#define SOUTH                                                                                      \
    "  - index: 1\n    name: south.example\n    host: 198.51.100.20\n    port: 8443\n"             \
    "    public_key_file: pki/hub-1.sign.pub\n"
#define ANOTHER "  - index: 5\n    name: a\n    host: h\n    port: 1\n    public_key_file: x\n"

static void test_address_book(void **state)
{
    static const struct wrong wrong[] = {
        {SOUTH, "", "hubs:\n", "must list 2 to 64 hubs, not 1"},
        {"hubs: [0, 1]", "hubs: [0, 7]", "hubs: [0, 7]",
         "tasks.hubs: 7 is not in the list of hubs: add it to 'hubs'"},
    };
    expect_wrong(*state, wrong, sizeof wrong / sizeof *wrong);
}

static void test_tasks(void **state)
{
    static const struct wrong wrong[] = {
        {"tasks:\n", "tasks: 3\nx:\n", "tasks: 3",
         "must be a list: each entry begins with '- name:'"},
        {"  - name: default\n", "  - hubs: [0, 1]\n  - name: default\n", "- hubs: [0",
         "'name' is missing in section 'tasks'"},
        {"    hubs: [0, 1]\n", "", "- name: default", "'hubs' is missing in section 'tasks'"},
        {"  - name: default\n", "  - name: default\n    hubs: [0, 1]\n  - name: default\n",
         "- name: default\n    #", "'default' is taken by the entry in line"},
        {"name: default", "name: Digits", "name: Digits", "must be 1 to 32 of a-z"},
        {"name: default", "name: -digits", "name: -digits", "the first no hyphen"},
        {"hubs: [0, 1]", "hubs: 0", "hubs: 0", "tasks.hubs must list 2 to 5 hubs, such as [0, 1]"},
        {"hubs: [0, 1]", "hubs: [0]", "hubs: [0]", "must list 2 to 5 hubs"},
        {"hubs: [0, 1]", "hubs: [0, 1, 2, 3, 4, 5]", "hubs: [0", "must list 2 to 5 hubs"},
        {"hubs: [0, 1]", "hubs: [0, x]", "hubs: [0, x]", "a whole number from 0 to 65535, not 'x'"},
        {"hubs: [0, 1]", "hubs: [0, '1']", "hubs: [0, '1']", "without quotes"},
        {"hubs: [0, 1]", "hubs: [0, [1]]", "hubs: [0, [1]]", "a single value, not a list"},
        {"hubs: [0, 1]", "hubs: [1, 1]", "hubs: [1, 1]", "1 stands in it twice"},
        {"hubs: [0, 1]", "quorum: 3\n    hubs: [0, 1]", "quorum: 3",
         "unknown key 'quorum' in section 'tasks'"},
        {"    round:\n", "    rounds:\n", "rounds:", "did you mean 'round'?"},
        {"    round:\n", "    round: 3\n    x:\n", "round: 3",
         "section tasks.round must hold lines"},
        {"\ntasks:\n", "\nround:\n  quorum: 3\ntasks:\n", "round:", "unknown key 'round'"},
    };
    expect_wrong(*state, wrong, sizeof wrong / sizeof *wrong);
}

/* A task's list of hubs and this hub's place in it. */
static void test_tasks_hubs(void **state)
{
    const struct sample *sample = *state;
    static const struct wrong wrong[] = {
        {"hubs: [0, 1]", "hubs: [5, 1]", "hubs: [5, 1]", "this hub (0) is not among them"},
        {"hubs: [0, 1]", "hubs: [0, 5, 1]", "hubs: [0, 5, 1]", "1 after 5: helpers stand after"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct sample three = *sample;
        char *yaml;
        assert_true(asprintf(&yaml, "%s" ANOTHER, sample->yaml) > 0);
        three.yaml = yaml;
        expect_wrong(&three, &wrong[i], 1);
        free(yaml);
    }
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

static void test_files(void **state)
{
    const struct sample *sample = *state;
    static const struct wrong wrong[] = {
        {"pki/ca.pem", "pki/none.pem", "ca_file", "cannot read"},
        {"pki/ca.pem", "pki", "ca_file", "is not a file"},
        {"data_dir: data", "data_dir: none/data", "data_dir", "neither"},
        {"data_dir: data", "data_dir: hub.yaml", "data_dir", "is not a folder"},
        {"model.safetensors", "other.safetensors", "initial_model_file", "cannot read"},
        {"public_key_file: pki/hub-1.sign.pub", "public_key_file: pki/hub-0.sign.pub",
         "pki/hub-0.sign.pub\n  ", "is the key of hub 0 too"},
        {"public_key_file: pki/hub-0.sign.pub", "public_key_file: pki/hub-1.sign.pub",
         "pki/hub-1.sign.pub", "not the public half"},
        {"signing_key_file: pki/hub-0.sign.key", "signing_key_file: pki/hub-0.key", "signing_key",
         "64 hex digits"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct wrong one = wrong[i];
        if (strstr(one.says, "key of hub 0")) {
            one.line_of = NULL; /* the same text stands twice */
        }
        expect_wrong(sample, &one, 1);
    }
}

static void test_open_secret(void **state)
{
    const struct sample *sample = *state;
    static const struct wrong wrong[] = {
        {"data_dir: data", "data_dir: data", "private_key_file", "(mode 640): chmod 600"},
    };
    sample_write(sample, "pki/hub-0.key", "x", 0640);
    expect_wrong(sample, wrong, 1);
}

static void test_not_yaml(void **state)
{
    const struct sample *sample = *state;
    static const struct wrong wrong[] = {
        {"data_dir: data", "data_dir: [data", NULL, "not YAML"},
        {"data_dir: data", "data_dir: &a info\nlog_level: *a", NULL,
         "anchors (&) and aliases (*) are not allowed"},
        {"data_dir: data", "<<: data", "<<", "unknown key '<<'"},
        {"data_dir: data", "[a]: data", "[a]", "a key must be a single word"},
        {"# A hub's", "---\na: 1\n---\n# A hub's", "a: 1", "unknown key 'a'"},
    };
    expect_wrong(sample, wrong, sizeof wrong / sizeof *wrong);
    struct mr_hub_config *c;
    struct mr_error error = {""};
    sample_write(sample, "hub.yaml", "# nothing\n", 0644);
    assert_int_equal(mr_hub_config_load(&c, sample->path, &error), -1);
    assert_non_null(strstr(error.text, "the file is empty"));
    assert_int_equal(mr_hub_config_load(&c, "/nonexistent/hub.yaml", &error), -1);
    assert_non_null(strstr(error.text, "cannot read /nonexistent/hub.yaml: No such file"));
    assert_null(c);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: test_hub_config config/hub.yaml\n");
        return 2;
    }
    struct fixture fixture = {.source = argv[1]};
#define WITH_SAMPLE(f) cmocka_unit_test_prestate_setup_teardown(f, set_up, tear_down, &fixture)
    const struct CMUnitTest tests[] = {
        WITH_SAMPLE(test_sample),       WITH_SAMPLE(test_sample_round),
        WITH_SAMPLE(test_accepts),      WITH_SAMPLE(test_values_arrive),
        WITH_SAMPLE(test_effective),    WITH_SAMPLE(test_keys),
        WITH_SAMPLE(test_types),        WITH_SAMPLE(test_ranges),
        WITH_SAMPLE(test_cross_checks), WITH_SAMPLE(test_address_book),
        WITH_SAMPLE(test_tasks),        WITH_SAMPLE(test_tasks_hubs),
        WITH_SAMPLE(test_two_tasks),    WITH_SAMPLE(test_files),
        WITH_SAMPLE(test_open_secret),  WITH_SAMPLE(test_not_yaml),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
