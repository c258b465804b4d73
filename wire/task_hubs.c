/* The hubs of a task as one of them knows them: for whoever wants to compare before a round. */
#include "wire/messages.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/base64.h"
#include "base/json_reader.h"

static json_t *hub_object(const struct mr_announced_hub *hub)
{
    char key[MR_BASE64_LENGTH(MR_PUBLIC_KEY_BYTES) + 1];
    mr_base64_encode(key, hub->public_key, MR_PUBLIC_KEY_BYTES);
    return json_pack("{s:i, s:o, s:o}", "index", hub->index, "name", json_string(hub->name),
                     "public_key", json_string(key));
}

char *mr_task_hubs_encode(const struct mr_task_hubs *message)
{
    MR_ASSERT(message->hub_count <= MR_HUBS_MAX);
    json_t *hubs = json_array();
    for (unsigned i = 0; i < message->hub_count; i++) {
        if (json_array_append_new(hubs, hub_object(&message->hubs[i])) != 0) {
            json_decref(hubs);
            return NULL;
        }
    }
    json_t *object = json_pack("{s:i, s:o}", "hub", message->hub_index, "hubs", hubs);
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    return text;
}

static int take_hub(struct mr_announced_hub *hub, json_t *value, struct mr_error *error)
{
    struct mr_json_reader reader;
    mr_json_reader_wrap(&reader, value, error);
    hub->index = (uint16_t)mr_json_take_integer(&reader, "index", 0, UINT16_MAX);
    mr_json_take_text(&reader, "name", hub->name, sizeof hub->name);
    mr_json_take_binary(&reader, "public_key", hub->public_key, MR_PUBLIC_KEY_BYTES);
    return mr_json_reader_close(&reader);
}

int mr_task_hubs_decode(struct mr_task_hubs *message, const char *text, size_t length,
                        struct mr_error *error)
{
    struct mr_json_reader reader = {.error = error};
    memset(message, 0, sizeof *message);
    if (length > MR_MESSAGE_MAX) {
        mr_json_reader_fail(&reader, "the body has %zu bytes: at most %d are taken", length,
                            MR_MESSAGE_MAX);
    } else {
        mr_json_reader_open(&reader, text, length, error);
    }
    message->hub_index = (uint16_t)mr_json_take_integer(&reader, "hub", 0, UINT16_MAX);
    json_t *hubs = mr_json_take_array(&reader, "hubs", 2, MR_HUBS_MAX);
    message->hub_count = (unsigned)json_array_size(hubs);
    for (unsigned i = 0; i < message->hub_count; i++) {
        if (take_hub(&message->hubs[i], json_incref(json_array_get(hubs, i)), error) != 0) {
            mr_error_prefix(error, "hubs[%u]", i);
            reader.failed = true;
            break;
        }
    }
    json_decref(hubs);
    return mr_json_reader_close(&reader);
}
