#include "edge-client/session/ledger_text.h"

#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/json_reader.h"
#include "base/json_text.h"

/* --- out ------------------------------------------------------------------------------------- */

static json_t *binary(const uint8_t hash[MR_HASH_BYTES])
{
    char text[MR_BASE64_LENGTH(MR_HASH_BYTES) + 1];
    mr_base64_encode(text, hash, MR_HASH_BYTES);
    return mr_json_text(text);
}

static json_t *spent_list(const struct mr_ledger *ledger)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < ledger->spent_count; i++) {
        json_array_append_new(list,
                              json_pack("{s:o, s:I}", "pool", mr_json_text(ledger->spent[i].pool),
                                        "rho", (json_int_t)ledger->spent[i].rho));
    }
    return list;
}

char *mr_ledger_text(const struct mr_ledger *ledger)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < ledger->counted_count; i++) {
        const struct mr_counted *entry = &ledger->counted[i];
        json_t *object =
            json_pack("{s:o, s:o, s:o, s:I, s:o, s:I}", "parent", binary(entry->parent),
                      "announcement", binary(entry->announcement), "task",
                      mr_json_text(entry->task), "round", (json_int_t)entry->round, "pool",
                      mr_json_text(entry->pool), "rho", (json_int_t)entry->rho);
        json_array_append_new(list, object);
    }
    json_t *root =
        json_pack("{s:I, s:I, s:I, s:i, s:o, s:o}", "finished", (json_int_t)ledger->finished,
                  "round", (json_int_t)ledger->round, "attempts", (json_int_t)ledger->attempts,
                  "unknown", (int)ledger->unknown, "counted", list, "spent", spent_list(ledger));
    char *text = root && json_array_size(list) == ledger->counted_count
                     ? json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS)
                     : NULL;
    json_decref(root);
    return text;
}

/* --- in -------------------------------------------------------------------------------------- */

static int take_counted(struct mr_counted *entry, json_t *value, struct mr_error *error)
{
    struct mr_json_reader reader;
    mr_json_reader_wrap(&reader, json_incref(value), error);
    mr_json_take_binary(&reader, "parent", entry->parent, MR_HASH_BYTES);
    mr_json_take_binary(&reader, "announcement", entry->announcement, MR_HASH_BYTES);
    mr_json_take_text(&reader, "task", entry->task, sizeof entry->task);
    entry->round = mr_json_take_integer(&reader, "round", 0, MR_ROUND_MAX);
    mr_json_take_text(&reader, "pool", entry->pool, sizeof entry->pool);
    entry->rho = mr_json_take_integer(&reader, "rho", 0, INT64_MAX);
    if (!mr_task_name_valid(entry->task)) {
        mr_json_reader_fail(&reader, "member \"task\" is no task's name");
    }
    if (entry->pool[0] && !mr_task_name_valid(entry->pool)) {
        mr_json_reader_fail(&reader, "member \"pool\" is no pool's name");
    }
    return mr_json_reader_close(&reader);
}

static int take_spent(struct mr_spent *entry, json_t *value, struct mr_error *error)
{
    struct mr_json_reader reader;
    mr_json_reader_wrap(&reader, json_incref(value), error);
    mr_json_take_text(&reader, "pool", entry->pool, sizeof entry->pool);
    entry->rho = mr_json_take_integer(&reader, "rho", 0, INT64_MAX);
    if (!mr_task_name_valid(entry->pool)) {
        mr_json_reader_fail(&reader, "member \"pool\" is no pool's name");
    }
    return mr_json_reader_close(&reader);
}

int mr_ledger_parse(struct mr_ledger *ledger, const char *text, size_t length,
                    struct mr_error *error)
{
    struct mr_json_reader reader;
    mr_json_reader_open(&reader, text, length, error);
    ledger->finished = mr_json_take_integer(&reader, "finished", 0, MR_ROUND_MAX);
    ledger->round = mr_json_take_integer(&reader, "round", 0, MR_ROUND_MAX);
    ledger->attempts = (uint32_t)mr_json_take_integer(&reader, "attempts", 0, UINT32_MAX);
    ledger->unknown = mr_json_take_integer(&reader, "unknown", 0, 1) != 0;
    json_t *list = mr_json_take_array(&reader, "counted", 0, MR_LEDGER_COUNTED_MAX);
    ledger->counted_count = (unsigned)json_array_size(list);
    int bad = 0;
    for (unsigned i = 0; i < ledger->counted_count && !bad; i++) {
        bad = take_counted(&ledger->counted[i], json_array_get(list, i), error);
        if (bad) {
            mr_error_prefix(error, "counted[%u]", i);
            reader.failed = true;
        }
    }
    json_decref(list);
    list = mr_json_take_array(&reader, "spent", 0, MR_LEDGER_POOLS_MAX);
    ledger->spent_count = (unsigned)json_array_size(list);
    for (unsigned i = 0; i < ledger->spent_count && !bad; i++) {
        bad = take_spent(&ledger->spent[i], json_array_get(list, i), error);
        if (bad) {
            mr_error_prefix(error, "spent[%u]", i);
            reader.failed = true;
        }
    }
    json_decref(list);
    return mr_json_reader_close(&reader);
}

/* The highest of all numbers behind that member's name. */
static uint64_t highest(const char *text, const char *member)
{
    uint64_t most = 0;
    for (const char *at = text; (at = strstr(at, member));) {
        at += strlen(member);
        at += strspn(at, " \t\r\n:");
        const size_t digits = strspn(at, "0123456789");
        const uint64_t number = digits > 0 && digits <= 16 ? strtoull(at, NULL, 10) : 0;
        most = number > most && number <= MR_ROUND_MAX ? number : most;
    }
    return most;
}

uint64_t mr_ledger_salvage(const char *text)
{
    const uint64_t finished = highest(text, "\"finished\""), round = highest(text, "\"round\"");
    return finished > round ? finished : round;
}
