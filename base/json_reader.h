/* json_reader.h - taking the members of one JSON object strictly, one after another.
 *
 * Every take removes its member, so that what is left at the end is unknown. The first failure sets
 * the error's text and makes every later take a no-op: check only mr_json_reader_close. */
#ifndef MR_BASE_JSON_READER_H
#define MR_BASE_JSON_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/error.h"

#define MR_JSON_WHY_BYTES 160

/* What jansson found wrong, and where, in printable ASCII: "line 1, byte 60: duplicate object key
 * near '"a"'". Of what is not a key nothing is quoted: it may be secret. Returns out. */
const char *mr_json_why(char out[MR_JSON_WHY_BYTES], const json_error_t *why);

struct mr_json_reader {
    json_t *object; /* owned */
    struct mr_error *error;
    bool failed;
};

/* Parses text; doubled members are refused. */
void mr_json_reader_open(struct mr_json_reader *reader, const char *text, size_t length,
                         struct mr_error *error);
/* Takes over a reference to a value that must be an object. */
void mr_json_reader_wrap(struct mr_json_reader *reader, json_t *value, struct mr_error *error);

uint64_t mr_json_take_integer(struct mr_json_reader *reader, const char *name, uint64_t low,
                              uint64_t high); /* high <= INT64_MAX */
void mr_json_take_binary(struct mr_json_reader *reader, const char *name, uint8_t *out,
                         size_t bytes); /* base64 */
/* Printable ASCII, at most capacity - 1 characters. */
void mr_json_take_text(struct mr_json_reader *reader, const char *name, char *out, size_t capacity);
/* The position of the text in names[count]. */
unsigned mr_json_take_choice(struct mr_json_reader *reader, const char *name,
                             const char *const *names, unsigned count);
/* A new reference, or NULL after a failure. */
json_t *mr_json_take_array(struct mr_json_reader *reader, const char *name, size_t low,
                           size_t high);

void mr_json_reader_fail(struct mr_json_reader *reader, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Refuses members that are left, frees. 0, or -1 if anything failed. */
int mr_json_reader_close(struct mr_json_reader *reader);

#endif
