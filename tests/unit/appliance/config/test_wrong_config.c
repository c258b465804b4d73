/* test_wrong_config.c - every kind of wrong file is told with its line.
 *
 *   test_wrong_config config/hub.yaml */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "appliance/config/hub_config.h"
#include "tests/unit/appliance/config/sample.h"

static void test_keys(void **state)
{
    static const struct sample_wrong wrong[] = {
        {"  # quorum: 30", "  quorom: 30", "quorom",
         "unknown key 'quorom' in section 'tasks.round'; did you mean 'quorum'?"},
        {"  # quorum: 30", "  volume: 11", "volume",
         "unknown key 'volume' in section 'tasks.round'; known:"},
        {"data_dir: /var/lib/millrace", "data_dri: data", "data_dri", "did you mean 'data_dir'?"},
        {"control:", "contrl:\n  port: 1\ncontrol:", "contrl", "did you mean 'control'?"},
        {"    name: south.example", "    nmae: south.example", "nmae",
         "in section 'hubs'; did you mean 'name'?"},
        {"  index: 0\n", "  index: 0\n  index: 0\n", "  index: 0\n  # Ed", "stands here again"},
        {"data_dir: /var/lib/millrace", "", NULL, "'data_dir' is missing"},
        {"  ca_file: pki/ca.pem", "", "identity:", "'ca_file' is missing in section 'identity'"},
        {"    port: 8443\n", "", "- index: 0", "'port' is missing in section 'hubs'"},
        {"hubs:\n", "hubs: 3\nx:\n", "hubs: 3", "must be a list"},
        {"  - index: 1", "  - 7\n  - index: 1", "- 7", "'key: value'"},
    };
    sample_expect_wrong(*state, wrong, sizeof wrong / sizeof *wrong);
}

static void test_types(void **state)
{
    static const struct sample_wrong wrong[] = {
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
        {"  # scale: auto", "  scale: .nan", "scale: .nan", "finite number above 0"},
        {"  # scale: auto", "  scale: 1e39", "scale: 1e39", "finite number above 0"},
        {"  # scale: auto", "  scale: 0", "scale: 0", "finite number above 0"},
        {"  # scale: auto", "  scale: Auto", "scale: Auto", "auto or a finite number above 0"},
        {"  # scale: auto", "  scale: 'auto'", "scale: 'auto'", "without quotes"},
        {"  # rotation_log2: auto", "  rotation_log2: 17", "rotation_log2: 17",
         "auto or a whole number from 0 to 16"},
        {"  # rotation_log2: auto", "  rotation_log2: 255", "rotation_log2: 255",
         "auto or a whole number from 0 to 16"},
        {"  # headroom: 4", "  headroom: 3", "headroom: 3", "from 4 to 64"},
        {"  # noise: none", "  noise: some", "noise: some", "none|hub|device"},
        {"  epsilon: 8", "  epsilon: 0", "epsilon: 0", "finite number above 0"},
        {"  delta: 1e-6", "  delta: 1", "delta: 1", "must be a chance below 1, not 1"},
        {"  # participation: 1", "  participation: 1.5", "participation: 1.5", "at most 1"},
        {"  # pool: \"\"", "  pool: Patients", "pool: Patients", "of a-z, 0-9 and hyphens"},
        {"  # step_max: auto", "  step_max: 0", "step_max: 0", "auto or a finite number above 0"},
        {"  # clip_norm: 1", "  clip_norm: auto", "clip_norm: auto", "finite number above 0"},
        {"  # clip_norm: 1", "  clip_norm: -1", "clip_norm: -1", "finite number above 0"},
        {"  # clip_norm: 1", "  clip_norm: 1e-40", "clip_norm: 1e-40", "(1.2e-38 to 3.4e38)"},
        {"  # weight_max: 1000", "  weight_max: 4000000000", "weight_max: 4",
         "room for 1 devices (their weights add up to less than 2^32), but cohort_min and quorum"},
        {"# log_level: info", "log_level: loud", "log_level", "one of error|warn|info|debug"},
        {"# cpu_mask: all", "cpu_mask: mmx", "cpu_mask", "not 'mmx'"},
        {"  # listen_host: 0.0.0.0", "  listen_host: localhost", "localhost", "numeric address"},
        {"training: '{\"epochs\"", "training: {\"a\": 1}\n      automatic: '{\"epochs\"",
         "training:", "put the text into quotes"},
        {"  # client_min: \"\"", "  client_min: '1.4'", "client_min: '1.4'",
         "must be a version of millrace-edge, such as \"1.4.0\""},
        {"  # client_min: \"\"", "  client_min: '1.256.0'", "client_min", "not '1.256.0'"},
        {"  # client_min: \"\"", "  client_min: '65536.0.0'", "client_min", "not '65536.0.0'"},
        {"  # client_min: \"\"", "  client_min: '1.4.0-rc1'", "client_min", "not '1.4.0-rc1'"},
        {"  # client_min: \"\"", "  client_min: '1..0'", "client_min", "not '1..0'"},
        {"identity:", "identity: 7\nx:", "identity: 7", "section identity must hold lines"},
    };
    sample_expect_wrong(*state, wrong, sizeof wrong / sizeof *wrong);
}

