/* routes_models.c - a task's versions, for the operator: list, look, name, import, roll back,
 * verify. What is asked is done by the task's store desk (round/drive/store_desk.h). */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "appliance/api/routes_internal.h"
#include "base/json_text.h"

#define LIST_MOST     20u
#define LIST_MOST_MAX 100000u

static void on_answer(void *token, const struct mr_refusal *refusal, json_t *answer)
{
    if (refusal) {
        mr_routes_refuse(token, refusal);
    } else {
        mr_routes_answer_json(token, answer);
    }
}

static void on_list(void *token, const struct mr_refusal *refusal, json_t *answer)
{
    on_answer(token, refusal, answer ? json_pack("{s:o}", "models", answer) : NULL);
}

static void ask(const struct mr_api_task *task, struct mr_request *request,
                struct mr_store_wish *wish, mr_store_answer_fn fn)
{
    struct mr_refusal refusal;
    struct mr_store_desk *desk = task->lead ? mr_lead_driver_store_desk(task->lead)
                                            : mr_helper_driver_store_desk(task->helper);
    snprintf(wish->by, sizeof wish->by, "operator %s", mr_request_identity(request)->name);
    if (!desk) {
        mr_routes_refuse_as(request, MR_REFUSAL_BUSY, "the hub is stopping");
    } else if (mr_store_desk_ask(desk, wish, fn, request, &refusal) != MR_REFUSAL_NONE) {
        mr_routes_refuse(request, &refusal);
    }
}

/* The path's "12", "current", or an alias. False with the request refused. */
static bool read_which(struct mr_store_wish *wish, struct mr_request *request)
{
    const char *which = mr_request_param(request, MR_PARAM_MODEL);
    const size_t digits = strspn(which, "0123456789"), length = strlen(which);
    const bool number = digits > 0 && digits == length && length <= 15 && which[0] != '0';
    if (!number && strcmp(which, "current") != 0 && !mr_alias_valid(which)) {
        mr_routes_refuse_as(request, MR_REFUSAL_BAD_REQUEST,
                            "a version is a number from 1 on, `current`, or an alias: a letter, "
                            "then at most %d of [a-z0-9-]",
                            MR_ALIAS_MAX - 1);
        return false;
    }
    snprintf(wish->which, sizeof wish->which, "%s", which);
    return true;
}

/* --- looking -----------------------------------------------------------------------------------
 */

void mr_route_models(void *context, struct mr_request *request)
{
    const struct mr_api_task *task = mr_routes_task(context, request);
    struct mr_store_wish wish = {.kind = MR_STORE_LIST};
    if (task) {
        const uint64_t most = mr_request_query(request, "most", LIST_MOST);
        wish.most = (unsigned)(most < LIST_MOST_MAX ? most : LIST_MOST_MAX);
        ask(task, request, &wish, on_list);
    }
}

void mr_route_model_show(void *context, struct mr_request *request)
{
    const struct mr_api_task *task = mr_routes_task(context, request);
    struct mr_store_wish wish = {.kind = MR_STORE_SHOW};
    if (task && read_which(&wish, request)) {
        ask(task, request, &wish, on_answer);
    }
}

void mr_route_model_verify(void *context, struct mr_request *request)
{
    const struct mr_api_task *task = mr_routes_task(context, request);
    struct mr_store_wish wish = {.kind = MR_STORE_VERIFY};
    if (task) {
        ask(task, request, &wish, on_answer);
    }
}

/* What tasks.keep allows no longer goes with the pass that this begins. */
void mr_route_model_gc(void *context, struct mr_request *request)
{
    const struct mr_api_task *task = mr_routes_task(context, request);
    if (!task) {
        return;
    }
    struct mr_keeper *keeper =
        task->lead ? mr_lead_driver_keeper(task->lead) : mr_helper_driver_keeper(task->helper);
    if (keeper) {
        mr_keeper_kick(keeper);
    }
    mr_routes_answer_json(request, json_pack("{s:b}", "begun", keeper != NULL));
}

/* --- changing ----------------------------------------------------------------------------------
 */

static bool take_text(char *out, size_t room, const json_t *value)
{
    const char *text = json_string_value(value);
    const bool good = text && strlen(text) == json_string_length(value) && strlen(text) < room;
    snprintf(out, room, "%s", good ? text : "");
    return good;
}

