/* print.c - JSON values for people: aligned, coloured where a terminal wants it. */
#include "appliance/cli/cli.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/cli/cell.h"
#include "appliance/cli/table.h"
#include "appliance/storage/files.h"
#include "base/json_text.h"

static bool is_scalar(const json_t *value)
{
    return !json_is_object(value) && !json_is_array(value);
}

static void put_scalar(const struct mr_cli *cli, const char *key, const json_t *value)
{
    char buffer[MR_CELL_BYTES];
    mr_cell_put(cli, key, mr_cell_text(key, value, false, buffer), 0);
}

/* Such as a histogram's counts: they stand on their label's line. */
static bool is_numbers(const json_t *list)
{
    size_t i;
    json_t *value;
    json_array_foreach((json_t *)list, i, value) {
        if (!json_is_number(value)) {
            return false;
        }
    }
    return json_array_size(list) > 0;
}

/* Whether it is put on the line of its label. */
static bool stands_behind(const json_t *value)
{
    return is_scalar(value) || is_numbers(value);
}

static void put_numbers(const struct mr_cli *cli, const json_t *list)
{
    size_t i;
    json_t *value;
    json_array_foreach((json_t *)list, i, value) {
        fputs(i ? " " : "", cli->out);
        put_scalar(cli, "", value);
    }
    fputc('\n', cli->out);
}

static void put_object(const struct mr_cli *cli, const json_t *object, int indent);

static void put_list(const struct mr_cli *cli, const json_t *list, int indent)
{
    size_t i;
    json_t *value;
    if (mr_table_is(list)) {
        mr_table_put(cli, list, indent);
        return;
    }
    json_array_foreach(list, i, value) {
        fprintf(cli->out, "%*s", indent, "");
        if (is_scalar(value)) {
            put_scalar(cli, "", value);
        }
        fputc('\n', cli->out);
    }
}

/* A member that is an object or a list, behind its label. */
static void put_nested(const struct mr_cli *cli, const json_t *value, int indent)
{
    fputs(json_object_size(value) + json_array_size(value) == 0 ? "  none\n" : "\n", cli->out);
    if (json_is_object(value)) {
        put_object(cli, value, indent + 2);
    } else {
        put_list(cli, value, indent + 2);
    }
}

static void put_object(const struct mr_cli *cli, const json_t *object, int indent)
{
    const char *key;
    json_t *value;
    int width = 0;
    json_object_foreach((json_t *)object, key, value) {
        const int length = mr_cell_label(key);
        width = stands_behind(value) && length > width ? length : width;
    }
    json_object_foreach((json_t *)object, key, value) {
        char label[64];
        snprintf(label, sizeof label, "%.*s", mr_cell_label(key), key);
        fprintf(cli->out, "%*s", indent, "");
        mr_cell_put(cli, "", label, stands_behind(value) ? width + 2 : 0);
        if (is_scalar(value)) {
            put_scalar(cli, key, value);
            fputc('\n', cli->out);
        } else if (is_numbers(value)) {
            put_numbers(cli, value);
        } else {
            put_nested(cli, value, indent);
        }
    }
}

json_t *mr_cli_string(const char *text)
{
    return mr_json_text(text);
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
        put_scalar(cli, "", value);
        fputc('\n', cli->out);
    }
}

int mr_cli_read(const struct mr_cli *cli, const char *path, uint8_t **bytes, size_t *length)
{
    struct mr_error error = {""};
    const int read = mr_file_read(path, bytes, length, &error);
    if (read == 0 && *length > 0) {
        return MR_EXIT_OK;
    }
    if (read == 0) {
        free(*bytes);
    }
    *bytes = NULL;
    return mr_cli_fail(cli, MR_EXIT_INVALID, "cannot read %s: %s", path,
                       read == 0  ? "it is empty"
                       : read > 0 ? "there is no such file"
                                  : error.text);
}

int mr_cli_fail(const struct mr_cli *cli, int code, const char *format, ...)
{
    char text[640];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (cli->json) {
        json_t *error = json_pack("{s:o, s:i}", "error", mr_cli_string(text), "exit", code);
        mr_cli_print(cli, error);
        json_decref(error);
    }
    fputs("millrace: ", cli->err);
    mr_cell_put_clean(cli->err, text, "");
    fputc('\n', cli->err);
    return code;
}
