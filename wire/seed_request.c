/* The one message that carries a secret: it must leave no copy behind in freed memory.
 *
 * A JSON parser copies strings into buffers that it does not wipe. So the seed's characters are
 * read first, replaced by a placeholder in a copy of the body, and only that copy is parsed. The
 * parsed member must be the placeholder: a body that hides the member from the search (by escapes,
 * or inside another string) fails there or by its unknown member. */
#include "wire/messages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "base/assert.h"
#include "base/base64.h"
#include "base/json_reader.h"

#define SEED_LENGTH MR_BASE64_LENGTH(MR_SEED_BYTES) /* 44 */
#define BODY_MAX    512                             /* a seed request has about 150 bytes */

static const char seed_key[] = "\"seed\"";
static const char placeholder[SEED_LENGTH + 1] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

char *mr_seed_request_encode(const struct mr_seed_request *message)
{
    char hash[MR_BASE64_LENGTH(MR_HASH_BYTES) + 1], seed[SEED_LENGTH + 1];
    char *text = malloc(BODY_MAX);
    if (!text) {
        return NULL;
    }
    mr_base64_encode(hash, message->announcement_hash, MR_HASH_BYTES);
    mr_base64_encode(seed, message->seed, MR_SEED_BYTES);
    int length =
        snprintf(text, BODY_MAX, "{\"announcement\":\"%s\",\"attempt\":%u,\"seed\":\"%s\"}", hash,
                 message->attempt, seed);
    MR_ASSERT(length > 0 && length < BODY_MAX);
    OPENSSL_cleanse(seed, sizeof seed);
    return text;
}

/* White space of JSON. */
static char *skip_space(char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r')) {
        p++;
    }
    return p;
}

/* The first character of the seed's string inside body, with SEED_LENGTH of them before `end`;
 * NULL when there is none. */
static char *find_seed(char *body, const char *end)
{
    char *p = memmem(body, (size_t)(end - body), seed_key, sizeof seed_key - 1);
    if (!p) {
        return NULL;
    }
    p = skip_space(p + sizeof seed_key - 1, end);
    if (p == end || *p++ != ':') {
        return NULL;
    }
    p = skip_space(p, end);
    if (p == end || *p++ != '"') {
        return NULL;
    }
    return end - p >= SEED_LENGTH ? p : NULL;
}

int mr_seed_request_decode(struct mr_seed_request *message, const char *text, size_t length,
                           struct mr_error *error)
{
    char body[BODY_MAX];
    struct mr_json_reader reader;
    memset(message, 0, sizeof *message);
    if (length > sizeof body) {
        return mr_error_set(error, "the body has %zu bytes: at most %d are taken", length,
                            BODY_MAX);
    }
    memcpy(body, text, length);
    char *seed = find_seed(body, body + length);
    int status = seed ? mr_base64_decode(message->seed, MR_SEED_BYTES, seed, SEED_LENGTH) : -1;
    if (status != 0) {
        OPENSSL_cleanse(body, sizeof body);
        return mr_error_set(error, "member \"seed\" must be %d bytes in base64", MR_SEED_BYTES);
    }
    memcpy(seed, placeholder, SEED_LENGTH);

    char parsed[SEED_LENGTH + 1] = "";
    mr_json_reader_open(&reader, body, length, error);
    mr_json_take_binary(&reader, "announcement", message->announcement_hash, MR_HASH_BYTES);
    message->attempt = (uint32_t)mr_json_take_integer(&reader, "attempt", 0, MR_ATTEMPTS_MAX - 1);
    mr_json_take_text(&reader, "seed", parsed, sizeof parsed);
    if (strcmp(parsed, placeholder) != 0) {
        mr_json_reader_fail(&reader, "member \"seed\" must be %d bytes in base64", MR_SEED_BYTES);
    }
    status = mr_json_reader_close(&reader);
    OPENSSL_cleanse(body, sizeof body); /* of a malformed body, more than the seed's place */
    if (status != 0) {
        OPENSSL_cleanse(message, sizeof *message);
    }
    return status;
}
