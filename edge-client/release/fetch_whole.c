/* fetch_whole.c - a model in pieces, each compared with the release before it is kept: what a fetch
 * before this one has left is taken where it holds. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "edge-client/release/fetch.h"
#include "edge-client/session/control.h"
#include "edge-client/session/delta_pull.h"
#include "edge-client/session/outcome.h"

#define PATH_BYTES   224
#define PIECE_BLOCKS 4 /* asked for at once */
#define PIECE_TRIES  6 /* of a piece, over all hubs */

static uint64_t now_ms(const struct mre_client *client)
{
    return client->env.unix_ms(client->env.context);
}

struct whole {
    struct mre_client *client;
    const struct mr_release *release;
    uint8_t *bytes; /* the file */
    uint64_t came;
    unsigned position;
};

static size_t block_bytes(const struct mr_release *release, uint32_t i)
{
    const uint64_t at = (uint64_t)i << release->block_log2;
    const uint64_t left = release->target_bytes - at;
    return (size_t)(left < (1ull << release->block_log2) ? left : 1ull << release->block_log2);
}

static bool is_here(const struct whole *whole, uint32_t i)
{
    const uint8_t *at = whole->bytes + ((uint64_t)i << whole->release->block_log2);
    return mr_release_block_holds(whole->release, i, at, block_bytes(whole->release, i));
}

/* Blocks that hold are taken; what does not hold is the hub's fault. */
static enum mre_result take_piece(const struct whole *whole, uint32_t first, uint32_t count,
                                  const struct mr_h2_response *response,
                                  struct mre_outcome *outcome)
{
    size_t at = 0;
    for (uint32_t i = first; i < first + count; i++) {
        const size_t bytes = block_bytes(whole->release, i);
        if (response->length - at < bytes ||
            !mr_release_block_holds(whole->release, i, response->body + at, bytes)) {
            snprintf(outcome->code, sizeof outcome->code, "wrong_target");
            return mr_outcome_set(outcome, MRE_RELEASE_REFUSED,
                                  "hub %u: block %u of the model is not what the release says",
                                  whole->client->pinned[whole->position].index, i);
        }
        memcpy(whole->bytes + ((uint64_t)i << whole->release->block_log2), response->body + at,
               bytes);
        at += bytes;
    }
    return MRE_OK;
}

static enum mre_result ask_piece(struct whole *whole, uint32_t first, uint32_t count,
                                 struct mre_outcome *outcome)
{
    char path[PATH_BYTES], hash[2 * MR_HASH_BYTES + 1];
    struct mr_h2_response response = {0};
    struct mre_client *client = whole->client;
    struct mr_question question = {.method = "GET",
                                   .path = path,
                                   .range_first = (uint64_t)first << whole->release->block_log2,
                                   .until_unix_ms = now_ms(client) + MR_RELEASE_MODEL_MS};
    for (uint32_t i = first; i < first + count; i++) {
        question.range_bytes += block_bytes(whole->release, i);
    }
    question.answer_max = question.range_bytes;
    mr_hex_encode(hash, whole->release->target_hash, MR_HASH_BYTES);
    snprintf(path, sizeof path, "/v1/tasks/%s/models/%s", client->task, hash);
    enum mre_result result = mr_control_ask(client, whole->position, &question, &response, outcome);
    if (!result) {
        whole->came += response.length;
        result = take_piece(whole, first, count, &response, outcome);
        mr_h2_response_fini(&response);
    }
    return result;
}

static enum mre_result fetch_piece(struct whole *whole, uint32_t first, uint32_t count,
                                   struct mre_outcome *outcome)
{
    enum mre_result result = MRE_UNREACHABLE;
    for (unsigned tries = 0; tries < PIECE_TRIES; tries++) {
        result = ask_piece(whole, first, count, outcome);
        if (result == MRE_OK || result == MRE_FAILED) {
            break;
        }
        whole->position = (whole->position + 1) % whole->client->hub_count;
        if (tries + 1 >= whole->client->hub_count) {
            mr_client_pause(whole->client, outcome->retry_after_ms ? outcome->retry_after_ms
                                                                   : MR_CONTROL_AGAIN_MS);
        }
    }
    return result;
}

/* What a fetch before this one has left is taken where it holds. */
static enum mre_result fetch_blocks(struct whole *whole, struct mre_outcome *outcome)
{
    const uint32_t blocks = whole->release->block_count;
    for (uint32_t first = 0; first < blocks;) {
        uint32_t count = 0;
        while (first + count < blocks && count < PIECE_BLOCKS && !is_here(whole, first + count)) {
            count++;
        }
        if (count > 0) {
            const enum mre_result result = fetch_piece(whole, first, count, outcome);
            if (result) {
                return result;
            }
        }
        first += count ? count : 1;
    }
    return MRE_OK;
}

static enum mre_result check_whole(const struct whole *whole, struct mre_outcome *outcome)
{
    uint8_t hash[MR_HASH_BYTES];
    if (EVP_Digest(whole->bytes, (size_t)whole->release->target_bytes, hash, NULL, EVP_sha256(),
                   NULL) == 1 &&
        memcmp(hash, whole->release->target_hash, sizeof hash) == 0) {
        return MRE_OK;
    }
    snprintf(outcome->code, sizeof outcome->code, "wrong_target");
    return mr_outcome_set(outcome, MRE_RELEASE_REFUSED,
                          "the release contradicts itself: its blocks make another model");
}

/* Pages that were touched one by one stay the file's for as long as it is written over, each for
 * itself: three times the work. What is read again comes in large pieces. */
static void read_anew(const char *path)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        close(fd);
    }
}

enum mre_result mr_release_whole(struct mre_client *client, const struct mr_release *release,
                                 const struct mr_slots *slots, uint64_t *bytes,
                                 struct mre_outcome *outcome)
{
    char part[MR_SLOTS_PATH_BYTES];
    struct whole whole = {.client = client, .release = release};
    const size_t length = (size_t)release->target_bytes;
    whole.position = client->identity.client_id[0] % client->hub_count;
    mr_slots_path(part, slots, MR_SLOT_PART);
    whole.bytes = mr_file_map_new(part, length, true);
    if (!whole.bytes) {
        return mr_outcome_set(outcome, MRE_FAILED, "%s cannot be made: %s%s", part, strerror(errno),
                              mr_error_disk_hint(errno));
    }
    enum mre_result result = fetch_blocks(&whole, outcome);
    if (!result) {
        outcome->fetched_ms = mr_client_pull_ms(client);
        result = check_whole(&whole, outcome);
        outcome->verified_ms = mr_client_pull_ms(client);
    }
    *bytes += whole.came;
    if (mr_file_map_end(whole.bytes, length) && !result) {
        result =
            mr_outcome_set(outcome, MRE_FAILED, "%s cannot be written: %s", part, strerror(errno));
    }
    read_anew(part);
    return result;
}
