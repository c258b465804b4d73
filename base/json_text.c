#include "base/json_text.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Bytes of the character that begins there, 1 to 4; 0: none does. Unicode, table 3-7. */
static size_t character(const uint8_t *at, size_t left)
{
    static const struct {
        uint8_t first, last; /* of the lead byte */
        uint8_t second_first, second_last;
        uint8_t length;
    } forms[] = {
        {0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4}};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (at[0] < forms[i].first || at[0] > forms[i].last || forms[i].length > left) {
            continue;
        }
        if (forms[i].length > 1 &&
            (at[1] < forms[i].second_first || at[1] > forms[i].second_last)) {
            return 0;
        }
        for (size_t k = 2; k < forms[i].length; k++) {
            if ((at[k] & 0xc0) != 0x80) {
                return 0;
            }
        }
        return forms[i].length;
    }
    return 0;
}

static json_t *escaped(const uint8_t *text, size_t length)
{
    static const char digits[] = "0123456789abcdef";
    char *clean = malloc(4 * length + 1);
    size_t used = 0;
    for (size_t at = 0; clean && at < length;) {
        const size_t bytes = character(text + at, length - at);
        if (bytes) {
            memcpy(clean + used, text + at, bytes);
            used += bytes;
            at += bytes;
        } else {
            clean[used++] = '\\';
            clean[used++] = 'x';
            clean[used++] = digits[text[at] >> 4];
            clean[used++] = digits[text[at] & 15];
            at++;
        }
    }
    json_t *string = clean ? json_stringn(clean, used) : NULL;
    free(clean);
    return string;
}

json_t *mr_json_text_n(const char *text, size_t length)
{
    json_t *string = json_stringn(text, length);
    return string ? string : escaped((const uint8_t *)text, length);
}

json_t *mr_json_text(const char *text)
{
    return text ? mr_json_text_n(text, strlen(text)) : json_null();
}

bool mr_json_holds(const char *text)
{
    const size_t length = strlen(text);
    size_t at = 0, bytes = 1;
    while (bytes && at < length) {
        bytes = character((const uint8_t *)text + at, length - at);
        at += bytes;
    }
    return at == length;
}

json_t *mr_json_real(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}
