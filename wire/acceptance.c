#include "wire/acceptance.h"

#include <ctype.h>
#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "wire/announcement_privacy.h"

#define NUMBER_MAX 32 /* characters of one end of a range */

/* --- ranges ---------------------------------------------------------------------------------- */

/* The whole of these characters as a finite number from 0 on, whatever the locale; else -1. */
static double number_of(const char *text, size_t length)
{
    char digits[NUMBER_MAX + 1];
    if (length == 0 || length > NUMBER_MAX || !isdigit((unsigned char)text[0]) ||
        strspn(text, "0123456789.eE+-") < length) {
        return -1;
    }
    memcpy(digits, text, length);
    digits[length] = '\0';
    json_t *value = json_loads(digits, JSON_DECODE_ANY, NULL);
    const double number = json_is_number(value) ? json_number_value(value) : -1;
    json_decref(value);
    return isfinite(number) ? number : -1;
}

int mr_range_parse(struct mr_range *range, const char *text)
{
    *range = (struct mr_range){0, INFINITY};
    if (strcmp(text, "any") == 0) {
        return 0;
    }
    const char *dots = strstr(text, "..");
    if (!dots) {
        range->least = range->most = number_of(text, strlen(text));
        return range->least < 0 ? -1 : 0;
    }
    const char *end = dots + 2;
    if (dots == text && *end == '\0') {
        return -1;
    }
    if (dots != text) {
        range->least = number_of(text, (size_t)(dots - text));
    }
    if (*end != '\0') {
        range->most = number_of(end, strlen(end));
    }
    return range->least < 0 || range->most < range->least ? -1 : 0;
}

/* An end also stands for the float next to it: 0.1 accepts an announced 0.1. */
static bool within(const struct mr_range *range, double value)
{
    return (value >= range->least || value == (double)(float)range->least) &&
           (value <= range->most || value == (double)(float)range->most);
}

static int not_within(const char *name, double value, const struct mr_range *range,
                      struct mr_error *error)
{
    if (isinf(range->most)) {
        return mr_error_set(error, "%s %.7g is not accepted here: at least %.7g is (accept.%s)",
                            name, value, range->least, name);
    }
    return mr_error_set(error, "%s %.7g is not accepted here: %.7g to %.7g is (accept.%s)", name,
                        value, range->least, range->most, name);
}

/* --- training -------------------------------------------------------------------------------- */

static bool same(const json_t *a, const json_t *b)
{
    return json_is_number(a) && json_is_number(b) ? json_number_value(a) == json_number_value(b)
                                                  : json_equal(a, b) == 1;
}

static bool value_accepted(const json_t *rule, const json_t *value)
{
    struct mr_range range;
    if (json_is_string(rule) && mr_range_parse(&range, json_string_value(rule)) == 0) {
        return json_is_number(value) && within(&range, json_number_value(value));
    }
    for (size_t i = 0; i < json_array_size(rule); i++) {
        if (same(json_array_get(rule, i), value)) {
            return true;
        }
    }
    return !json_is_array(rule) && same(rule, value);
}

static int members_accepted(const json_t *rule, json_t *training, struct mr_error *error)
{
    const char *key;
    json_t *value;
    json_object_foreach(training, key, value) {
        const json_t *accepted = json_object_get(rule, key);
        if (!accepted) {
            return mr_error_set(error,
                                "training has \"%.40s\", which is not accepted here "
                                "(accept.training lists the keys)",
                                key);
        }
        if (!value_accepted(accepted, value)) {
            char *has = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
            char *may = json_dumps(accepted, JSON_ENCODE_ANY | JSON_COMPACT);
            mr_error_set(error,
                         "training: %.40s %.40s is not accepted here: %.60s is "
                         "(accept.training)",
                         key, has ? has : "?", may ? may : "?");
            free(has);
            free(may);
            return -1;
        }
    }
    return 0;
}

static bool is_any(const char *rule)
{
    return !rule || strcmp(rule, "any") == 0;
}

int mr_training_rule_check(const char *rule, struct mr_error *error)
{
    if (is_any(rule)) {
        return 0;
    }
    json_t *object = json_loads(rule, JSON_REJECT_DUPLICATES, NULL);
    const bool good = json_is_object(object);
    json_decref(object);
    return good
               ? 0
               : mr_error_set(error, "must be any, or a JSON object of the keys that are accepted, "
                                     "such as {\"epochs\": \"1..10\"}");
}

static int training_accepted(const char *rule, const char *text, struct mr_error *error)
{
    if (is_any(rule) || *text == '\0') {
        return 0;
    }
    json_t *accepted = json_loads(rule, JSON_REJECT_DUPLICATES, NULL);
    json_t *training = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    const int result =
        json_is_object(training) && json_is_object(accepted)
            ? members_accepted(accepted, training, error)
            : mr_error_set(error, "training is no JSON object, which accept.training "
                                  "asks for");
    json_decref(accepted);
    json_decref(training);
    return result;
}

/* --- all of it ------------------------------------------------------------------------------- */

void mr_acceptance_init(struct mr_acceptance *acceptance)
{
    for (unsigned i = 0; i < MR_ACCEPTED_COUNT; i++) {
        acceptance->ranges[i] = (struct mr_range){0, INFINITY};
    }
    acceptance->training = NULL;
}

const char *mr_accepted_name(enum mr_accepted which)
{
    static const char *const names[] = {
#define X(enumerator, name, value) name,
#include "wire/accepted.def"
#undef X
    };
    return names[which];
}

static int deadline_accepted(const struct mr_range *range, uint64_t left_ms, struct mr_error *error)
{
    const double left = (double)left_ms;
    if (left_ms == UINT64_MAX || (left + MR_ACCEPTED_DEADLINE_SLACK_MS >= range->least &&
                                  left - MR_ACCEPTED_DEADLINE_SLACK_MS <= range->most)) {
        return 0;
    }
    return not_within("deadline_ms", left, range, error);
}

int mr_acceptance_check(const struct mr_acceptance *acceptance,
                        const struct mr_announcement *announcement, uint64_t left_ms,
                        struct mr_error *error)
{
    const struct mr_announcement *a = announcement;
    const double values[MR_ACCEPTED_COUNT] = {
#define X(enumerator, name, value) [MR_ACCEPTED_##enumerator] = value,
#include "wire/accepted.def"
#undef X
    };
    for (enum mr_accepted i = 0; i < MR_ACCEPTED_COUNT; i++) {
        const struct mr_range *range = &acceptance->ranges[i];
        if (i == MR_ACCEPTED_DEADLINE_MS) {
            if (deadline_accepted(range, left_ms, error) != 0) {
                return -1;
            }
        } else if (!within(range, values[i])) {
            return not_within(mr_accepted_name(i), values[i], range, error);
        }
    }
    return training_accepted(acceptance->training, announcement->training, error);
}
