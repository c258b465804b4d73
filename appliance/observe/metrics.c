#include "appliance/observe/metrics.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void mr_metrics_init(struct mr_metrics *metrics)
{
    *metrics = (struct mr_metrics){0};
}

void mr_metrics_fini(struct mr_metrics *metrics)
{
    free(metrics->text);
    *metrics = (struct mr_metrics){0};
}

static int reserve(struct mr_metrics *metrics, size_t more)
{
    if (metrics->failed) {
        return -1;
    }
    if (metrics->capacity - metrics->length > more) {
        return 0;
    }
    const size_t capacity = 2 * metrics->capacity + more + 1024;
    char *text = realloc(metrics->text, capacity);
    if (!text) {
        metrics->failed = 1;
        return -1;
    }
    metrics->text = text;
    metrics->capacity = capacity;
    return 0;
}

__attribute__((format(printf, 2, 3))) static void append(struct mr_metrics *metrics,
                                                         const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    const int need = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (need < 0) {
        metrics->failed = 1;
    } else if (reserve(metrics, (size_t)need) == 0) {
        vsnprintf(metrics->text + metrics->length, (size_t)need + 1, format, again);
        metrics->length += (size_t)need;
    }
    va_end(again);
}

void mr_metrics_family(struct mr_metrics *metrics, const char *name, const char *type,
                       const char *help)
{
    append(metrics, "# HELP %s ", name);
    for (const char *at = help; *at; at++) {
        if (*at == '\n') {
            append(metrics, "\\n");
        } else if (*at == '\\') {
            append(metrics, "\\\\");
        } else {
            append(metrics, "%c", *at);
        }
    }
    append(metrics, "\n# TYPE %s %s\n", name, type);
}

void mr_metrics_sample(struct mr_metrics *metrics, const char *name, const char *labels,
                       double value)
{
    append(metrics, *labels ? "%s{%s} " : "%s%s ", name, labels);
    if (isnan(value)) {
        append(metrics, "NaN\n");
    } else if (isinf(value)) {
        append(metrics, value > 0 ? "+Inf\n" : "-Inf\n");
    } else if (fabs(value) < 0x1p53 && value == floor(value)) {
        append(metrics, "%.0f\n", value); /* counters read as whole numbers */
    } else {
        append(metrics, "%.17g\n", value);
    }
}
