/* release_verdicts.c - says of releases and deltas what a device says of them, for comparing with
 * an implementation in another language.
 *
 * Each line of standard input is JSON: {"answers": [hex], "task", "hubs": [[index, key hex]],
 * "threshold", "now", "client", "bytes_max", "client_id": hex, "floor": [round, step, hash hex]},
 * or
 * {"base": hex, "delta": hex, "base_hash": hex, "target_hash": hex, "bytes_max"}. Each gets one
 * line: the name of the fault, or "taken". */
#include <jansson.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "wire/delta.h"
#include "wire/release_trust.h"

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    MR_ASSERT(text);
    return text;
}

/* In an allocation of its own size. */
static uint8_t *bytes_of(const char *hex, size_t *length)
{
    *length = strlen(hex) / 2;
    uint8_t *bytes = malloc(*length + !*length);
    MR_ASSERT(bytes && mr_hex_decode(bytes, *length, hex) == 0);
    return bytes;
}

static void hash_of(uint8_t out[32], const char *hex)
{
    MR_ASSERT(mr_hex_decode(out, 32, hex) == 0);
}

static uint64_t number_of(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    MR_ASSERT(json_is_integer(value));
    return (uint64_t)json_integer_value(value);
}

/* --- releases -------------------------------------------------------------------------------- */

static void read_hubs(struct mr_release_trust *trust, struct mr_announced_hub *hubs,
                      const json_t *list)
{
    trust->hub_count = (unsigned)json_array_size(list);
    MR_ASSERT(trust->hub_count <= MR_HUBS_MAX);
    for (unsigned i = 0; i < trust->hub_count; i++) {
        const json_t *hub = json_array_get(list, i);
        hubs[i] = (struct mr_announced_hub){
            .index = (uint16_t)json_integer_value(json_array_get(hub, 0))};
        hash_of(hubs[i].public_key, json_string_value(json_array_get(hub, 1)));
    }
    trust->hubs = hubs;
}

static const char *judge(const json_t *object)
{
    struct mr_announced_hub hubs[MR_HUBS_MAX];
    struct mr_signed_release answers[MR_HUBS_MAX];
    uint8_t *bytes[MR_HUBS_MAX], *client_id;
    size_t length, i;
    unsigned count = 0, chosen;
    const json_t *entry, *floor = json_object_get(object, "floor");
    bool malformed = false;
    client_id = bytes_of(text_of(object, "client_id"), &length);
    struct mr_release_trust trust = {
        .task = text_of(object, "task"),
        .threshold = (unsigned)number_of(object, "threshold"),
        .now_s = number_of(object, "now"),
        .client = (uint32_t)number_of(object, "client"),
        .target_bytes_max = number_of(object, "bytes_max"),
        .client_id = client_id,
        .floor = {.round = (uint64_t)json_integer_value(json_array_get(floor, 0)),
                  .step = (uint32_t)json_integer_value(json_array_get(floor, 1))},
    };
    hash_of(trust.floor_hash, json_string_value(json_array_get(floor, 2)));
    read_hubs(&trust, hubs, json_object_get(object, "hubs"));
    json_array_foreach(json_object_get(object, "answers"), i, entry) {
        bytes[i] = bytes_of(json_string_value(entry), &length);
        if (mr_signed_release_decode(&answers[count], bytes[i], length, NULL) == 0) {
            count++;
        } else {
            malformed = true;
        }
    }
    enum mr_release_fault fault = MR_RELEASE_MALFORMED;
    if (count > 0 || !malformed) {
        fault = mr_release_judge(answers, count, &trust, &chosen);
    }
    while (i-- > 0) {
        free(bytes[i]);
    }
    free(client_id);
    return mr_release_fault_name(fault);
}

/* --- deltas ---------------------------------------------------------------------------------- */

static enum mr_release_fault try_apply(const struct mr_delta_job *job, size_t target_bytes,
                                       const uint8_t target_hash[32])
{
    uint8_t hash[32];
    if (mr_delta_apply(job, NULL) != 0) {
        return MR_RELEASE_MALFORMED;
    }
    SHA256(job->target, target_bytes, hash);
    return memcmp(hash, target_hash, 32) == 0 ? MR_RELEASE_TAKEN : MR_RELEASE_WRONG_TARGET;
}

static const char *apply(const json_t *object)
{
    struct mr_delta_head head;
    struct mr_delta_job job = {.kernels = mr_kernels_select(UINT32_MAX)};
    uint8_t base_hash[32], target_hash[32];
    uint8_t *delta = bytes_of(text_of(object, "delta"), &job.delta_bytes);
    uint8_t *base = bytes_of(text_of(object, "base"), &job.base_bytes);
    enum mr_release_fault fault = MR_RELEASE_MALFORMED;
    hash_of(base_hash, text_of(object, "base_hash"));
    hash_of(target_hash, text_of(object, "target_hash"));
    job.delta = delta;
    job.base = base;
    if (mr_delta_head_read(&head, delta, job.delta_bytes, NULL) != 0) {
        fault = MR_RELEASE_MALFORMED;
    } else if (memcmp(head.base_hash, base_hash, 32) != 0) {
        fault = MR_RELEASE_WRONG_BASE;
    } else if (memcmp(head.target_hash, target_hash, 32) != 0) {
        fault = MR_RELEASE_WRONG_TARGET;
    } else if (head.target_bytes == 0 || head.target_bytes > number_of(object, "bytes_max")) {
        fault = MR_RELEASE_TOO_LARGE;
    } else {
        job.target = malloc((size_t)head.target_bytes);
        MR_ASSERT(job.target);
        fault = try_apply(&job, (size_t)head.target_bytes, target_hash);
    }
    free(job.target);
    free(delta);
    free(base);
    return mr_release_fault_name(fault);
}

int main(void)
{
    char *line = NULL;
    size_t room = 0;
    while (getline(&line, &room, stdin) > 0) {
        json_t *object = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
        MR_ASSERT(object);
        puts(json_object_get(object, "delta") ? apply(object) : judge(object));
        fflush(stdout);
        json_decref(object);
    }
    free(line);
    return 0;
}
