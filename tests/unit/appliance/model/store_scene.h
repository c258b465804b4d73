/* store_scene.h - a store in a scratch folder, for the tests of the store: what it begins with,
 * models of four values, and what it has mapped. */
#ifndef MR_TESTS_MODEL_STORE_SCENE_H
#define MR_TESTS_MODEL_STORE_SCENE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/sha.h>

#include "appliance/model/store.h"
#include "tests/unit/appliance/storage/scratch.h"
#include "wire/safetensors.h"

#define KEPT 5 /* models that stay mapped while nobody borrows them */

static inline int open_scratch(void **state)
{
    *state = scratch_open();
    return 0;
}

static inline int close_scratch(void **state)
{
    scratch_close(*state);
    return 0;
}

static inline void put(const char *path, const uint8_t *bytes, size_t length)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    fclose(file);
}

static inline uint8_t *make_model(float value, size_t *length, uint8_t hash[MR_HASH_BYTES])
{
    const struct mr_tensor tensor = {.name = "w", .dims = {4}, .rank = 1, .count = 4};
    size_t header;
    uint8_t *bytes = mr_safetensors_header(&tensor, 1, &header);
    *length = header + 16;
    bytes = realloc(bytes, *length);
    for (unsigned i = 0; i < 4; i++) {
        memcpy(bytes + header + 4 * i, &value, 4);
    }
    SHA256(bytes, *length, hash);
    return bytes;
}

static inline struct mr_store *open_store(const char *dir, const char *initial)
{
    struct mr_store *store;
    struct mr_error error = {.text = ""};
    char path[4096];
    sprintf(path, "%s/data", dir);
    if (mr_store_open(&store, path, initial, &error) != 0) {
        fail_msg("%s", error.text);
    }
    return store;
}

static inline char *write_initial(const char *dir, uint8_t hash[MR_HASH_BYTES])
{
    static char path[4096];
    size_t length;
    uint8_t *bytes = make_model(1.0f, &length, hash);
    sprintf(path, "%s/initial.safetensors", dir);
    put(path, bytes, length);
    free(bytes);
    return path;
}

/* As the kernel says it. */
static inline unsigned mapped_models(void)
{
    char line[8192];
    unsigned count = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    assert_non_null(maps);
    while (fgets(line, sizeof line, maps)) {
        count += strstr(line, ".safetensors") ? 1 : 0;
    }
    fclose(maps);
    return count;
}

#endif
