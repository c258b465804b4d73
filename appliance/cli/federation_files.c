#include "appliance/cli/federation_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "appliance/cli/pki.h"
#include "base/json_text.h"

#define PATH_BYTES 4096

/* --- files ---------------------------------------------------------------------------------- */

/* Opens a new file of the folder for writing; NULL with an error. */
static FILE *create(const struct mr_federation *plan, const char *name, struct mr_error *error)
{
    char path[PATH_BYTES];
    if (snprintf(path, sizeof path, "%s/%s", plan->dir, name) >= (int)sizeof path) {
        mr_error_set(error, "%s: the path is too long", plan->dir);
        return NULL;
    }
    if (plan->force && unlink(path) != 0 && errno != ENOENT) {
        mr_error_set(error, "cannot replace %s: %s", path, strerror(errno));
        return NULL;
    }
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
    if (!file) {
        mr_error_set(error, "cannot write %s: %s%s", path, strerror(errno),
                     errno == EEXIST ? " (--force overwrites)" : "");
    }
    return file;
}

static int finish(FILE *file, const char *name, struct mr_error *error)
{
    const int failed = ferror(file);
    if (fclose(file) != 0 || failed) {
        return mr_error_set(error, "cannot write %s: %s", name, strerror(errno));
    }
    return 0;
}

/* Writes JSON into a new file; takes over the value (NULL: out of memory). */
static int write_json(const struct mr_federation *plan, const char *name, json_t *value,
                      struct mr_error *error)
{
    FILE *file = value ? create(plan, name, error) : NULL;
    int bad = -1;
    if (file) {
        json_dumpf(value, file, JSON_INDENT(2));
        fputc('\n', file);
        bad = finish(file, name, error);
    } else if (!value) {
        mr_error_set(error, "out of memory");
    }
    json_decref(value);
    return bad;
}

/* --- hubs ----------------------------------------------------------------------------------- */

/* A YAML scalar in single quotes, so that any path is one. */
static void put_quoted(FILE *file, const char *text)
{
    fputc('\'', file);
    for (; *text != '\0'; text++) {
        fputs(*text == '\'' ? "''" : (char[]){*text, '\0'}, file);
    }
    fputc('\'', file);
}

/* A share of 32-bit lanes is no larger than the model file, but for its padding (a 32nd, or 127
 * lanes; twice that is left) and its trailer. */
static unsigned long long share_bytes_max(const char *model)
{
    struct stat status;
    const unsigned long long bytes =
        stat(model, &status) == 0 ? (unsigned long long)status.st_size : 0;
    return (bytes + bytes / 16 + 65536) / 65536 * 65536 + 65536;
}

static int write_hub(const struct mr_federation *plan, unsigned hub, const char *model,
                     struct mr_error *error)
{
    char name[32];
    snprintf(name, sizeof name, "hub-%u.yaml", hub);
    FILE *file = create(plan, name, error);
    if (!file) {
        return -1;
    }
    const unsigned port = plan->base_port + hub;
    const unsigned cohort_min = plan->devices < 20 ? plan->devices : 20;
    fprintf(
        file,
        "# Hub %u of a federation on one machine. What a key is: `millrace config explain KEY`.\n"
        "data_dir: data-%u\n"
        "identity:\n"
        "  index: %u\n"
        "  signing_key_file: pki/hub-%u.sign.key\n"
        "  ca_file: pki/ca.pem\n"
        "  certificate_file: pki/hub-%u.pem\n"
        "  private_key_file: pki/hub-%u.key\n"
        "control:\n"
        "  listen_host: 127.0.0.1\n"
        "  port: %u\n"
        "upload:\n"
        "  listen_host: 127.0.0.1\n"
        "  port_base: %u\n"
        "  slots_per_worker: %u\n"
        "  share_bytes_max: %llu\n"
        "tasks:\n"
        "  - name: default\n"
        "    hubs: [",
        hub, hub, hub, hub, hub, hub, port, port + MR_FEDERATION_UDP_OFFSET, plan->devices + 2,
        share_bytes_max(model));
    for (unsigned i = 0; i < plan->hubs; i++) {
        fprintf(file, i == 0 ? "%u" : ", %u", i);
    }
    fputs("]\n    initial_model_file: ", file);
    put_quoted(file, model);
    fprintf(file,
            "\n    round:\n"
            "      cohort_min: %u\n"
            "      quorum: %u\n"
            "hubs:\n",
            cohort_min, plan->devices < 30 ? plan->devices : 30);
    for (unsigned i = 0; i < plan->hubs; i++) {
        fprintf(file,
                "  - index: %u\n    name: hub-%u\n    host: 127.0.0.1\n    port: %u\n"
                "    public_key_file: pki/hub-%u.sign.pub\n",
                i, i, plan->base_port + i, i);
    }
    return finish(file, name, error);
}

/* --- devices and operator ------------------------------------------------------------------- */

