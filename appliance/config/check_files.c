#include "appliance/config/hub_check.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "appliance/config/device_tags.h"
#include "appliance/config/fill.h"
#include "appliance/config/hub_check_internal.h"
#include "appliance/config/signing_key.h"

struct file_check {
    struct mr_document *document;
    struct mr_error *error;
    const char *section;
    unsigned entry;
    const char *name;
    const char *path;
};

static int complain(const struct file_check *check)
{
    return mr_document_blame(check->document, check->section, check->entry, check->name,
                             check->error);
}

/* --- one file ------------------------------------------------------------------------------- */

static int check_readable(const struct file_check *check, bool secret)
{
    struct stat status = {0};
    const int fd = open(check->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    const int failed = fd < 0 || fstat(fd, &status) != 0 ? errno : 0;
    if (fd >= 0) {
        close(fd);
    }
    if (failed != 0) {
        mr_error_set(check->error, "cannot read %s: %s", check->path, strerror(failed));
        return complain(check);
    }
    if (!S_ISREG(status.st_mode)) {
        mr_error_set(check->error, "%s is not a file", check->path);
        return complain(check);
    }
    if (secret && (status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        mr_error_set(check->error,
                     "others may read the secret in %s (mode %03o): chmod 600, and replace the key "
                     "if others were on this machine",
                     check->path, status.st_mode & 0777);
        return complain(check);
    }
    return 0;
}

/* The folder itself, or the one it will be made in. */
static int check_folder(const struct file_check *check)
{
    struct stat status;
    if (stat(check->path, &status) == 0) {
        if (S_ISDIR(status.st_mode)) {
            return 0;
        }
        mr_error_set(check->error, "%s is not a folder", check->path);
        return complain(check);
    }
    char *parent = strdup(check->path);
    char *slash = parent ? strrchr(parent, '/') : NULL;
    if (slash) {
        slash[slash == parent ? 1 : 0] = '\0';
    }
    const bool there = slash && stat(parent, &status) == 0 && S_ISDIR(status.st_mode);
    free(parent);
    if (!there) {
        mr_error_set(check->error, "neither %s nor the folder above it is there: make it",
                     check->path);
        return complain(check);
    }
    return 0;
}

static int check_option(const struct mr_option *option, const struct file_check *check)
{
    if (*check->path == '\0') {
        return 0;
    }
    switch (option->kind) {
    case MR_OPTION_FILE:
        return check_readable(check, false);
    case MR_OPTION_SECRET:
        return check_readable(check, true);
    case MR_OPTION_FOLDER:
        return check_folder(check);
    default:
        return 0;
    }
}

/* --- keys ----------------------------------------------------------------------------------- */

static int read_key(const struct file_check *check, uint8_t key[MR_SIGNING_KEY_BYTES])
{
    return mr_signing_key_read(key, check->path, check->error) == 0 ? 0 : complain(check);
}

static int check_keys(const struct mr_hub_config *config, struct mr_document *document,
                      struct mr_error *error)
{
    uint8_t own[MR_SIGNING_KEY_BYTES], seed[MR_SIGNING_KEY_BYTES],
        keys[MR_ADDRESSES_MAX][MR_SIGNING_KEY_BYTES];
    struct file_check check = {
        document, error, "identity", 0, "signing_key_file", config->identity.signing_key_file};
    int bad = read_key(&check, seed);
    if (bad == 0 && mr_signing_key_public(own, seed) != 0) {
        bad = mr_error_set(error, "OpenSSL has no Ed25519");
    }
    OPENSSL_cleanse(seed, sizeof seed);
    for (unsigned i = 0; bad == 0 && i < config->hubs_count; i++) {
        const struct mr_config_hub *hub = &config->hubs[i];
        check = (struct file_check){
            document, error, "hubs", i, "public_key_file", hub->public_key_file};
        bad = read_key(&check, keys[i]);
        for (unsigned j = 0; bad == 0 && j < i; j++) {
            if (memcmp(keys[i], keys[j], MR_SIGNING_KEY_BYTES) == 0) {
                mr_error_set(error, "is the key of hub %u too: every hub has its own",
                             config->hubs[j].index);
                bad = complain(&check);
            }
        }
        if (bad == 0 && hub->index == config->identity.index &&
            memcmp(keys[i], own, MR_SIGNING_KEY_BYTES) != 0) {
            mr_error_set(error, "is not the public half of identity.signing_key_file");
            bad = complain(&check);
        }
    }
    return bad;
}

/* --- tags of devices ------------------------------------------------------------------------ */

static int check_tags(const struct mr_hub_config *config, struct mr_document *document,
                      struct mr_error *error)
{
    for (unsigned i = 0; i < config->tasks_count; i++) {
        const struct mr_config_releases *releases = &config->tasks[i].releases;
        const struct file_check check = {document, error,       "tasks.releases",
                                         i,        "tags_file", releases->tags_file};
        struct mr_config_rollout rollout;
        struct mr_device_tags tags;
        if (*releases->tags_file == '\0' ||
            mr_config_rollout(&rollout, releases->rollout, error) != 0) {
            continue;
        }
        if (mr_device_tags_read(&tags, releases->tags_file, &rollout, error) != 0) {
            return complain(&check);
        }
        mr_device_tags_fini(&tags);
    }
    return 0;
}

/* --- all files ------------------------------------------------------------------------------ */

int mr_config_check_files(struct mr_hub_config *config, struct mr_document *document,
                          struct mr_error *error)
{
    size_t count;
    const struct mr_option *rows = mr_options(&count);
    for (size_t i = 0; i < count; i++) {
        if (!mr_option_is_path(&rows[i])) {
            continue;
        }
        const unsigned entries = mr_config_entries(config, rows[i].section);
        for (unsigned entry = 0; entry < entries; entry++) {
            const struct file_check check = {
                document, error,        rows[i].section,
                entry,    rows[i].name, *(char **)mr_config_option_at(config, &rows[i], entry)};
            if (check_option(&rows[i], &check) != 0) {
                return -1;
            }
        }
    }
    const struct mr_place place = {document, error};
    for (unsigned i = 0; i < config->tasks_count; i++) {
        if (mr_config_check_mark_part(config, i, &place) != 0) {
            return -1;
        }
    }
    return check_keys(config, document, error) != 0 ? -1 : check_tags(config, document, error);
}
