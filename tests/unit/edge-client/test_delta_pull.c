/* test_delta_pull.c - a delta from a hub that is told what to answer: into memory and then a file,
 * or into a file that is mapped; and a hub that sends the way to another model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/sha.h>

#include "base/assert.h"
#include "edge-client/session/client.h"
#include "edge-client/session/delta_pull.h"
#include "wire/delta.h"
#include "wire/safetensors.h"

#define SMALL  1000u
#define MIDDLE 700000u          /* as large as a page of the large kind, and more */
#define LARGE  ((9u << 20) / 4) /* more values than a target that is made in memory has */

#define BLOCK      ((size_t)1 << MR_RELEASE_BLOCK_LOG2)
#define BLOCKS_MAX 10

struct file {
    uint8_t *bytes;
    size_t length, header;
    uint8_t hash[MR_HASH_BYTES], blocks[BLOCKS_MAX][MR_HASH_BYTES];
};

/* Zeros, but for one value. */
static struct file model_of(uint32_t count, float value)
{
    struct file file;
    const struct mr_tensor tensor = {.name = "w", .dims = {count}, .rank = 1};
    uint8_t *header = mr_safetensors_header(&tensor, 1, &file.header);
    file.length = file.header + 4 * (size_t)count;
    file.bytes = calloc(1, file.length);
    MR_ASSERT(header && file.bytes);
    memcpy(file.bytes, header, file.header);
    memcpy(file.bytes + file.length - 4, &value, sizeof value);
    free(header);
    SHA256(file.bytes, file.length, file.hash);
    for (size_t at = 0, i = 0; at < file.length; at += BLOCK, i++) {
        SHA256(file.bytes + at, file.length - at < BLOCK ? file.length - at : BLOCK,
               file.blocks[i]);
    }
    return file;
}

/* --- the hub ---------------------------------------------------------------------------------- */

struct hub {
    struct mr_delta_out delta;
};

static uint64_t now(void *context)
{
    (void)context;
    return 1;
}

static int connect_to(void *context, const struct mr_h2_endpoint *endpoint, unsigned timeout_ms,
                      void **connection, struct mr_error *error)
{
    (void)endpoint, (void)timeout_ms, (void)error;
    *connection = context;
    return MR_H2_OK;
}

static int answer(void *context, void *connection, const struct mr_h2_request *request,
                  struct mr_h2_response *response, struct mr_error *error)
{
    const struct hub *hub = context;
    (void)connection, (void)request, (void)error;
    *response = (struct mr_h2_response){
        .status = 200, .body = malloc(hub->delta.length), .length = hub->delta.length};
    MR_ASSERT(response->body);
    memcpy(response->body, hub->delta.bytes, hub->delta.length);
    return MR_H2_OK;
}

/* From base to `made`, but it says that it leads to `told`. */
static void prepare(struct hub *hub, const struct file *base, const struct file *made,
                    const struct file *told)
{
    struct mr_delta_writing writing = {.target_bytes = made->length, .most = made->length};
    memcpy(writing.base_hash, base->hash, MR_HASH_BYTES);
    memcpy(writing.target_hash, told->hash, MR_HASH_BYTES);
    MR_ASSERT(mr_delta_write_changes(&hub->delta, &writing, base->bytes + base->header,
                                     made->bytes + made->header,
                                     (base->length - base->header) / 4) == 0);
}

/* --- the device ------------------------------------------------------------------------------- */

/* What a device keeps from one pull to the next. */
static void open_device(struct mre_client *client)
{
    *client = (struct mre_client){
        .env = {.now_us = now, .unix_ms = now, .connect = connect_to, .request = answer},
        .kernels = mr_kernels_select(UINT32_MAX),
        .hub_count = 1,
        .request_timeout_ms = 1000};
}

static void close_device(struct mre_client *client)
{
    mr_pages_give(client->pull_memory.target, client->pull_memory.target_bytes);
    free(client->pull_memory.delta.bytes);
}

static enum mre_result pull(struct mre_client *client, struct hub *hub, const char *folder,
                            const struct file *base, const struct file *target,
                            struct mre_outcome *outcome)
{
    char base_file[64], target_file[64], host[] = "hub", task[] = "task";
    client->env.context = hub;
    client->kept[0] = (struct mr_kept_connection){.connection = NULL};
    client->task = task;
    client->hosts[0] = host;
    snprintf(base_file, sizeof base_file, "%s/base", folder);
    snprintf(target_file, sizeof target_file, "%s/target", folder);
    FILE *file = fopen(base_file, "wb");
    MR_ASSERT(file && fwrite(base->bytes, 1, base->length, file) == base->length);
    fclose(file);
    struct mr_release release = {.target_bytes = target->length,
                                 .block_log2 = MR_RELEASE_BLOCK_LOG2,
                                 .block_count = (uint32_t)((target->length + BLOCK - 1) / BLOCK),
                                 .blocks = target->blocks[0]};
    struct mr_delta_pull wish = {.base_file = base_file,
                                 .release = &release,
                                 .target_file = target_file,
                                 .until_unix_ms = 1000};
    uint64_t came = 0;
    memcpy(wish.base_hash, base->hash, MR_HASH_BYTES);
    memcpy(release.target_hash, target->hash, MR_HASH_BYTES);
    *outcome = (struct mre_outcome){.result = MRE_OK};
    return mr_delta_pull(client, 0, &wish, &came, outcome);
}

