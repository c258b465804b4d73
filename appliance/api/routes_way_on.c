/* routes_way_on.c - what an operator decides where a round or a task cannot go on by itself: each
 * says what it costs, and is done when that was accepted. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "appliance/api/routes.h"
#include "appliance/api/routes_internal.h"
#include "base/bytes.h"
#include "base/json_reader.h"
#include "base/json_text.h"

struct wish {
    bool accepted;
    bool has_model;
    uint8_t model_hash[MR_HASH_BYTES];
    char codes[MR_RESUME_CODES_MAX + 1];
};

/* Codes of recoveries: 16 hex digits each, with commas between. */
static bool are_codes(const char *text)
{
    while (strspn(text, "0123456789abcdef") == 16) {
        text += 16;
        if (*text == '\0') {
            return true;
        }
        if (*text++ != ',') {
            return false;
        }
    }
    return false;
}

static bool set_member(struct wish *wish, const char *name, const json_t *value, bool model)
{
    if (strcmp(name, "accepted") == 0) {
        wish->accepted = json_is_true(value);
        return json_is_boolean(value);
    }
    const char *text = json_string_value(value);
    if (!model || !text) {
        return false;
    }
    if (strcmp(name, "codes") == 0) {
        snprintf(wish->codes, sizeof wish->codes, "%s", text);
        return strlen(text) <= MR_RESUME_CODES_MAX && are_codes(text);
    }
    wish->has_model =
        strcmp(name, "model") == 0 && mr_hex_decode(wish->model_hash, MR_HASH_BYTES, text) == 0;
    return wish->has_model;
}

/* {"accepted": bool, "model": hash, "codes": text}, each may be left out. False with the request
 * refused. */
static bool read_wish(struct wish *wish, struct mr_request *request, bool model)
{
    size_t length;
    const char *name;
    json_t *value;
    const uint8_t *body = mr_request_body(request, &length);
    *wish = (struct wish){.accepted = false};
    json_t *object = length ? json_loadb((const char *)body, length, JSON_REJECT_DUPLICATES, NULL)
                            : json_object();
    bool good = json_is_object(object);
    json_object_foreach(object, name, value) {
        good = good && set_member(wish, name, value, model);
    }
    json_decref(object);
    if (!good) {
        mr_routes_refuse_as(request, MR_REFUSAL_BAD_REQUEST,
                            "the body must be {\"accepted\": bool%s}",
                            model ? ", \"model\": hash, \"codes\": text" : "");
    }
    return good;
}

void mr_route_admin_void(void *context, struct mr_request *request)
{
    const struct mr_api_task *task = mr_routes_led_task(context, request);
    struct mr_refusal refusal;
    struct wish wish;
    uint64_t round;
    if (!task || !mr_routes_round(request, MR_PARAM_ROUND, &round) ||
        !read_wish(&wish, request, false)) {
        return;
    }
    if (mr_lead_give_up(mr_lead_driver_core(task->lead), round, wish.accepted,
                        mr_lead_driver_now_ms(task->lead), &refusal) != MR_REFUSAL_NONE) {
        mr_routes_refuse(request, &refusal);
        return;
    }
    mr_routes_answer_json(request, json_pack("{s:I}", "round", (json_int_t)round));
}

void mr_route_admin_resume(void *context, struct mr_request *request)
{
    struct mr_api_task *task = mr_routes_task(context, request);
    struct mr_refusal refusal;
    struct wish wish;
    if (!task || !read_wish(&wish, request, true)) {
        return;
    }
    const struct mr_resume_wish asked = {.accepted = wish.accepted,
                                         .codes = wish.codes,
                                         .model_hash = wish.has_model ? wish.model_hash : NULL};
    const enum mr_refusal_code code =
        task->lead ? mr_lead_driver_resume(task->lead, &asked, request, &refusal)
                   : mr_helper_driver_resume(task->helper, &asked, request, &refusal);
    if (code != MR_REFUSAL_NONE) {
        mr_routes_refuse(request, &refusal);
    }
}

void mr_routes_resumed(void *context, void *token, const uint8_t *model_hash)
{
    char hex[2 * MR_HASH_BYTES + 1];
    const struct mr_api_task *task = context;
    if (task->releases) {
        mr_releases_look(task->releases);
    }
    mr_hex_encode(hex, model_hash, MR_HASH_BYTES);
    mr_routes_answer_json(token, json_pack("{s:o}", "model_hash", mr_json_text(hex)));
}

void mr_route_admin_recover(void *context, struct mr_request *request)
{
    struct mr_api_task *task = mr_routes_task(context, request);
    struct mr_refusal refusal;
    struct wish wish;
    if (!task || !read_wish(&wish, request, false)) {
        return;
    }
    const enum mr_refusal_code code =
        task->lead ? mr_lead_driver_recover(task->lead, wish.accepted, request, &refusal)
                   : mr_helper_driver_recover(task->helper, wish.accepted, request, &refusal);
    if (code != MR_REFUSAL_NONE) {
        mr_routes_refuse(request, &refusal);
    }
}

void mr_routes_recovered(void *context, void *token, const struct mr_recovered *recovered,
                         bool halted)
{
    const struct mr_api_task *task = context;
    mr_routes_answer_json(token, json_pack("{s:o, s:o, s:I, s:I, s:b}", "task",
                                           mr_json_text(task->task.config->name), "recovery_code",
                                           mr_json_text(recovered->code), "epoch",
                                           (json_int_t)recovered->epoch, "round",
                                           (json_int_t)recovered->round, "needs_restart", halted));
}

void mr_route_admin_go_on(void *context, struct mr_request *request)
{
    struct mr_refusal refusal;
    struct mr_api_task *task = mr_routes_led_task(context, request);
    if (!task) {
        return;
    }
    if (mr_lead_driver_go_on(task->lead, &refusal) != MR_REFUSAL_NONE) {
        mr_routes_refuse(request, &refusal);
        return;
    }
    mr_routes_answer_json(request,
                          json_pack("{s:o}", "task", mr_json_text(task->task.config->name)));
}