static void test_ranges(void **state)
{
    static const struct sample_wrong wrong[] = {
        {"  port: 8443", "  port: 65536", "port: 65536", "from 0 to 65535"},
        {"  # cohort_min: 20", "  cohort_min: 1", "cohort_min: 1", "from 2 to"},
        {"  # ring_bits: 16", "  ring_bits: 20", "ring_bits: 20",
         "must be one of 8, 10, 12, 16, 24 and 32, or auto"},
        {"  # ring_bits: 16", "  ring_bits: 7", "ring_bits: 7",
         "must be auto or a whole number from 8 to 32"},
        {"  # ring_bits: 16", "  ring_bits: 8", "ring_bits: 8",
         "holds 0 devices of 127 levels, and cohort_min and quorum ask for 30: devices times "
         "levels may be 31"},
        {"  # ring_bits: 16", "  ring_bits: 12", "ring_bits: 12", "holds 4 devices of 127 levels"},
        {"  # ring_bits: 16", "  ring_bits: 8\n      cohort_max: 32", "cohort_max: 32",
         "32 devices of levels 1 do not fit into a ring of 8 bits with headroom 4, which holds 31"},
        {"  # ring_bits: 16", "  ring_bits: 12\n      cohort_max: 40\n      levels: 15",
         "cohort_max: 40", "40 devices of levels 15 do not fit into a ring of 12 bits"},
        {"  # ring_bits: 16", "  ring_bits: auto", "ring_bits: auto", "set cohort_max"},
        {"  # ring_bits: 16", "  ring_bits: auto\n      cohort_max: 536870912",
         "cohort_max: 536870912", "16909320"},
        {"  # levels: auto", "  levels: 0", "levels: 0", "must be auto or a whole number from 1"},
        {"  # rounding_error: 0.05", "  rounding_error: 0", "rounding_error: 0", "above 0"},
        {"  # chunk_bytes: 1408", "  chunk_bytes: 1400", "chunk_bytes: 1400", "multiple of 64"},
        {"  # chunk_bytes: 1408", "  chunk_bytes: 8960", "chunk_bytes: 8960", "from 64 to 8896"},
        {"  # weight_max: 1000", "  weight_max: 4294967296", "weight_max: 4", "4294967295"},
        {"  # weight_max: 1000", "  weight_max: 99999999999999999999", "weight_max: 9",
         "4294967295"},
        {"name: south.example", "name: South", "name: South", "a-z, 0-9"},
        {"  # deadline_ms: 60000", "  deadline_ms: 5", "deadline_ms: 5", "from 100"},
    };
    sample_expect_wrong(*state, wrong, sizeof wrong / sizeof *wrong);
}

