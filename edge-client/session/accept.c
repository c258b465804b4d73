#include "edge-client/session/accept.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static int take_range(struct mr_range *range, const char *name, const json_t *value,
                      struct mr_error *error)
{
    if (json_is_number(value) && json_number_value(value) >= 0) {
        range->least = range->most = json_number_value(value);
        return 0;
    }
    const char *text = json_string_value(value);
    return text && mr_range_parse(range, text) == 0
               ? 0
               : mr_error_set(error,
                              "accept.%s: must be a number, \"any\", or a range such as "
                              "\"2..10\", \"2..\" or \"..10\"",
                              name);
}

static int take_training(struct mr_acceptance *acceptance, const json_t *value,
                         struct mr_error *error)
{
    char *rule = json_is_string(value) ? strdup(json_string_value(value))
                                       : json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    if (!rule) {
        return mr_error_set(error, "out of memory");
    }
    acceptance->training = rule;
    return mr_training_rule_check(rule, error) == 0 ? 0 : mr_error_prefix(error, "accept.training");
}

static int take_member(struct mr_acceptance *acceptance, const char *name, const json_t *value,
                       struct mr_error *error)
{
    for (enum mr_accepted i = 0; i < MR_ACCEPTED_COUNT; i++) {
        if (strcmp(name, mr_accepted_name(i)) == 0) {
            return take_range(&acceptance->ranges[i], name, value, error);
        }
    }
    return strcmp(name, "training") == 0
               ? take_training(acceptance, value, error)
               : mr_error_set(error, "accept: unknown member \"%.60s\"", name);
}

int mr_accept_read(struct mr_acceptance *acceptance, const char *text, struct mr_error *error)
{
    const char *name;
    json_t *value;
    mr_acceptance_init(acceptance);
    if (!text) {
        return 0;
    }
    json_t *object = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    int result = json_is_object(object) ? 0 : mr_error_set(error, "accept: must be an object");
    json_object_foreach(object, name, value) {
        if (result == 0) {
            result = take_member(acceptance, name, value, error);
        }
    }
    json_decref(object);
    if (result != 0) {
        mr_accept_free(acceptance);
    }
    return result;
}

void mr_accept_free(struct mr_acceptance *acceptance)
{
    free((void *)acceptance->training);
    acceptance->training = NULL;
}
