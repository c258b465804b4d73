/* json_text.h - JSON values that are made whatever they are made of.
 *
 * jansson makes nothing of a text that is no UTF-8 and of a number that is not finite; json_pack
 * then makes nothing of the whole object, and json_object_set_new leaves the member out. A path, a
 * hub's words or a loss may be either, mostly when something else went wrong. So texts and numbers
 * that are no constants go through these; tests/policy/tidy holds the tree to it. All return a new
 * reference, NULL only when out of memory. */
#ifndef MR_BASE_JSON_TEXT_H
#define MR_BASE_JSON_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

/* A byte that is not part of UTF-8 becomes \xNN, four characters, as Python's backslashreplace has
 * it. NULL becomes null. */
json_t *mr_json_text(const char *text);
json_t *mr_json_text_n(const char *text, size_t length); /* may hold NUL bytes */

/* Whether JSON can hold the text as it is: it is UTF-8. */
bool mr_json_holds(const char *text);

/* null where it is not finite. */
json_t *mr_json_real(double value);

#endif
