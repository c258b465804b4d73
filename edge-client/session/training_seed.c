#include "edge-client/session/training_seed.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "edge-client/files/files.h"
#include "edge-client/trainer/sgd.h"
#include "wire/training.h"

/* 0; 1: there is none that is whole; or -1. */
static int read_secret(const char *path, uint8_t secret[MR_TRAINING_SECRET_BYTES])
{
    uint8_t bytes[MR_TRAINING_SECRET_BYTES + 1];
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        return errno == ENOENT ? 1 : -1;
    }
    ssize_t got;
    do {
        got = read(fd, bytes, sizeof bytes);
    } while (got < 0 && errno == EINTR);
    const int why = errno;
    close(fd);
    errno = why;
    if (got == MR_TRAINING_SECRET_BYTES) {
        memcpy(secret, bytes, MR_TRAINING_SECRET_BYTES);
    }
    OPENSSL_cleanse(bytes, sizeof bytes);
    return got < 0 ? -1 : got != MR_TRAINING_SECRET_BYTES;
}

/* Durable before it is used: a crash must not change the seed within a round. */
static int make_secret(const struct mre_client *client, const char *path,
                       uint8_t secret[MR_TRAINING_SECRET_BYTES])
{
    char fresh[4096 + 8];
    if (client->env.random(client->env.context, secret, MR_TRAINING_SECRET_BYTES)) {
        return -1;
    }
    snprintf(fresh, sizeof fresh, "%s.new", path);
    const int fd = mr_file_create(fresh);
    int bad = fd < 0 || write(fd, secret, MR_TRAINING_SECRET_BYTES) != MR_TRAINING_SECRET_BYTES ||
              fsync(fd);
    if (fd >= 0) {
        bad |= close(fd);
    }
    return bad || rename(fresh, path) || mr_folder_sync(client->data_dir) ? -1 : 0;
}

int mr_training_seed(const struct mre_client *client, const struct mr_announcement *round,
                     uint64_t *seed, struct mr_error *error)
{
    uint8_t secret[MR_TRAINING_SECRET_BYTES];
    char path[4096];
    if (client->training_seed) {
        *seed = mr_sgd_seed(client->identity.client_id, round->round, client->training_seed);
        return 0;
    }
    const int n = snprintf(path, sizeof path, "%s/training-secret", client->data_dir);
    if (n < 0 || (size_t)n >= sizeof path) {
        return mr_error_set(error, "data_dir: the path is too long");
    }
    int result = read_secret(path, secret);
    if (result > 0) {
        result = make_secret(client, path, secret);
    }
    if (!result) {
        result = mr_training_seed_derive(seed, secret, round->task, round->round);
    }
    OPENSSL_cleanse(secret, sizeof secret);
    return result ? mr_error_set(error, "%s: %s; the trainer's seed comes from it", path,
                                 strerror(errno))
                  : 0;
}
