#include "edge-client/session/delta_pull.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "edge-client/files/files.h"
#include "edge-client/session/outcome.h"
#include "wire/delta.h"
#include "wire/release_trust.h"

/* Below the 16 MiB that a pull may take beside both models' files, with what applying takes. */
#define WRITTEN_AT_ONCE_MAX ((size_t)8 << 20)
#define PATH_BYTES          (40 + MR_TASK_NAME_MAX + 4 * MR_HASH_BYTES)

/* --- files ----------------------------------------------------------------------------------- */

uint8_t *mr_file_map_new(const char *path, size_t bytes, bool keep)
{
    void *mapped = MAP_FAILED;
    int fd = keep ? mr_fd_above_standard(open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW)) : -1;
    if (fd < 0) {
        const int made =
            mr_file_create(path); /* for writing only, which a mapping cannot do with */
        if (made >= 0) {
            close(made);
            fd = mr_fd_above_standard(open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW));
        }
    }
    if (fd >= 0 && ftruncate(fd, (off_t)bytes) == 0) {
        const int why = posix_fallocate(fd, 0, (off_t)bytes);
        errno = why;
        mapped = why ? MAP_FAILED : mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    }
    const int why = errno;
    if (fd >= 0) {
        close(fd);
    }
    errno = why;
    return mapped == MAP_FAILED ? NULL : mapped;
}

int mr_file_map_end(uint8_t *bytes, size_t length)
{
    const int bad = msync(bytes, length, MS_SYNC);
    const int why = errno;
    munmap(bytes, length);
    errno = why;
    return bad;
}

const uint8_t *mr_file_map(const char *path, size_t *length)
{
    struct stat about;
    void *bytes = MAP_FAILED;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && fstat(fd, &about) == 0 && about.st_size > 0) {
        *length = (size_t)about.st_size;
        bytes = mmap(NULL, *length, PROT_READ, MAP_PRIVATE, fd, 0);
    }
    if (fd >= 0) {
        close(fd);
    }
    return bytes == MAP_FAILED ? NULL : bytes;
}

/* --- applying -------------------------------------------------------------------------------- */

static enum mre_result fault(struct mre_outcome *outcome, const char *code, const char *text)
{
    snprintf(outcome->code, sizeof outcome->code, "%s", code);
    return mr_outcome_set(outcome, MRE_REFUSED, "the delta: %s", text);
}

/* Bytes behind the address that take_target gives. */
static size_t room_of(size_t bytes)
{
    return bytes > WRITTEN_AT_ONCE_MAX ? bytes : mr_delta_room(bytes);
}

/* The buffer of the pull before, or a larger one. NULL with errno. */
static uint8_t *take_kept(struct mr_pull_memory *memory, size_t bytes)
{
    if (memory->target_bytes < bytes) {
        mr_pages_give(memory->target, memory->target_bytes);
        errno = ENOMEM;
        memory->target = mr_pages_take(bytes);
        memory->target_bytes = memory->target ? bytes : 0;
    }
    return memory->target;
}

/* Room for the target. A small one is written in one go: touching 4 MiB of a mapped file page by
 * page costs more CPU than to decode, apply and hash what is in it. A large one is a mapping of the
 * file, so that its pages need not be memory as well. NULL with errno. */
static uint8_t *take_target(struct mre_client *client, const struct mr_delta_pull *pull,
                            size_t bytes)
{
    return bytes > WRITTEN_AT_ONCE_MAX ? mr_file_map_new(pull->target_file, bytes, false)
                                       : take_kept(&client->pull_memory, room_of(bytes));
}

/* The file is whole and synced where `keep`. 0, or -1 with errno. */
static int give_target(uint8_t *target, const struct mr_delta_pull *pull, size_t bytes, bool keep)
{
    if (bytes > WRITTEN_AT_ONCE_MAX) {
        return mr_file_map_end(target, bytes) || (keep && mr_name_sync(pull->target_file)) ? -1 : 0;
    }
    bool made = false;
    const int fd = keep ? mr_file_create_over(pull->target_file, bytes, &made) : -1;
    const int bad = keep && (fd < 0 || mr_fd_write_all(fd, target, bytes) || fdatasync(fd) ||
                             (made && mr_name_sync(pull->target_file)));
    const int why = errno;
    if (fd >= 0) {
        close(fd); /* what it could say, the sync has said */
    }
    mr_pages_rest(target, room_of(bytes));
    errno = why;
    return bad ? -1 : 0;
}

static int read_base(void *context, void *into, size_t from, size_t bytes)
{
    const int *fd = context;
    return pread(*fd, into, bytes, (off_t)from) == (ssize_t)bytes ? 0 : -1;
}

