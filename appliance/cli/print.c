/* print.c - JSON values for people: aligned, coloured where a terminal wants it. */
#include "appliance/cli/cli.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define COLUMNS_MAX 16

/* What a hub sends is shown on somebody's terminal: no control character may get there. */
static void put_clean(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        const unsigned char c = (unsigned char)*text;
        fputc(c < 0x20 || c == 0x7f ? '?' : c, out);
    }
}

/* A scalar as text into `buffer`, or a pointer to the string itself. Times are shown as such. */
static const char *scalar_text(const char *key, const json_t *value, char buffer[32])
{
    const char *unit = strstr(key, "_unix_ms");
    if (unit && unit[8] == '\0' && json_integer_value(value) > 0) {
        const time_t seconds = (time_t)(json_integer_value(value) / 1000);
        struct tm utc;
        gmtime_r(&seconds, &utc);
        strftime(buffer, 32, "%Y-%m-%dT%H:%M:%SZ", &utc);
        return buffer;
    }
    switch (json_typeof(value)) {
    case JSON_STRING:
        return json_string_value(value);
    case JSON_INTEGER:
        snprintf(buffer, 32, "%lld", (long long)json_integer_value(value));
        return buffer;
    case JSON_REAL:
        snprintf(buffer, 32, "%.6g", json_real_value(value));
        return buffer;
    case JSON_TRUE:
        return "yes";
    case JSON_FALSE:
        return "no";
    default:
        return "-";
    }
}

/* States are coloured: what ended well, what ended badly, what is under way. */
static const char *colour_of(const struct mr_cli *cli, const char *key, const char *text)
{
    if (!cli->colour || strcmp(key, "state") != 0) {
        return "";
    }
    if (strcmp(text, "published") == 0 || strcmp(text, "done") == 0) {
        return "\033[32m";
    }
    return strcmp(text, "void") == 0 ? "\033[31m" : "\033[33m";
}

static void put_cell(const struct mr_cli *cli, const char *key, const json_t *value, int width)
{
    char buffer[32];
    const char *text = scalar_text(key, value, buffer);
    const char *colour = colour_of(cli, key, text);
    fputs(colour, cli->out);
    put_clean(cli->out, text);
    fputs(*colour != '\0' ? "\033[0m" : "", cli->out);
    for (int pad = width - (int)strlen(text); pad > 0; pad--) {
        fputc(' ', cli->out);
    }
}

/* --- tables --------------------------------------------------------------------------------- */

static bool is_scalar(const json_t *value)
{
    return !json_is_object(value) && !json_is_array(value);
}

static bool is_table(const json_t *value)
{
    size_t i;
    json_t *row;
    json_array_foreach(value, i, row)
    {
        if (!json_is_object(row)) {
            return false;
        }
    }
    return json_array_size(value) > 0;
}

/* Columns are the scalar members of the first row; a row that lacks one shows "-". */
static void put_table(const struct mr_cli *cli, const json_t *rows, int indent)
{
    const char *names[COLUMNS_MAX], *key;
    int widths[COLUMNS_MAX];
    size_t columns = 0, i;
    json_t *value, *row;
    json_object_foreach(json_array_get(rows, 0), key, value)
    {
        if (is_scalar(value) && columns < COLUMNS_MAX) {
            names[columns] = key;
            widths[columns++] = (int)strlen(key);
        }
    }
    json_array_foreach(rows, i, row)
    {
        for (size_t c = 0; c < columns; c++) {
            char buffer[32];
            const int width =
                (int)strlen(scalar_text(names[c], json_object_get(row, names[c]), buffer));
            widths[c] = width > widths[c] ? width : widths[c];
        }
    }
    for (size_t c = 0; c < columns; c++) {
        fprintf(cli->out, "%*s", c == 0 ? indent : 2, "");
        put_clean(cli->out, names[c]);
        fprintf(cli->out, "%*s", c + 1 < columns ? widths[c] - (int)strlen(names[c]) : 0, "");
    }
    fputc('\n', cli->out);
    json_array_foreach(rows, i, row)
    {
        for (size_t c = 0; c < columns; c++) {
            fprintf(cli->out, "%*s", c == 0 ? indent : 2, "");
            put_cell(cli, names[c], json_object_get(row, names[c]),
                     c + 1 < columns ? widths[c] : 0);
        }
        fputc('\n', cli->out);
    }
}

/* --- objects -------------------------------------------------------------------------------- */

static void put_object(const struct mr_cli *cli, const json_t *object, int indent);

static void put_list(const struct mr_cli *cli, const json_t *list, int indent)
{
    size_t i;
    json_t *value;
    if (is_table(list)) {
        put_table(cli, list, indent);
        return;
    }
    json_array_foreach(list, i, value)
    {
        fprintf(cli->out, "%*s", indent, "");
        if (is_scalar(value)) {
            put_cell(cli, "", value, 0);
        }
        fputc('\n', cli->out);
    }
}

static void put_object(const struct mr_cli *cli, const json_t *object, int indent)
{
    const char *key;
    json_t *value;
    int width = 0;
    json_object_foreach((json_t *)object, key, value)
    {
        width = is_scalar(value) && (int)strlen(key) > width ? (int)strlen(key) : width;
    }
    json_object_foreach((json_t *)object, key, value)
    {
        fprintf(cli->out, "%*s", indent, "");
        put_clean(cli->out, key);
        if (is_scalar(value)) {
            fprintf(cli->out, "%*s", width - (int)strlen(key) + 2, "");
            put_cell(cli, key, value, 0);
            fputc('\n', cli->out);
        } else {
            fputs(json_object_size(value) + json_array_size(value) == 0 ? "  none\n" : "\n",
                  cli->out);
            if (json_is_object(value)) {
                put_object(cli, value, indent + 2);
            } else {
                put_list(cli, value, indent + 2);
            }
        }
    }
}

void mr_cli_print(const struct mr_cli *cli, const json_t *value)
{
    if (cli->json) {
        json_dumpf(value, cli->out, JSON_ENCODE_ANY | JSON_REAL_PRECISION(9));
        fputc('\n', cli->out);
    } else if (json_is_object(value)) {
        put_object(cli, value, 0);
    } else if (json_is_array(value)) {
        put_list(cli, value, 0);
    } else if (value) {
        put_cell(cli, "", value, 0);
        fputc('\n', cli->out);
    }
}

int mr_cli_fail(const struct mr_cli *cli, int code, const char *format, ...)
{
    char text[640];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (cli->json) {
        json_t *error = json_pack("{s:s, s:i}", "error", text, "exit", code);
        mr_cli_print(cli, error);
        json_decref(error);
    }
    fputs("millrace: ", cli->err);
    put_clean(cli->err, text);
    fputc('\n', cli->err);
    return code;
}