/* Members of a body, and which of them it may have. */
struct body {
    const char *name_member, *value_member, *note_member; /* NULL: not in this one */
    bool accepted;
};

static bool take_member(struct mr_store_wish *wish, const struct body *body, const char *name,
                        const json_t *value)
{
    if (body->accepted && strcmp(name, "accepted") == 0) {
        wish->accepted = json_is_true(value);
        return json_is_boolean(value);
    }
    if (body->name_member && strcmp(name, body->name_member) == 0) {
        return take_text(wish->name, sizeof wish->name, value);
    }
    if (body->value_member && strcmp(name, body->value_member) == 0) {
        return take_text(wish->value, sizeof wish->value, value);
    }
    return body->note_member && strcmp(name, body->note_member) == 0 &&
           take_text(wish->note, sizeof wish->note, value);
}

/* False with the request refused. */
static bool read_body(struct mr_store_wish *wish, const struct body *body,
                      struct mr_request *request)
{
    size_t length;
    const char *name;
    json_t *value;
    const uint8_t *bytes = mr_request_body(request, &length);
    json_t *object = length ? json_loadb((const char *)bytes, length, JSON_REJECT_DUPLICATES, NULL)
                            : json_object();
    bool good = json_is_object(object);
    json_object_foreach(object, name, value) {
        good = good && take_member(wish, body, name, value);
    }
    json_decref(object);
    if (!good || (body->name_member && !mr_alias_valid(wish->name))) {
        mr_routes_refuse_as(request, MR_REFUSAL_BAD_REQUEST,
                            "the body must be a JSON object of%s%s%s%s%s; a name is a letter, then "
                            "at most %d of [a-z0-9-], and not `current`",
                            body->name_member ? " " : "",
                            body->name_member ? body->name_member : "",
                            body->value_member ? " value" : "", body->note_member ? " note" : "",
                            body->accepted ? " accepted" : "", MR_ALIAS_MAX - 1);
        return false;
    }
    return true;
}

void mr_route_model_promote(void *context, struct mr_request *request)
{
    static const struct body body = {.name_member = "alias"};
    const struct mr_api_task *task = mr_routes_task(context, request);
    struct mr_store_wish wish = {.kind = MR_STORE_ALIAS};
    if (task && read_which(&wish, request) && read_body(&wish, &body, request)) {
        ask(task, request, &wish, on_answer);
    }
}

void mr_route_model_tag(void *context, struct mr_request *request)
{
    static const struct body body = {.name_member = "name", .value_member = "value"};
    const struct mr_api_task *task = mr_routes_task(context, request);
    struct mr_store_wish wish = {.kind = MR_STORE_TAG};
    if (task && read_which(&wish, request) && read_body(&wish, &body, request)) {
        ask(task, request, &wish, on_answer);
    }
}

/* An alias that no version bears any more. */
void mr_route_alias_drop(void *context, struct mr_request *request)
{
    const struct mr_api_task *task = mr_routes_task(context, request);
    struct mr_store_wish wish = {.kind = MR_STORE_ALIAS};
    const char *alias = mr_request_param(request, MR_PARAM_MODEL);
    if (!task) {
        return;
    }
    if (!mr_alias_valid(alias)) {
        mr_routes_refuse_as(request, MR_REFUSAL_BAD_REQUEST,
                            "an alias is a letter, then at most %d of [a-z0-9-], and not `current`",
                            MR_ALIAS_MAX - 1);
        return;
    }
    snprintf(wish.name, sizeof wish.name, "%s", alias);
    ask(task, request, &wish, on_answer);
}

void mr_route_model_rollback(void *context, struct mr_request *request)
{
    static const struct body body = {.note_member = "note", .accepted = true};
    const struct mr_api_task *task = mr_routes_task(context, request);
    struct mr_store_wish wish = {.kind = MR_STORE_ROLLBACK};
    if (task && read_which(&wish, request) && read_body(&wish, &body, request)) {
        ask(task, request, &wish, on_answer);
    }
}

void mr_route_model_import(void *context, struct mr_request *request)
{
    const struct mr_api_task *task = mr_routes_task(context, request);
    struct mr_store_wish wish = {.kind = MR_STORE_IMPORT};
    if (task) {
        wish.accepted = mr_request_query(request, "accepted", 0) == 1;
        wish.bytes = mr_request_body(request, &wish.length);
        ask(task, request, &wish, on_answer);
    }
}
