#include "appliance/cli/table.h"

#include <string.h>

#include "appliance/cli/cell.h"

#define COLUMNS_MAX 40 /* further ones are left out */

struct columns {
    const char *keys[COLUMNS_MAX]; /* borrowed from the rows */
    int widths[COLUMNS_MAX];
    size_t count;
};

bool mr_table_is(const json_t *value)
{
    size_t i;
    json_t *row;
    json_array_foreach(value, i, row) {
        if (!json_is_object(row)) {
            return false;
        }
    }
    return json_array_size(value) > 0;
}

/* The column of that key, made where there is none yet; NULL when there are too many. */
static int *width_of(struct columns *columns, const char *key)
{
    for (size_t c = 0; c < columns->count; c++) {
        if (strcmp(columns->keys[c], key) == 0) {
            return &columns->widths[c];
        }
    }
    if (columns->count == COLUMNS_MAX) {
        return NULL;
    }
    columns->keys[columns->count] = key;
    columns->widths[columns->count] = mr_cell_label(key);
    return &columns->widths[columns->count++];
}

static void measure(struct columns *columns, json_t *row)
{
    const char *key;
    json_t *value;
    json_object_foreach(row, key, value) {
        char buffer[MR_CELL_BYTES];
        int *width = json_is_object(value) || json_is_array(value) ? NULL : width_of(columns, key);
        const int needed = (int)strlen(mr_cell_text(key, value, true, buffer));
        if (width && needed > *width) {
            *width = needed;
        }
    }
}

/* One line: the labels where `row` is NULL. The last column is not padded. */
static void put_line(const struct mr_cli *cli, const struct columns *columns, const json_t *row,
                     int indent)
{
    for (size_t c = 0; c < columns->count; c++) {
        const char *key = columns->keys[c];
        const int width = c + 1 < columns->count ? columns->widths[c] : 0;
        char buffer[MR_CELL_BYTES];
        fprintf(cli->out, "%*s", c == 0 ? indent : 2, "");
        if (row) {
            mr_cell_put(cli, key, mr_cell_text(key, json_object_get(row, key), true, buffer),
                        width);
        } else {
            char label[64];
            snprintf(label, sizeof label, "%.*s", mr_cell_label(key), key);
            mr_cell_put(cli, "", label, width);
        }
    }
    fputc('\n', cli->out);
}

void mr_table_put(const struct mr_cli *cli, const json_t *rows, int indent)
{
    struct columns columns = {.count = 0};
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row) {
        measure(&columns, row);
    }
    put_line(cli, &columns, NULL, indent);
    json_array_foreach(rows, i, row) {
        put_line(cli, &columns, row, indent);
    }
}