/* The hub's public key as hex, from the file that pki init wrote. */
static int read_public_key(const struct mr_federation *plan, unsigned hub, char key[65],
                           struct mr_error *error)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/pki/hub-%u.sign.pub", plan->dir, hub);
    FILE *file = fopen(path, "re");
    const size_t length = file ? fread(key, 1, 64, file) : 0;
    if (file) {
        fclose(file);
    }
    key[length] = '\0';
    return length == 64 ? 0 : mr_error_set(error, "cannot read %s", path);
}

/* Every hub as JSON; `keys` adds what a device pins. NULL with an error. */
static json_t *hub_list(const struct mr_federation *plan, bool keys, struct mr_error *error)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < plan->hubs; i++) {
        char name[16], key[65];
        snprintf(name, sizeof name, "hub-%u", i);
        json_t *hub =
            json_pack("{s:i, s:o, s:o, s:i}", "index", (int)i, "name", mr_json_text(name), "host",
                      json_string("127.0.0.1"), "port", (int)(plan->base_port + i));
        if (keys) {
            if (read_public_key(plan, i, key, error) != 0) {
                json_decref(hub);
                json_decref(list);
                return NULL;
            }
            json_object_set_new(hub, "public_key", mr_json_text(key));
        }
        json_array_append_new(list, hub);
    }
    return list;
}

/* A device's data_dir, which has to be there before it starts. One that is there stays: it knows in
 * which rounds the device was counted. */
static int make_data_dir(const struct mr_federation *plan, const char *name, struct mr_error *error)
{
    char path[PATH_BYTES];
    struct stat status;
    if (snprintf(path, sizeof path, "%s/%s", plan->dir, name) >= (int)sizeof path) {
        return mr_error_set(error, "%s: the path is too long", plan->dir);
    }
    if (mkdir(path, 0700) == 0) {
        return 0;
    }
    const int why = errno;
    if (why == EEXIST && lstat(path, &status) == 0 && S_ISDIR(status.st_mode)) {
        return 0;
    }
    return mr_error_set(error, "cannot make the folder %s: %s%s", path, strerror(why),
                        why == EEXIST ? " and is no folder; remove it" : "");
}

static int write_device(const struct mr_federation *plan, unsigned device, struct mr_error *error)
{
    char stem[MR_PKI_STEM_MAX], name[64], data[64], certificate[64], key[64];
    mr_pki_device_stem(stem, device, plan->devices);
    snprintf(name, sizeof name, "%s.json", stem);
    snprintf(data, sizeof data, "data-%s", stem);
    json_t *hubs = make_data_dir(plan, data, error) == 0 ? hub_list(plan, true, error) : NULL;
    if (!hubs) {
        return -1;
    }
    snprintf(certificate, sizeof certificate, "pki/%s.pem", stem);
    snprintf(key, sizeof key, "pki/%s.key", stem);
    return write_json(plan, name,
                      json_pack("{s:o, s:{s:o, s:o, s:o}, s:o, s:o}", "task",
                                json_string("default"), "device", "ca", json_string("pki/ca.pem"),
                                "certificate", mr_json_text(certificate), "key", mr_json_text(key),
                                "hubs", hubs, "data_dir", mr_json_text(data)),
                      error);
}

static int write_operator(const struct mr_federation *plan, struct mr_error *error)
{
    return write_json(plan, "operator.json",
                      json_pack("{s:o, s:o, s:o, s:o}", "ca", json_string("pki/ca.pem"),
                                "certificate", json_string("pki/operator.pem"), "key",
                                json_string("pki/operator.key"), "hubs",
                                hub_list(plan, false, error)),
                      error);
}

/* --- all ------------------------------------------------------------------------------------ */

static int make_identities(const struct mr_federation *plan, struct mr_error *error)
{
    static const char *const hosts[] = {"localhost", "127.0.0.1"};
    char dir[PATH_BYTES];
    if (snprintf(dir, sizeof dir, "%s/pki", plan->dir) >= (int)sizeof dir) {
        return mr_error_set(error, "%s: the path is too long", plan->dir);
    }
    const struct mr_pki_plan pki = {
        .dir = dir,
        .hubs = plan->hubs,
        .devices = plan->devices,
        .operators = 1,
        .host_names = hosts,
        .host_name_count = sizeof hosts / sizeof *hosts,
        .force = plan->force,
    };
    return mr_pki_init(&pki, error);
}

int mr_federation_write(const struct mr_federation *plan, struct mr_error *error)
{
    char *model = realpath(plan->model, NULL);
    if (!model) {
        return mr_error_set(error, "cannot read %s: %s", plan->model, strerror(errno));
    }
    int bad = 0;
    if (mkdir(plan->dir, 0755) != 0 && errno != EEXIST) {
        bad = mr_error_set(error, "cannot make %s: %s", plan->dir, strerror(errno));
    }
    if (bad == 0) {
        bad = make_identities(plan, error);
    }
    for (unsigned i = 0; bad == 0 && i < plan->hubs; i++) {
        bad = write_hub(plan, i, model, error);
    }
    for (unsigned i = 0; bad == 0 && i < plan->devices; i++) {
        bad = write_device(plan, i, error);
    }
    free(model);
    return bad == 0 ? write_operator(plan, error) : -1;
}
