#include "base/json_reader.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/base64.h"

void mr_json_reader_fail(struct mr_json_reader *reader, const char *format, ...)
{
    char text[sizeof reader->error->text];
    if (reader->failed) {
        return; /* the first cause is the one to tell */
    }
    reader->failed = true;
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    mr_error_set(reader->error, "%s", text);
}

const char *mr_json_why(char out[MR_JSON_WHY_BYTES], const json_error_t *why)
{
    const char *near = strstr(why->text, " near ");
    const bool is_key = json_error_code(why) == json_error_duplicate_key;
    const int shown = near && !is_key ? (int)(near - why->text) : (int)strlen(why->text);
    snprintf(out, MR_JSON_WHY_BYTES, "line %d, byte %d: %.*s", why->line, why->position, shown,
             why->text);
    for (char *at = out; *at; at++) {
        *at = *at >= 0x20 && *at <= 0x7e ? *at : '?';
    }
    return out;
}

void mr_json_reader_open(struct mr_json_reader *reader, const char *text, size_t length,
                         struct mr_error *error)
{
    json_error_t why;
    *reader = (struct mr_json_reader){.error = error};
    json_t *value = json_loadb(text, length, JSON_REJECT_DUPLICATES, &why);
    if (!value) {
        char text_of_why[MR_JSON_WHY_BYTES];
        mr_json_reader_fail(reader, "not JSON: %s", mr_json_why(text_of_why, &why));
    } else {
        mr_json_reader_wrap(reader, value, error);
    }
}

void mr_json_reader_wrap(struct mr_json_reader *reader, json_t *value, struct mr_error *error)
{
    *reader = (struct mr_json_reader){.object = value, .error = error};
    if (!json_is_object(value)) {
        mr_json_reader_fail(reader, "not a JSON object");
    }
}

/* The member, taken out with a reference of its own; NULL after a failure. */
static json_t *take(struct mr_json_reader *reader, const char *name)
{
    if (reader->failed) {
        return NULL;
    }
    json_t *value = json_object_get(reader->object, name);
    if (!value) {
        mr_json_reader_fail(reader, "member \"%s\" is missing", name);
        return NULL;
    }
    json_incref(value);
    json_object_del(reader->object, name);
    return value;
}

uint64_t mr_json_take_integer(struct mr_json_reader *reader, const char *name, uint64_t low,
                              uint64_t high)
{
    MR_ASSERT(high <= INT64_MAX);
    json_t *value = take(reader, name);
    if (!value) {
        return low;
    }
    json_int_t number = json_integer_value(value);
    if (!json_is_integer(value) || number < 0 || (uint64_t)number < low ||
        (uint64_t)number > high) {
        mr_json_reader_fail(reader, "member \"%s\" must be an integer from %" PRIu64 " to %" PRIu64,
                            name, low, high);
        number = (json_int_t)low;
    }
    json_decref(value);
    return (uint64_t)number;
}

void mr_json_take_binary(struct mr_json_reader *reader, const char *name, uint8_t *out,
                         size_t bytes)
{
    json_t *value = take(reader, name);
    if (!value) {
        return;
    }
    if (!json_is_string(value) ||
        mr_base64_decode(out, bytes, json_string_value(value), json_string_length(value)) != 0) {
        mr_json_reader_fail(reader, "member \"%s\" must be %zu bytes in base64", name, bytes);
    }
    json_decref(value);
}

void mr_json_take_text(struct mr_json_reader *reader, const char *name, char *out, size_t capacity)
{
    json_t *value = take(reader, name);
    if (!value) {
        return;
    }
    const char *text = json_string_value(value);
    bool good = text && json_string_length(value) < capacity;
    for (size_t i = 0; good && text[i] != '\0'; i++) {
        good = text[i] >= 0x20 && text[i] <= 0x7e;
    }
    if (good) {
        memcpy(out, text, json_string_length(value) + 1);
    } else {
        mr_json_reader_fail(reader, "member \"%s\" must be printable ASCII, at most %zu characters",
                            name, capacity - 1);
    }
    json_decref(value);
}

unsigned mr_json_take_choice(struct mr_json_reader *reader, const char *name,
                             const char *const *names, unsigned count)
{
    json_t *value = take(reader, name);
    if (!value) {
        return 0;
    }
    unsigned found = 0;
    const char *text = json_string_value(value);
    while (found < count && (!text || strcmp(text, names[found]) != 0)) {
        found++;
    }
    json_decref(value);
    if (found == count) {
        mr_json_reader_fail(reader, "member \"%s\" has a value that is not known", name);
        return 0;
    }
    return found;
}

json_t *mr_json_take_array(struct mr_json_reader *reader, const char *name, size_t low, size_t high)
{
    json_t *value = take(reader, name);
    if (!value) {
        return NULL;
    }
    if (!json_is_array(value) || json_array_size(value) < low || json_array_size(value) > high) {
        mr_json_reader_fail(reader, "member \"%s\" must be a list of %zu to %zu entries", name, low,
                            high);
        json_decref(value);
        return NULL;
    }
    return value;
}

/* A name from outside, fit to print. */
static void printable(char out[65], const char *name)
{
    size_t i;
    for (i = 0; i < 64 && name[i] != '\0'; i++) {
        out[i] = name[i] >= 0x20 && name[i] <= 0x7e ? name[i] : '?';
    }
    out[i] = '\0';
}

int mr_json_reader_close(struct mr_json_reader *reader)
{
    void *left = reader->failed ? NULL : json_object_iter(reader->object);
    if (left) {
        char name[65];
        printable(name, json_object_iter_key(left));
        mr_json_reader_fail(reader, "member \"%s\" is unknown", name);
    }
    json_decref(reader->object);
    reader->object = NULL;
    return reader->failed ? -1 : 0;
}
