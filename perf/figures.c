#include "perf/figures.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

struct mr_figures {
    json_t *document;
    json_t *context;
    json_t *list;
};

static json_t *need(json_t *value)
{
    if (!value) {
        fprintf(stderr, "out of memory for the figures, or a name that is not UTF-8\n");
        exit(1);
    }
    return value;
}

static void set(json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, need(value)) != 0) {
        need(NULL);
    }
}

struct mr_figures *mr_figures_open(const char *name)
{
    struct mr_figures *figures = calloc(1, sizeof *figures);

    if (!figures) {
        need(NULL);
    }
    figures->document = need(json_object());
    figures->context = need(json_object());
    figures->list = need(json_array());
    set(figures->document, "bench", json_string(name));
    set(figures->document, "checked", json_false());
    set(figures->document, "context", figures->context);
    set(figures->document, "figures", figures->list);
    return figures;
}

void mr_figures_close(struct mr_figures *figures)
{
    if (!figures) {
        return;
    }
    json_decref(figures->document);
    free(figures);
}

void mr_figures_context(struct mr_figures *figures, const char *key, const char *text)
{
    set(figures->context, key, json_string(text));
}

void mr_figures_context_number(struct mr_figures *figures, const char *key, double number)
{
    set(figures->context, key, json_real(number));
}

static json_t *entry_make(const struct mr_figure *figure)
{
    static const char *const better[] = {[MR_BETTER_HIGHER] = "higher",
                                         [MR_BETTER_LOWER] = "lower",
                                         [MR_BETTER_NEITHER] = "neither"};
    json_t *entry = need(json_object());

    set(entry, "name", json_string(figure->name));
    set(entry, "unit", json_string(figure->unit));
    set(entry, "better", json_string(better[figure->better]));
    if (figure->target != 0) {
        set(entry, "target", json_real(figure->target));
    }
    if (figure->of) {
        set(entry, "of", json_string(figure->of));
    }
    set(entry, "samples", json_array());
    return entry;
}

static json_t *entry_of(struct mr_figures *figures, const struct mr_figure *figure)
{
    json_t *entry;
    size_t i;

    json_array_foreach(figures->list, i, entry) {
        if (strcmp(json_string_value(json_object_get(entry, "name")), figure->name) == 0) {
            return entry;
        }
    }
    entry = entry_make(figure);
    if (json_array_append_new(figures->list, entry) != 0) {
        need(NULL);
    }
    return entry;
}

void mr_figures_sample(struct mr_figures *figures, const struct mr_figure *figure, double value)
{
    json_t *samples = json_object_get(entry_of(figures, figure), "samples");

    /* json_real refuses what JSON cannot hold: a rate over no time at all. */
    if (json_array_append_new(samples, need(json_real(value))) != 0) {
        need(NULL);
    }
}

void mr_figures_checked(struct mr_figures *figures)
{
    set(figures->document, "checked", json_true());
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void print_entry(const json_t *entry)
{
    const json_t *samples = json_object_get(entry, "samples");
    const json_t *target = json_object_get(entry, "target");
    const char *of = json_string_value(json_object_get(entry, "of"));
    const size_t count = json_array_size(samples);
    double *sorted = calloc(count, sizeof *sorted);

    if (!sorted) {
        need(NULL);
    }
    for (size_t i = 0; i < count; i++) {
        sorted[i] = json_real_value(json_array_get(samples, i));
    }
    qsort(sorted, count, sizeof *sorted, by_value);
    const double median = (sorted[(count - 1) / 2] + sorted[count / 2]) / 2;
    printf("  %-36s %12.4g %-9s (%.4g to %.4g, n=%zu)",
           json_string_value(json_object_get(entry, "name")), median,
           json_string_value(json_object_get(entry, "unit")), sorted[0], sorted[count - 1], count);
    if (target) {
        printf("  target %.4g", json_real_value(target));
    }
    if (of) {
        printf("  of %s", of);
    }
    putchar('\n');
    free(sorted);
}

int mr_figures_write(const struct mr_figures *figures, const char *path)
{
    json_t *entry;
    size_t i;

    printf("%s\n", json_string_value(json_object_get(figures->document, "bench")));
    json_array_foreach(figures->list, i, entry) {
        print_entry(entry);
    }
    fflush(stdout);
    if (path && json_dump_file(figures->document, path, JSON_INDENT(1)) != 0) {
        fprintf(stderr, "cannot write the figures to %s: does its directory exist?\n", path);
        return -1;
    }
    return 0;
}
