/* versions_json.c - versions as operators see them. */
#include <stdio.h>
#include <string.h>

#include "appliance/model/versions_internal.h"
#include "base/bytes.h"
#include "base/json_text.h"

static void put_hash(json_t *object, const char *name, const uint8_t hash[MR_HASH_BYTES])
{
    static const uint8_t none[MR_HASH_BYTES];
    char hex[2 * MR_HASH_BYTES + 1];
    if (memcmp(hash, none, sizeof none) != 0) {
        mr_hex_encode(hex, hash, MR_HASH_BYTES);
        json_object_set_new(object, name, mr_json_text(hex));
    }
}

static void put_number(json_t *object, const char *name, uint64_t number)
{
    if (number) {
        json_object_set_new(object, name, json_integer((json_int_t)number));
    }
}

static void put_text(json_t *object, const char *name, const char *text)
{
    if (*text) {
        json_object_set_new(object, name, mr_json_text(text));
    }
}

static void put_real(json_t *object, const char *name, double value)
{
    if (value > 0) {
        json_object_set_new(object, name, mr_json_real(value));
    }
}

/* What comes first stands in a table; the rest is for one version. */
static json_t *version_json(const struct mr_version *version, bool whole)
{
    json_t *object = json_object();
    put_number(object, "version", version->number);
    put_text(object, "kind", mr_version_kind_name(version->kind));
    if (version->withdrawn) {
        json_object_set_new(object, "withdrawn", json_true());
    }
    put_number(object, "round", version->round);
    put_number(object, "source", version->source);
    put_number(object, "included", version->included);
    put_real(object, "epsilon", version->epsilon);
    put_hash(object, "model_hash", version->hash);
    json_object_set_new(object, "made_unix_ms", json_integer(version->made_unix_ms));
    put_text(object, "by", version->by);
    put_text(object, "note", version->note);
    if (whole) {
        json_t *metrics = version->metrics[0] ? json_loads(version->metrics, 0, NULL) : NULL;
        put_hash(object, "parent", version->parent);
        put_hash(object, "announcement_hash", version->announcement);
        put_hash(object, "optimiser_state", version->state);
        put_real(object, "clip_norm", version->clip_norm);
        put_text(object, "noise", version->noise);
        if (metrics) {
            json_object_set_new(object, "metrics", metrics);
        }
    }
    return object;
}

/* "champion canary": one cell of a table. 0 or -1. */
static int put_aliases(struct mr_versions *versions, json_t *object, uint64_t number,
                       struct mr_error *error)
{
    sqlite3_stmt *statement = mr_sql_prepare(
        versions, "SELECT alias FROM aliases WHERE version = ? ORDER BY alias", error);
    char text[512] = "";
    size_t length = 0;
    int got = statement ? 0 : -1;
    if (statement) {
        sqlite3_bind_int64(statement, 1, (sqlite3_int64)number);
    }
    while (got == 0 && (got = mr_sql_step(versions, statement, error)) == 0) {
        const char *alias = (const char *)sqlite3_column_text(statement, 0);
        if (length + strlen(alias) + 2 < sizeof text) {
            length += (size_t)snprintf(text + length, sizeof text - length, "%s%s",
                                       length ? " " : "", alias);
        }
    }
    put_text(object, "aliases", text);
    sqlite3_finalize(statement);
    return got < 0 ? -1 : 0;
}

static int put_tags(struct mr_versions *versions, json_t *object, uint64_t number,
                    struct mr_error *error)
{
    sqlite3_stmt *statement = mr_sql_prepare(
        versions, "SELECT name, value FROM tags WHERE version = ? ORDER BY name", error);
    json_t *tags = NULL;
    int got = statement ? 0 : -1;
    if (statement) {
        sqlite3_bind_int64(statement, 1, (sqlite3_int64)number);
    }
    while (got == 0 && (got = mr_sql_step(versions, statement, error)) == 0) {
        tags = tags ? tags : json_object();
        json_object_set_new(tags, (const char *)sqlite3_column_text(statement, 0),
                            mr_json_text((const char *)sqlite3_column_text(statement, 1)));
    }
    if (tags) {
        json_object_set_new(object, "tags", tags);
    }
    sqlite3_finalize(statement);
    return got < 0 ? -1 : 0;
}

json_t *mr_versions_list_json(struct mr_versions *versions, unsigned most, struct mr_error *error)
{
    json_t *list = json_array();
    sqlite3_stmt *statement = mr_sql_prepare(
        versions, "SELECT " MR_VERSION_COLUMNS " FROM versions ORDER BY version DESC LIMIT ?",
        error);
    int got = statement ? 0 : -1;
    if (statement) {
        sqlite3_bind_int64(statement, 1, most);
    }
    while (got == 0 && (got = mr_sql_step(versions, statement, error)) == 0) {
        struct mr_version version;
        mr_version_read(&version, statement);
        json_t *object = version_json(&version, false);
        if (put_aliases(versions, object, version.number, error) != 0 ||
            put_tags(versions, object, version.number, error) != 0) {
            got = -1;
        }
        json_array_append_new(list, object);
    }
    sqlite3_finalize(statement);
    if (got < 0) {
        json_decref(list);
        return NULL;
    }
    return list;
}

/* What became of every alias that this version bore. */
static int put_history(struct mr_versions *versions, json_t *object, uint64_t number,
                       struct mr_error *error)
{
    json_t *list = json_array();
    sqlite3_stmt *statement =
        mr_sql_prepare(versions,
                       "SELECT alias, version, before, set_unix_ms, set_by FROM alias_history "
                       "WHERE version = ?1 OR before = ?1 ORDER BY step",
                       error);
    int got = statement ? 0 : -1;
    if (statement) {
        sqlite3_bind_int64(statement, 1, (sqlite3_int64)number);
    }
    while (got == 0 && (got = mr_sql_step(versions, statement, error)) == 0) {
        json_t *line = json_object();
        put_text(line, "alias", (const char *)sqlite3_column_text(statement, 0));
        put_number(line, "version", (uint64_t)sqlite3_column_int64(statement, 1));
        put_number(line, "before", (uint64_t)sqlite3_column_int64(statement, 2));
        json_object_set_new(line, "set_unix_ms", json_integer(sqlite3_column_int64(statement, 3)));
        put_text(line, "by", (const char *)sqlite3_column_text(statement, 4));
        json_array_append_new(list, line);
    }
    sqlite3_finalize(statement);
    json_object_set_new(object, "alias_history", list);
    return got < 0 ? -1 : 0;
}

json_t *mr_versions_show_json(struct mr_versions *versions, uint64_t number, struct mr_error *error)
{
    struct mr_version version;
    const int got = mr_versions_find(versions, number, &version, error);
    if (got != 0) {
        if (got > 0) {
            mr_error_set(error, "there is no version %llu", (unsigned long long)number);
        }
        return NULL;
    }
    json_t *object = version_json(&version, true);
    if (put_aliases(versions, object, number, error) != 0 ||
        put_tags(versions, object, number, error) != 0 ||
        put_history(versions, object, number, error) != 0) {
        json_decref(object);
        return NULL;
    }
    return object;
}
