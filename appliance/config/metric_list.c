#include "appliance/config/metric_list.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#include "wire/metric.h"

#define NUMBER_MAX 32

/* The number that the text begins with, whatever the locale; *end is behind it. NaN: there is none.
 */
static float number_of(const char *text, const char **end)
{
    char digits[NUMBER_MAX + 1];
    const char *dots = strstr(text, "..");
    size_t length = strspn(text, "0123456789.eE+-");
    if (dots && (size_t)(dots - text) < length) {
        length = (size_t)(dots - text);
    }
    *end = text + length;
    if (length == 0 || length > NUMBER_MAX) {
        return NAN;
    }
    memcpy(digits, text, length);
    digits[length] = '\0';
    json_t *value = json_loads(digits, JSON_DECODE_ANY, NULL);
    const float number = json_is_number(value) ? (float)json_number_value(value) : NAN;
    json_decref(value);
    return number == 0 ? 0 : number; /* no zero below zero */
}

static const char *after_spaces(const char *text)
{
    return text + strspn(text, " ");
}

/* NAME LOW..HIGH; *at is behind it. */
static int take(struct mr_announced_metric *metric, const char **at)
{
    const char *text = after_spaces(*at);
    const size_t length = strcspn(text, " ,");
    *metric = (struct mr_announced_metric){.low = 0};
    if (length == 0 || length > MR_METRIC_NAME_MAX) {
        return -1;
    }
    memcpy(metric->name, text, length);
    text = after_spaces(text + length);
    metric->low = number_of(text, &text);
    if (strncmp(text, "..", 2) != 0) {
        return -1;
    }
    metric->high = number_of(text + 2, &text);
    *at = after_spaces(text);
    return mr_metric_name_valid(metric->name) && isfinite(metric->low) && isfinite(metric->high) &&
                   isfinite(metric->high - metric->low) && metric->low < metric->high
               ? 0
               : -1;
}

static bool is_new(const struct mr_announced_metric *list, int count)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(list[i].name, list[count].name) == 0) {
            return false;
        }
    }
    return true;
}

int mr_config_metrics(struct mr_announced_metric list[MR_METRICS_MAX], const char *text,
                      struct mr_error *error)
{
    const char *at = text ? text : "";
    int count = 0;
    while (*at != '\0' && count < MR_METRICS_MAX) {
        if (take(&list[count], &at) != 0 || !is_new(list, count)) {
            break;
        }
        count++;
        if (*at == '\0') {
            return count;
        }
        if (*at++ != ',') {
            break;
        }
    }
    return count == 0 && *at == '\0'
               ? 0
               : mr_error_set(error,
                              "must be names with their ranges, commas between, such as \"accuracy "
                              "0..1, eval_loss 0..20\": at most %d, each name once, of [a-z0-9_], "
                              "not loss or examples; not '%s'",
                              MR_METRICS_MAX, text);
}