static void test_cross_checks(void **state)
{
    static const struct sample_wrong wrong[] = {
        {"  # lead_grace_ms: 86400000", "  lead_grace_ms: 119999", "lead_grace_ms: 119999",
         "at least four times peer_timeout_ms (120000)"},
        {"  # cohort_max: 0", "  cohort_max: 16384", "cohort_max: 16384",
         "do not fit into a ring of 16 bits with headroom 4, which holds 8191"},
        {"  # ring_bits: 16", "  ring_bits: 24\n      cohort_max: 2097152", "cohort_max: 2097152",
         "holds 2097151"},
        {"  # cohort_max: 0", "  cohort_max: 200\n      weight_max: 30000000", "cohort_max: 200",
         "overflow the sum of weights: at most 143 devices"},
        {"# clip_norm: any", "clip_norm: ..0.5", "clip_norm: ..",
         "clip_norm 1 is not accepted here: 0 to 0.5 is"},
        {"# clip_norm: any", "clip_norm: rule", "clip_norm: rule",
         "must be any, a number, or a range such as 2..10, 2.. or ..10, not 'rule'"},
        {"# scale: any", "scale: rules", "scale: rules", "must be any, rule, a number, or a range"},
        {"# training: any", "training: '{\"epochs\": \"..3\"}'", "training: '{\"epochs\": \"",
         "training: epochs 5 is not accepted here"},
        {"# training: any", "training: some", "training: some", "must be any, or a JSON object"},
        {"share_percent: 25", "share_percent: 101", "share_percent: 101", "from 0 to 100"},
        {"  # cohort_max: 0", "  cohort_max: 19", "round:", "20 is above the most devices"},
        {"  # quorum: 30", "  quorum: 19", "quorum: 19", "from cohort_min with colluders (20)"},
        {"  # colluders: 0", "  colluders: 11", "round:", "from cohort_min with colluders (31)"},
        {"  # colluders: 0", "  colluders: 50", "round:", "20 is above the most devices"},

        {"  # quorum: 30", "  quorum: 259", "quorum: 259", "(64), not 259"},
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
    sample_expect_wrong(*state, wrong, sizeof wrong / sizeof *wrong);
}

#define SOUTH                                                                                      \
    "  - index: 1\n    name: south.example\n    host: 198.51.100.20\n    port: 8443\n"             \
    "    public_key_file: pki/hub-1.sign.pub\n"
#define ANOTHER "  - index: 5\n    name: a\n    host: h\n    port: 1\n    public_key_file: x\n"

static void test_address_book(void **state)
{
    static const struct sample_wrong wrong[] = {
        {SOUTH, "", "hubs:\n", "must list 2 to 64 hubs, not 1"},
        {"hubs: [0, 1]", "hubs: [0, 7]", "hubs: [0, 7]",
         "tasks.hubs: 7 is not in the list of hubs: add it to 'hubs'"},
    };
    sample_expect_wrong(*state, wrong, sizeof wrong / sizeof *wrong);
}

static void test_tasks(void **state)
{
    static const struct sample_wrong wrong[] = {
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
    sample_expect_wrong(*state, wrong, sizeof wrong / sizeof *wrong);
}

/* A task's list of hubs and this hub's place in it. */
static void test_tasks_hubs(void **state)
{
    const struct sample *sample = *state;
    static const struct sample_wrong wrong[] = {
        {"hubs: [0, 1]", "hubs: [5, 1]", "hubs: [5, 1]", "this hub (0) is not among them"},
        {"hubs: [0, 1]", "hubs: [0, 5, 1]", "hubs: [0, 5, 1]", "1 after 5: helpers stand after"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct sample three = *sample;
        char *yaml;
        assert_true(asprintf(&yaml, "%s" ANOTHER, sample->yaml) > 0);
        three.yaml = yaml;
        sample_expect_wrong(&three, &wrong[i], 1);
        free(yaml);
    }
}

static void test_files(void **state)
{
    const struct sample *sample = *state;
    static const struct sample_wrong wrong[] = {
        {"pki/ca.pem", "pki/none.pem", "ca_file", "cannot read"},
        {"pki/ca.pem", "pki", "ca_file", "is not a file"},
        {"data_dir: /var/lib/millrace", "data_dir: none/data", "data_dir", "neither"},
        {"data_dir: /var/lib/millrace", "data_dir: hub.yaml", "data_dir", "is not a folder"},
        {"model.safetensors", "other.safetensors", "initial_model_file", "cannot read"},
        {"public_key_file: pki/hub-1.sign.pub", "public_key_file: pki/hub-0.sign.pub",
         "pki/hub-0.sign.pub\n  ", "is the key of hub 0 too"},
        {"public_key_file: pki/hub-0.sign.pub", "public_key_file: pki/hub-1.sign.pub",
         "pki/hub-1.sign.pub", "not the public half"},
        {"signing_key_file: pki/hub-0.sign.key", "signing_key_file: pki/hub-0.key", "signing_key",
         "64 hex digits"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct sample_wrong one = wrong[i];
        if (strstr(one.says, "key of hub 0")) {
            one.line_of = NULL; /* the same text stands twice */
        }
        sample_expect_wrong(sample, &one, 1);
    }
}

/* SHA-256 of the label and 32 bytes of 0x01, and of 0x02. */
#define PART_1 "a80949fa4cfc9f02fd806a2f35e6c204a137565786779c870044d5011db719aa"
#define PART_2 "95f992919fbc1aa8468860a2253754c02fb446156734c1b4c5df6cb0c94783a9"
#define MARKED(file, hashes)                                                                       \
    "    watermark:\n      key_file: " file "\n      part_hashes: " hashes "\n"

static void test_watermark(void **state)
{
    const struct sample *sample = *state;
    static const char ones[] = "0101010101010101010101010101010101010101010101010101010101010101\n";
    static const struct sample_wrong wrong[] = {
        {"    watermark:\n", "    watermark:\n      part_hashes: " PART_1 "\n", "part_hashes",
         "is for marked models: give this hub's part in key_file"},
        {"    watermark:\n", MARKED("pki/mark.key", PART_1), "part_hashes", "must be 2 hashes"},
        {"    watermark:\n", MARKED("pki/mark.key", PART_1 "," PART_2 "," PART_2), "part_hashes",
         "must be 2 hashes"},
        {"    watermark:\n", MARKED("pki/mark.key", PART_1 " " PART_2), "part_hashes",
         "must be 2 hashes"},
        {"    watermark:\n", MARKED("pki/mark.key", PART_1 ", " PART_1), "part_hashes",
         "two are the same"},
        {"    watermark:\n", MARKED("pki/mark.key", PART_2 ", " PART_1), "key_file: pki/mark",
         "is not the part whose hash part_hashes has for this hub, in place 1"},
        {"    watermark:\n", MARKED("model.safetensors", PART_1 ", " PART_2), "key_file: model",
         "others may read the secret"},
        {"      strength: 20\n", "      strength: 7\n", "strength: 7", "from 8 to 1000"},
    };
    sample_write(sample, "pki/mark.key", ones, 0600);
    sample_expect_wrong(sample, wrong, sizeof wrong / sizeof *wrong);
}

static void test_open_secret(void **state)
{
    const struct sample *sample = *state;
    static const struct sample_wrong wrong[] = {
        {"data_dir: /var/lib/millrace", "data_dir: /var/lib/millrace", "private_key_file",
         "(mode 640): chmod 600"},
    };
    sample_write(sample, "pki/hub-0.key", "x", 0640);
    sample_expect_wrong(sample, wrong, 1);
}

static void test_not_yaml(void **state)
{
    const struct sample *sample = *state;
    static const struct sample_wrong wrong[] = {
        {"data_dir: /var/lib/millrace", "data_dir: [data", NULL, "not YAML"},
        {"data_dir: /var/lib/millrace", "data_dir: &a info\nlog_level: *a", NULL,
         "anchors (&) and aliases (*) are not allowed"},
        {"data_dir: /var/lib/millrace", "<<: data", "<<", "unknown key '<<'"},
        {"data_dir: /var/lib/millrace", "[a]: data", "[a]", "a key must be a single word"},
        {"# A hub's", "---\na: 1\n---\n# A hub's", NULL, "a second document begins here"},
        {"hubs:\n", "---\nhubs:\n", NULL, "a second document begins here"},
        {"hubs:\n", "...\nhubs:\n", NULL, "not YAML"},
        {"data_dir: /var/lib/millrace", "data_dir: !!binary data", "data_dir: !!",
         "carries the tag"},
        {"  port: 8443", "  port: !!int 8443", "port: !!int", "leave it out"},
        {"  port: 8443", "\tport: 8443", NULL, "not YAML"},
    };
    sample_expect_wrong(sample, wrong, sizeof wrong / sizeof *wrong);
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
        fprintf(stderr, "usage: test_wrong_config config/hub.yaml\n");
        return 2;
    }
    struct sample_fixture fixture = {.source = argv[1]};
    const struct CMUnitTest tests[] = {
        WITH_SAMPLE(test_keys),         WITH_SAMPLE(test_types),
        WITH_SAMPLE(test_ranges),       WITH_SAMPLE(test_cross_checks),
        WITH_SAMPLE(test_address_book), WITH_SAMPLE(test_tasks),
        WITH_SAMPLE(test_tasks_hubs),   WITH_SAMPLE(test_files),
        WITH_SAMPLE(test_open_secret),  WITH_SAMPLE(test_not_yaml),
        WITH_SAMPLE(test_watermark),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
