/* audit_command.c - audit verify and audit recompute: transcripts of hubs, checked against each
 * other, and hubs' parts of rounds, checked against them. Reads the files that it is given and the
 * public keys, asks nobody. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "appliance/cli/cli.h"
#include "appliance/config/hub_config.h"
#include "appliance/config/signing_key.h"
#include "appliance/privacy/audit.h"
#include "appliance/privacy/part.h"
#include "base/bytes.h"
#include "base/json_text.h"
#include "kernels/kernels.h"

/* --- keys ------------------------------------------------------------------------------------ */

struct keys {
    struct mr_audit_key list[MR_ADDRESSES_MAX];
    unsigned count;
};

/* "hubs": [{"index": 0, "public_key": hex}, …], as a device's file has it. 1: it is no JSON. */
static int keys_of_json(struct keys *keys, const char *path, struct mr_error *error)
{
    size_t i;
    json_t *hub, *root = json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
    const json_t *hubs = json_object_get(root, "hubs");
    int result = root ? 0 : 1;
    json_array_foreach(hubs, i, hub) {
        const json_t *index = json_object_get(hub, "index");
        const char *key = json_string_value(json_object_get(hub, "public_key"));
        struct mr_audit_key *one = &keys->list[keys->count];
        if (result != 0 || keys->count == MR_ADDRESSES_MAX || !json_is_integer(index) || !key ||
            mr_hex_decode(one->public_key, MR_PUBLIC_KEY_BYTES, key) != 0) {
            result = mr_error_set(error, "%s: hubs: index and public_key are needed of each", path);
            break;
        }
        one->hub = (uint16_t)json_integer_value(index);
        keys->count++;
    }
    json_decref(root);
    return result;
}

static int keys_of_yaml(struct keys *keys, const char *path, struct mr_error *error)
{
    struct mr_hub_config *config;
    int result = mr_hub_config_read(&config, path, error);
    if (result != 0) {
        return -1;
    }
    for (unsigned i = 0; result == 0 && i < config->hubs_count; i++) {
        keys->list[i].hub = config->hubs[i].index;
        result =
            mr_signing_key_read(keys->list[i].public_key, config->hubs[i].public_key_file, error);
    }
    keys->count = config->hubs_count;
    mr_hub_config_free(config);
    return result;
}

static int read_keys(struct keys *keys, const char *path, struct mr_error *error)
{
    const int got = keys_of_json(keys, path, error);
    if (got > 0 && keys_of_yaml(keys, path, error) != 0) {
        return -1;
    }
    return got < 0           ? -1
           : keys->count > 0 ? 0
                             : mr_error_set(error, "%s names no hub's public key", path);
}

/* --- files ----------------------------------------------------------------------------------- */

static int map(struct mr_audit_file *file, const char *path, struct mr_error *error)
{
    struct stat about = {.st_size = 0};
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int problem = fd < 0 || fstat(fd, &about) != 0 ? errno : 0;
    if (problem == 0 && !S_ISREG(about.st_mode)) {
        problem = EINVAL;
    }
    file->name = path;
    if (problem == 0 && about.st_size > 0) {
        void *bytes = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        problem = bytes == MAP_FAILED ? errno : 0;
        file->bytes = problem == 0 ? bytes : NULL;
        file->length = problem == 0 ? (size_t)about.st_size : 0;
    }
    if (fd >= 0) {
        close(fd);
    }
    return problem == 0 ? 0 : mr_error_set(error, "cannot read %s: %s", path, strerror(problem));
}

static void unmap(struct mr_audit_file *files, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (files[i].bytes) {
            munmap((void *)files[i].bytes, files[i].length);
        }
    }
    free(files);
}

/* --- what it says ---------------------------------------------------------------------------- */

static json_t *result_json(const struct mr_audit_result *result)
{
    json_t *object = json_pack(
        "{s:b, s:i, s:i, s:I, s:I, s:I, s:i, s:i, s:I}", "good", result->good, "hubs",
        (int)result->hubs, "tasks", (int)result->tasks, "records", (json_int_t)result->records,
        "rounds", (json_int_t)result->rounds, "released", (json_int_t)result->released, "torn",
        (int)result->torn, "parts", (int)result->parts, "debits", (json_int_t)result->debits);
    if (!result->good) {
        json_object_set_new(object, "what", mr_json_text(result->what));
        json_object_set_new(object, "file", mr_json_text(result->file ? result->file : ""));
        json_object_set_new(object, "hub", json_integer(result->hub));
        json_object_set_new(object, "task", mr_json_text(result->task));
        json_object_set_new(object, "record", json_integer((json_int_t)result->sequence));
        json_object_set_new(object, "round", json_integer((json_int_t)result->round));
    }
    return object;
}

