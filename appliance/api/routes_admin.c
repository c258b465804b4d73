/* routes_admin.c - rounds, for the operator: list, look and wait on every hub; open at the lead. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/api/routes_internal.h"
#include "base/json_text.h"
#include "base/json_reader.h"

/* --- look ------------------------------------------------------------------------------------ */

/* Of a round that is under way at its lead: the hub that it waits for. */
static void put_waits_for(json_t *object, const struct mr_api_task *task, uint64_t round)
{
    struct mr_lead_report report;
    if (task->lead) {
        mr_lead_report(mr_lead_driver_core(task->lead), &report);
        if (report.round == round && report.waits_for[0]) {
            json_object_set_new(object, "waits_for", mr_json_text(report.waits_for));
        }
    }
}

/* What this hub did with the round's model afterwards. */
static void put_release(json_t *object, const struct mr_api_task *task, uint64_t round)
{
    const struct mr_release_times *times =
        task->releases ? mr_releases_times(task->releases) : NULL;
    if (!times || times->version.round != round || times->version.step != 0) {
        return;
    }
    json_t *stages = json_object();
    for (unsigned i = 0; i < MR_RELEASE_STAGES; i++) {
        if (times->us[i] > 0) {
            json_object_set_new(stages, mr_release_stage_names[i], json_integer(times->us[i]));
        }
    }
    json_object_set_new(object, "release_us", stages);
    if (times->kept_us > 0) {
        json_object_set_new(object, "release_kept_us", json_integer((json_int_t)times->kept_us));
    }
}

static json_t *round_json(const struct mr_api_task *task, const struct mr_round_summary *summary,
                          bool whole)
{
    json_t *object = mr_round_summary_json(summary, task->task.config->name, whole);
    if (whole) {
        put_waits_for(object, task, summary->round);
        put_release(object, task, summary->round);
    }
    return object;
}

void mr_route_admin_list(void *context, struct mr_request *request)
{
    struct mr_api_task *task = mr_routes_task(context, request);
    if (!task) {
        return;
    }
    struct mr_round_summary *list = calloc(MR_ROUND_HISTORY_MAX, sizeof *list);
    json_t *rounds = json_array();
    const unsigned count =
        list ? mr_round_history_list(mr_routes_history(task), list, MR_ROUND_HISTORY_MAX) : 0;
    for (unsigned i = 0; i < count; i++) {
        json_array_append_new(rounds, round_json(task, &list[i], false));
    }
    free(list);
    mr_routes_answer_json(request, json_pack("{s:o}", "rounds", rounds));
}

static bool try_round(void *context, struct mr_request *request, bool expired)
{
    const struct mr_api_task *task = context;
    struct mr_round_summary summary;
    const enum mr_routes_seen seen = mr_routes_see_round(task, request, expired, &summary);
    if (seen == MR_ROUTES_ROUND) {
        mr_routes_answer_json(request, round_json(task, &summary, true));
    }
    return seen != MR_ROUTES_WAIT;
}

void mr_route_admin_round(void *context, struct mr_request *request)
{
    struct mr_api_task *task = mr_routes_task(context, request);
    if (task) {
        mr_long_poll_try(task->polls, request, try_round);
    }
}

/* --- open ------------------------------------------------------------------------------------ */

/* What an operator may ask of one round instead of what the configuration says. */
static const struct {
    const char *name;
    size_t offset;
    unsigned bytes; /* of an integer; 0: a float */
    bool may_be_auto;
} overrides[] = {
    {"quorum", offsetof(struct mr_round_params, quorum), 4, false},
    {"deadline_ms", offsetof(struct mr_round_params, deadline_ms), 4, false},
    {"cohort_min", offsetof(struct mr_round_params, cohort_min), 4, false},
    {"cohort_max", offsetof(struct mr_round_params, cohort_max), 4, false},
    {"admitted_max", offsetof(struct mr_round_params, admitted_max), 4, false},
    {"weight_max", offsetof(struct mr_round_params, weight_max), 4, false},
    {"ring_bits", offsetof(struct mr_round_params, ring_bits), 1, true},
    {"levels", offsetof(struct mr_round_params, levels), 1, true},
    {"headroom", offsetof(struct mr_round_params, headroom), 4, false},
    {"rotation_log2", offsetof(struct mr_round_params, rotation_log2), 1, true},
    {"chunk_bytes", offsetof(struct mr_round_params, chunk_bytes), 2, false},
    {"scale", offsetof(struct mr_round_params, scale), 0, true},
    {"clip_norm", offsetof(struct mr_round_params, clip_norm), 0, false},
    {"step_max", offsetof(struct mr_round_params, step_max), 0, true},
    {"audit_hours", offsetof(struct mr_round_params, audit_hours), 4, false},
};

