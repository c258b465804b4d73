/* answers.c - how a request is answered, at once or when the round knows. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "appliance/api/routes.h"
#include "appliance/api/routes_internal.h"

void mr_routes_refuse(struct mr_request *request, const struct mr_refusal *refusal)
{
    mr_request_refuse(request, refusal->code, refusal->retry_after_ms, "%s", refusal->text);
}

void mr_routes_refuse_as(struct mr_request *request, enum mr_refusal_code code, const char *format,
                         ...)
{
    struct mr_refusal refusal;
    char text[sizeof refusal.text];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    mr_refuse(&refusal, code, "%s", text);
    mr_routes_refuse(request, &refusal);
}

void mr_routes_answer_text(struct mr_request *request, int status, char *text)
{
    if (!text) {
        mr_routes_refuse_as(request, MR_REFUSAL_INTERNAL, "out of memory");
        return;
    }
    mr_request_answer_owned(request, status, "application/json", text, strlen(text));
}

void mr_routes_answer_json(struct mr_request *request, json_t *object)
{
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    mr_routes_answer_text(request, 200, text);
}

void mr_routes_admitted(void *context, void *token, const struct mr_upload_grant *grant)
{
    (void)context;
    mr_routes_answer_text(token, 200, mr_upload_grant_encode(grant));
}

/* Beside whatever another hub is told. */
static void say_standing(const struct mr_api_task *task, struct mr_request *request)
{
    char word[MR_STANDINGS_TEXT];
    const struct mr_identity *identity = mr_request_identity(request);
    if (task->helper && identity->role == MR_ROLE_HUB) {
        mr_helper_driver_say(task->helper, identity->hub_index, word);
        mr_request_answer_word(request, word);
    }
}

void mr_routes_refused(void *context, void *token, const struct mr_refusal *refusal)
{
    const struct mr_api_task *task = context;
    const struct mr_identity *identity = mr_request_identity(token);
    if (task->helper && identity->role == MR_ROLE_HUB) {
        mr_helper_driver_refused(task->helper, identity->hub_index, refusal);
    }
    say_standing(task, token);
    mr_routes_refuse(token, refusal);
}

void mr_routes_answered(void *context, void *token, bool json, const void *body, size_t length)
{
    say_standing(context, token);
    if (body) {
        mr_request_answer(token, 200, json ? "application/json" : "application/octet-stream", body,
                          length);
    } else {
        mr_request_answer(token, 204, NULL, NULL, 0);
    }
}

void mr_routes_changed(void *context)
{
    const struct mr_api_task *task = context;
    if (task->releases) { /* a round that has ended may have made a model */
        mr_releases_look(task->releases);
    }
    mr_long_polls_wake(task->polls);
}