/* "FILE, record 17 (task digits, round 3, signed by hub 1): what". */
static int say_wrong(const struct mr_cli *cli, const struct mr_audit_result *result)
{
    char who[160] = "signed by nobody who is known", where[80] = "";
    if (result->hub >= 0) {
        snprintf(who, sizeof who, "task %s%s%.0llu, signed by hub %d", result->task,
                 result->round ? ", round " : "", (unsigned long long)result->round, result->hub);
    }
    if (result->sequence) {
        snprintf(where, sizeof where, ", record %llu", (unsigned long long)result->sequence);
    }
    return mr_cli_fail(cli, MR_EXIT_INVALID, "%s%s (%s): %s",
                       result->file ? result->file : "the transcripts", where, who, result->what);
}

static int tell(struct mr_cli *cli, const struct mr_audit_result *result)
{
    if (!result->good && !cli->json) {
        return say_wrong(cli, result);
    }
    json_t *object = result_json(result);
    mr_cli_print(cli, object);
    json_decref(object);
    return result->good ? MR_EXIT_OK : MR_EXIT_INVALID;
}

/* What the arguments name. */
struct given {
    struct mr_audit_file *files; /* transcripts */
    struct mr_part *parts;
    unsigned files_count, parts_count;
};

/* A part is read once, and not kept; a transcript stays mapped. */
static int take_file(struct given *given, const char *path, bool parts_too, struct mr_error *error)
{
    struct mr_audit_file *file = &given->files[given->files_count];
    uint32_t levels;
    if (map(file, path, error) != 0) {
        return -1;
    }
    if (!parts_too || !mr_part_is(file->bytes, file->length)) {
        given->files_count++;
        return 0;
    }
    munmap((void *)(uintptr_t)file->bytes, file->length);
    *file = (struct mr_audit_file){.name = NULL};
    if (mr_cpu_mask_parse("all", &levels) != 0) {
        return mr_error_set(error, "no instruction level is known here");
    }
    return mr_part_recompute(&given->parts[given->parts_count++], path, mr_kernels_select(levels),
                             error);
}

static int take_files(struct given *given, const struct mr_cli *cli, bool parts_too,
                      struct mr_error *error)
{
    const unsigned count = 1 + cli->more_count;
    given->files = calloc(count, sizeof *given->files);
    given->parts = calloc(count, sizeof *given->parts);
    int failed = 0;
    if (!given->files || !given->parts) {
        return mr_error_set(error, "out of memory");
    }
    for (unsigned i = 0; failed == 0 && i < count; i++) {
        failed = take_file(given, i == 0 ? cli->argument : cli->more[i - 1], parts_too, error);
    }
    if (failed == 0 && parts_too && (given->parts_count == 0 || given->files_count == 0)) {
        failed = mr_error_set(error, "at least one exported part and one transcript are needed");
    }
    return failed;
}

static int audit(struct mr_cli *cli, bool parts_too)
{
    struct keys keys = {.count = 0};
    struct given given = {.files = NULL};
    struct mr_audit_result result;
    struct mr_error error = {.text = ""};
    if (!cli->values[MR_CLI_KEYS]) {
        return mr_cli_fail(cli, MR_EXIT_USAGE,
                           "--keys is needed: a hub.yaml or a device.json, for the hubs' public "
                           "keys");
    }
    if (read_keys(&keys, cli->values[MR_CLI_KEYS], &error) != 0) {
        return mr_cli_fail(cli, MR_EXIT_INVALID, "%s", error.text);
    }
    int failed = take_files(&given, cli, parts_too, &error);
    if (failed == 0) {
        const struct mr_audit_input input = {.files = given.files,
                                             .files_count = given.files_count,
                                             .keys = keys.list,
                                             .keys_count = keys.count,
                                             .parts = given.parts,
                                             .parts_count = given.parts_count};
        failed = mr_audit_parts(&result, &input, &error);
    }
    const int code =
        failed == 0 ? tell(cli, &result) : mr_cli_fail(cli, MR_EXIT_FAILED, "%s", error.text);
    if (given.files) {
        unmap(given.files, given.files_count);
    }
    free(given.parts);
    return code;
}

int mr_command_audit_verify(struct mr_cli *cli)
{
    return audit(cli, false);
}

int mr_command_audit_recompute(struct mr_cli *cli)
{
    return audit(cli, true);
}