/* "auto", where it may be: 0 of a float, the largest value of an integer. */
static bool set_auto(struct mr_round_params *params, unsigned row, const json_t *value)
{
    const bool integer = overrides[row].bytes > 0;
    const char *text = json_string_value(value);
    if (!overrides[row].may_be_auto || !text || strcmp(text, "auto") != 0) {
        return false;
    }
    memset((uint8_t *)params + overrides[row].offset, integer ? 0xff : 0,
           integer ? overrides[row].bytes : sizeof(float));
    return true;
}

static bool set_number(struct mr_round_params *params, unsigned row, const json_t *value)
{
    uint8_t *at = (uint8_t *)params + overrides[row].offset;
    if (overrides[row].bytes == 0) {
        const float number = (float)json_number_value(value);
        memcpy(at, &number, sizeof number);
        return json_is_number(value) && isfinite(number) && number > 0;
    }
    const json_int_t number = json_integer_value(value);
    const uint64_t most =
        (UINT64_C(1) << (8 * overrides[row].bytes)) - 1 - overrides[row].may_be_auto;
    if (!json_is_integer(value) || number < 0 || (uint64_t)number > most) {
        return false;
    }
    memcpy(at, &number, overrides[row].bytes); /* little-endian hosts only */
    return true;
}

/* "evaluation", or "training": with metrics before it where the task's policy says so. */
static bool set_kind(struct mr_round_params *params, const json_t *value)
{
    const char *name = json_string_value(value);
    if (name && strcmp(name, "evaluation") == 0) {
        params->kind = MR_ROUND_EVALUATION;
        return true;
    }
    return name && strcmp(name, "training") == 0;
}

/* "" or what is wrong with one member of the body. */
static const char *set_override(struct mr_round_params *params, const char *name,
                                const json_t *value)
{
    for (unsigned i = 0; i < sizeof overrides / sizeof overrides[0]; i++) {
        if (strcmp(name, overrides[i].name) == 0) {
            return set_auto(params, i, value) || set_number(params, i, value)
                       ? ""
                       : "is no number that can stand there";
        }
    }
    if (strcmp(name, "kind") == 0) {
        return set_kind(params, value) ? "" : "is neither training nor evaluation";
    }
    if (strcmp(name, "training") != 0) {
        return "is none that a round has";
    }
    if (!json_is_string(value) || json_string_length(value) > MR_TRAINING_MAX ||
        strlen(json_string_value(value)) != json_string_length(value)) {
        return "is no text, or a text that is too long";
    }
    memset(params->training, 0, sizeof params->training);
    memcpy(params->training, json_string_value(value), json_string_length(value));
    return "";
}

/* False with the request refused. */
static bool read_wish(struct mr_round_params *params, struct mr_request *request)
{
    size_t length;
    const char *name;
    json_t *value;
    const uint8_t *body = mr_request_body(request, &length);
    if (length == 0) {
        return true;
    }
    json_error_t why;
    char text[MR_JSON_WHY_BYTES];
    json_t *object = json_loadb((const char *)body, length, JSON_REJECT_DUPLICATES, &why);
    if (!json_is_object(object)) {
        mr_routes_refuse_as(request, MR_REFUSAL_BAD_REQUEST, "the body is no JSON object: %s",
                            object ? "another kind of value" : mr_json_why(text, &why));
        json_decref(object);
        return false;
    }
    bool good = true;
    json_object_foreach(object, name, value) {
        const char *wrong = good ? set_override(params, name, value) : "";
        if (*wrong != '\0') {
            good = false;
            mr_routes_refuse_as(request, MR_REFUSAL_BAD_REQUEST, "member \"%.40s\" %s", name,
                                wrong);
        }
    }
    json_decref(object);
    return good;
}

void mr_route_admin_open(void *context, struct mr_request *request)
{
    const struct mr_api_task *task = mr_routes_led_task(context, request);
    struct mr_round_params params;
    struct mr_refusal refusal;
    uint64_t round = 0;
    if (!task) {
        return;
    }
    mr_round_params_init(&params, &task->task.config->round);
    if (!read_wish(&params, request)) {
        return;
    }
    if (mr_lead_driver_begin(task->lead, &params, &round, &refusal) != MR_REFUSAL_NONE) {
        mr_routes_refuse(request, &refusal);
        return;
    }
    mr_routes_answer_json(request, json_pack("{s:I}", "round", (json_int_t)round));
}