static enum mre_result apply(struct mre_client *client, const struct mr_delta_pull *pull,
                             struct mr_delta_job *job, size_t target_bytes,
                             struct mre_outcome *outcome)
{
    struct mr_error error;
    job->kernels = client->kernels;
    job->target = take_target(client, pull, target_bytes);
    job->target_room = room_of(target_bytes);
    if (!job->target) {
        return mr_outcome_set(outcome, MRE_FAILED, "%s cannot be made: %s%s", pull->target_file,
                              strerror(errno), mr_error_disk_hint(errno));
    }
    enum mre_result result = MRE_OK;
    if (mr_delta_apply(job, &error) != 0) {
        result = fault(outcome, "malformed", error.text);
    } else if (!mr_release_file_holds(pull->release, job->target, target_bytes, client->kernels)) {
        result = fault(outcome, "wrong_target", "it does not make the model that was asked for");
    }
    outcome->verified_ms = mr_client_pull_ms(client);
    if (give_target(job->target, pull, target_bytes, !result) && !result) {
        result = mr_outcome_set(outcome, MRE_FAILED, "%s cannot be written: %s%s",
                                pull->target_file, strerror(errno), mr_error_disk_hint(errno));
    }
    return result;
}

/* What is not for these two models, or for too large a one, is not even begun. */
static enum mre_result check(const struct mr_delta_pull *pull,
                             const struct mr_h2_response *response, struct mr_delta_head *head,
                             struct mre_outcome *outcome)
{
    struct mr_error error;
    if (mr_delta_head_read(head, response->body, response->length, &error) != 0) {
        return fault(outcome, "malformed", error.text);
    }
    if (memcmp(head->base_hash, pull->base_hash, MR_HASH_BYTES) != 0) {
        return fault(outcome, "wrong_base", "it is for another model than the one here");
    }
    if (memcmp(head->target_hash, pull->release->target_hash, MR_HASH_BYTES) != 0) {
        return fault(outcome, "wrong_target", "it leads to another model");
    }
    return head->target_bytes != pull->release->target_bytes
               ? fault(outcome, "too_large", "it leads to a model of another size")
               : MRE_OK;
}

static enum mre_result take(struct mre_client *client, const struct mr_delta_pull *pull,
                            const struct mr_h2_response *response, struct mre_outcome *outcome)
{
    struct mr_delta_head head;
    enum mre_result result = check(pull, response, &head, outcome);
    if (result) {
        return result;
    }
    struct mr_delta_job job = {.delta = response->body, .delta_bytes = response->length};
    int fd = open(pull->base_file, O_RDONLY | O_CLOEXEC);
    job.base = mr_file_map(pull->base_file, &job.base_bytes);
    job.base_read = read_base;
    job.base_context = &fd;
    if (fd >= 0 && job.base) {
        result = apply(client, pull, &job, (size_t)head.target_bytes, outcome);
    } else {
        result = fault(outcome, "wrong_base", "the model that it is for cannot be read");
    }
    if (job.base) {
        munmap((void *)(uintptr_t)job.base, job.base_bytes);
    }
    if (fd >= 0) {
        close(fd);
    }
    return result;
}

/* The delta's buffer is kept where the target's is: a large one goes back. */
static void keep_body(struct mre_client *client, const struct mr_delta_pull *pull,
                      struct mr_h2_response *response)
{
    if (pull->release->target_bytes <= WRITTEN_AT_ONCE_MAX) {
        free(client->pull_memory.delta.bytes); /* where who asked for us did not take it */
        client->pull_memory.delta = (struct mr_h2_room){response->body, response->room};
        mr_pages_rest(response->body, response->room);
        response->body = NULL;
    }
    mr_h2_response_fini(response);
}

enum mre_result mr_delta_pull(struct mre_client *client, unsigned position,
                              const struct mr_delta_pull *pull, uint64_t *bytes,
                              struct mre_outcome *outcome)
{
    char path[PATH_BYTES], base[2 * MR_HASH_BYTES + 1], target[2 * MR_HASH_BYTES + 1];
    struct mr_h2_response response = {0};
    const uint64_t most = pull->release->target_bytes;
    const struct mr_question question = {.method = "GET",
                                         .path = path,
                                         .until_unix_ms = pull->until_unix_ms,
                                         .answer_max = most < SIZE_MAX ? (size_t)most : SIZE_MAX,
                                         .room = &client->pull_memory.delta};
    mr_hex_encode(base, pull->base_hash, MR_HASH_BYTES);
    mr_hex_encode(target, pull->release->target_hash, MR_HASH_BYTES);
    snprintf(path, sizeof path, "/v1/tasks/%s/deltas/%s/%s", client->task, base, target);
    enum mre_result result = mr_control_ask(client, position, &question, &response, outcome);
    if (!result) {
        *bytes += response.length;
        outcome->fetched_ms = mr_client_pull_ms(client);
        result = take(client, pull, &response, outcome);
        keep_body(client, pull, &response);
    }
    return result;
}
