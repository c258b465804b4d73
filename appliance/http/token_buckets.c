#include "appliance/http/token_buckets.h"

#include <stdlib.h>
#include <string.h>

#define ROWS    2048u /* a power of two */
#define WAYS    4u
#define BURST_S 10u
#define TOKEN   1000u /* in thousandths, so that a millisecond's share is whole */

struct bucket {
    uint64_t key; /* 0: empty */
    uint64_t at_ms;
    uint64_t tokens; /* thousandths */
};

struct mr_buckets {
    uint32_t rate;
    uint64_t salt;
    struct bucket rows[][WAYS];
};

struct mr_buckets *mr_buckets_new(uint32_t rate, uint64_t salt)
{
    struct mr_buckets *buckets =
        calloc(1, sizeof *buckets + (rate ? ROWS : 0) * sizeof buckets->rows[0]);
    if (buckets) {
        buckets->rate = rate;
        buckets->salt = salt;
    }
    return buckets;
}

void mr_buckets_free(struct mr_buckets *buckets)
{
    free(buckets);
}

static uint64_t mix(uint64_t x)
{
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93u;
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93u;
    return x ^ x >> 32;
}

static uint64_t hash(const struct mr_buckets *buckets, const void *key, size_t bytes)
{
    uint64_t state = buckets->salt ^ bytes;
    for (size_t at = 0; at < bytes; at += 8) {
        uint64_t word = 0;
        memcpy(&word, (const uint8_t *)key + at, bytes - at < 8 ? bytes - at : 8);
        state = mix(state ^ word) + buckets->salt;
    }
    return mix(state) | 1; /* never that of an empty bucket */
}

static uint64_t tokens_now(const struct mr_buckets *buckets, const struct bucket *bucket,
                           uint64_t now_ms)
{
    const uint64_t full = (uint64_t)buckets->rate * BURST_S * TOKEN;
    const uint64_t passed = now_ms > bucket->at_ms ? now_ms - bucket->at_ms : 0;
    if (bucket->key == 0 || passed >= (uint64_t)BURST_S * 1000) {
        return full;
    }
    const uint64_t tokens = bucket->tokens + passed * buckets->rate;
    return tokens < full ? tokens : full;
}

/* The key's bucket, or the fullest of its row made the key's. */
static struct bucket *find(struct mr_buckets *buckets, uint64_t key, uint64_t now_ms)
{
    struct bucket *row = buckets->rows[key >> 40 & (ROWS - 1)];
    struct bucket *fullest = row;
    for (unsigned i = 0; i < WAYS; i++) {
        if (row[i].key == key) {
            return &row[i];
        }
        if (tokens_now(buckets, &row[i], now_ms) > tokens_now(buckets, fullest, now_ms)) {
            fullest = &row[i];
        }
    }
    *fullest = (struct bucket){.at_ms = now_ms};
    return fullest;
}

bool mr_buckets_take(struct mr_buckets *buckets, const void *key, size_t bytes, uint64_t now_ms,
                     uint32_t *retry_after_ms)
{
    *retry_after_ms = 0;
    if (buckets->rate == 0) {
        return true;
    }
    const uint64_t mixed = hash(buckets, key, bytes);
    struct bucket *bucket = find(buckets, mixed, now_ms);
    const uint64_t tokens = tokens_now(buckets, bucket, now_ms);
    *bucket = (struct bucket){.key = mixed, .at_ms = now_ms, .tokens = tokens};
    if (tokens < TOKEN) {
        *retry_after_ms = (uint32_t)((TOKEN - tokens) / buckets->rate) + 1;
        return false;
    }
    bucket->tokens -= TOKEN;
    return true;
}
