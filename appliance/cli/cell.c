#include "appliance/cli/cell.h"

#include <string.h>
#include <time.h>

#define HASH_DIGITS   64
#define HASH_SHOWN    12
#define TIME_SUFFIX   "_unix_ms"
#define IS_CONTROL(c) ((c) < 0x20 || (c) == 0x7f)

void mr_cell_put_clean(FILE *out, const char *text, const char *keep)
{
    for (; *text != '\0'; text++) {
        const unsigned char c = (unsigned char)*text, next = (unsigned char)text[1];
        if (IS_CONTROL(c) && !strchr(keep, c)) {
            fputc('?', out);
        } else if (c == 0xc2 && next >= 0x80 && next < 0xa0) {
            fputc('?', out); /* U+0080 to U+009F: terminals obey them too */
            text++;
        } else {
            fputc(c, out);
        }
    }
}

int mr_cell_label(const char *key)
{
    const size_t length = strlen(key), suffix = strlen(TIME_SUFFIX);
    const bool time = length > suffix && strcmp(key + length - suffix, TIME_SUFFIX) == 0;
    return (int)(time ? length - suffix : length);
}

static const char *string_text(const json_t *value, bool narrow, char buffer[MR_CELL_BYTES])
{
    const char *text = json_string_value(value);
    if (*text == '\0') {
        return "-"; /* or a table's reader takes the next column for this one */
    }
    if (!narrow || strlen(text) != HASH_DIGITS || strspn(text, "0123456789abcdef") != HASH_DIGITS) {
        return text;
    }
    snprintf(buffer, MR_CELL_BYTES, "%.*s", HASH_SHOWN, text);
    return buffer;
}

static const char *integer_text(const char *key, json_int_t number, char buffer[MR_CELL_BYTES])
{
    const time_t seconds = (time_t)(number / 1000);
    struct tm utc;
    if (mr_cell_label(key) == (int)strlen(key)) {
        snprintf(buffer, MR_CELL_BYTES, "%lld", (long long)number);
    } else if (number <= 0) {
        snprintf(buffer, MR_CELL_BYTES, "-"); /* it has not happened yet */
    } else if (!gmtime_r(&seconds, &utc) ||
               strftime(buffer, MR_CELL_BYTES, "%Y-%m-%dT%H:%M:%SZ", &utc) == 0) {
        snprintf(buffer, MR_CELL_BYTES, "%lld", (long long)number); /* no time of ours */
    }
    return buffer;
}

const char *mr_cell_text(const char *key, const json_t *value, bool narrow,
                         char buffer[MR_CELL_BYTES])
{
    switch (value ? json_typeof(value) : JSON_NULL) {
    case JSON_STRING:
        return string_text(value, narrow, buffer);
    case JSON_INTEGER:
        return integer_text(key, json_integer_value(value), buffer);
    case JSON_REAL:
        snprintf(buffer, MR_CELL_BYTES, "%.6g", json_real_value(value));
        return buffer;
    case JSON_TRUE:
        return "yes";
    case JSON_FALSE:
        return "no";
    default:
        return "-";
    }
}

/* What ended well is green, what ended badly red, what is under way yellow. */
static const char *colour_of(const struct mr_cli *cli, const char *key, const char *text)
{
    if (!cli->colour || strcmp(key, "state") != 0) {
        return "";
    }
    if (strcmp(text, "published") == 0 || strcmp(text, "done") == 0 ||
        strcmp(text, "revealed") == 0) {
        return "\033[32m";
    }
    return strcmp(text, "void") == 0 ? "\033[31m" : "\033[33m";
}

void mr_cell_put(const struct mr_cli *cli, const char *key, const char *text, int width)
{
    const char *colour = colour_of(cli, key, text);
    fputs(colour, cli->out);
    mr_cell_put_clean(cli->out, text, "");
    fputs(*colour != '\0' ? "\033[0m" : "", cli->out);
    for (int pad = width - (int)strlen(text); pad > 0; pad--) {
        fputc(' ', cli->out);
    }
}