static bool holds(const char *folder, const struct file *target)
{
    char path[64];
    uint8_t *bytes = malloc(target->length + 1);
    snprintf(path, sizeof path, "%s/target", folder);
    FILE *file = fopen(path, "rb");
    MR_ASSERT(bytes);
    const bool same = file && fread(bytes, 1, target->length + 1, file) == target->length &&
                      memcmp(bytes, target->bytes, target->length) == 0;
    if (file) {
        fclose(file);
    }
    free(bytes);
    return same;
}

/* The pull of what is right comes after one of what is not, with the same buffers. */
static void check(struct mre_client *client, uint32_t count, bool left_over_of_another)
{
    char folder[] = "/tmp/millrace-delta-pull-XXXXXX", path[64];
    struct hub hub, liar;
    struct mre_outcome outcome;
    struct file base = model_of(count, 1), target = model_of(count, 2), other = model_of(count, 3);
    MR_ASSERT(mkdtemp(folder));
    prepare(&hub, &base, &target, &target);
    prepare(&liar, &base, &other, &target);
    assert_int_equal(pull(client, &liar, folder, &base, &target, &outcome), MRE_REFUSED);
    assert_string_equal(outcome.code, "wrong_target");
    snprintf(path, sizeof path, "%s/target", folder);
    assert_int_equal(access(path, F_OK) == 0, left_over_of_another);
    assert_int_equal(pull(client, &hub, folder, &base, &target, &outcome), MRE_OK);
    assert_true(holds(folder, &target));
    assert_int_equal(unlink(path), 0);
    snprintf(path, sizeof path, "%s/base", folder);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
    free(hub.delta.bytes);
    free(liar.delta.bytes);
    free(base.bytes);
    free(target.bytes);
    free(other.bytes);
}

/* What is not the target is never written. */
static void test_in_memory(void **state)
{
    struct mre_client client;
    (void)state;
    open_device(&client);
    check(&client, SMALL, false);
    close_device(&client);
}

static void test_mapped(void **state)
{
    struct mre_client client;
    (void)state;
    open_device(&client);
    check(&client, LARGE, true);
    assert_null(client.pull_memory.target); /* what is large is no memory of the device's */
    assert_null(client.pull_memory.delta.bytes);
    close_device(&client);
}

/* The buffer that is kept is used again where it is large enough, and is given up where not. */
static void test_kept(void **state)
{
    struct mre_client client;
    (void)state;
    open_device(&client);
    check(&client, SMALL, false);
    const size_t small_bytes = client.pull_memory.target_bytes;
    check(&client, MIDDLE, false);
    const size_t bytes = client.pull_memory.target_bytes;
    const void *kept = client.pull_memory.target;
    assert_true(bytes > small_bytes);
    check(&client, SMALL, false);
    check(&client, MIDDLE, false);
    assert_ptr_equal(client.pull_memory.target, kept);
    assert_int_equal(client.pull_memory.target_bytes, bytes);
    check(&client, LARGE, true);
    assert_int_equal(client.pull_memory.target_bytes, bytes);
    close_device(&client);
}

static void test_no_disk(void **state)
{
    struct mre_client client;
    struct hub hub;
    struct mre_outcome outcome;
    struct file base = model_of(SMALL, 1), target = model_of(SMALL, 2);
    char folder[] = "/tmp/millrace-delta-pull-XXXXXX", path[64];
    (void)state;
    MR_ASSERT(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/target", folder);
    MR_ASSERT(mkdir(path, 0700) == 0); /* in the way: a file cannot be made there */
    prepare(&hub, &base, &target, &target);
    open_device(&client);
    assert_int_equal(pull(&client, &hub, folder, &base, &target, &outcome), MRE_FAILED);
    close_device(&client);
    assert_non_null(strstr(outcome.text, "cannot be written"));
    assert_int_equal(rmdir(path), 0);
    snprintf(path, sizeof path, "%s/base", folder);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
    free(hub.delta.bytes);
    free(base.bytes);
    free(target.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_memory),
        cmocka_unit_test(test_mapped),
        cmocka_unit_test(test_kept),
        cmocka_unit_test(test_no_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
