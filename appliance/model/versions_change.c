/* versions_change.c - versions are made, and withdrawn. */
#include "appliance/model/versions_internal.h"

#include <string.h>

static const uint8_t none[MR_HASH_BYTES];

static void bind_hash(sqlite3_stmt *statement, int at, const uint8_t hash[MR_HASH_BYTES])
{
    if (memcmp(hash, none, sizeof none) != 0) {
        sqlite3_bind_blob(statement, at, hash, MR_HASH_BYTES, SQLITE_STATIC);
    }
}

/* 0 is no number of these: NULL. */
static void bind_number(sqlite3_stmt *statement, int at, uint64_t number)
{
    if (number) {
        sqlite3_bind_int64(statement, at, (sqlite3_int64)number);
    }
}

static void bind_real(sqlite3_stmt *statement, int at, double value)
{
    if (value > 0) {
        sqlite3_bind_double(statement, at, value);
    }
}

static void bind_text(sqlite3_stmt *statement, int at, const char *text)
{
    if (*text) {
        sqlite3_bind_text(statement, at, text, -1, SQLITE_STATIC);
    }
}

static int insert(struct mr_versions *versions, const struct mr_version *version,
                  struct mr_error *error)
{
    int at = 1;
    sqlite3_stmt *statement = mr_sql_prepare(versions,
                                             "INSERT INTO versions (" MR_VERSION_COLUMNS
                                             ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
                                             error);
    if (!statement) {
        return -1;
    }
    sqlite3_bind_int64(statement, at++, (sqlite3_int64)version->number);
    bind_hash(statement, at++, version->hash);
    bind_hash(statement, at++, version->parent);
    bind_hash(statement, at++, version->state);
    sqlite3_bind_text(statement, at++, mr_version_kind_name(version->kind), -1, SQLITE_STATIC);
    sqlite3_bind_int(statement, at++, 0);
    bind_number(statement, at++, version->source);
    bind_number(statement, at++, version->round);
    bind_hash(statement, at++, version->announcement);
    bind_number(statement, at++, version->included);
    bind_real(statement, at++, version->clip_norm);
    bind_text(statement, at++, version->noise);
    bind_real(statement, at++, version->epsilon);
    bind_text(statement, at++, version->metrics);
    sqlite3_bind_int64(statement, at++, version->made_unix_ms);
    sqlite3_bind_text(statement, at++, version->by, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, at++, version->note, -1, SQLITE_STATIC);
    return mr_sql_finish(versions, statement, error);
}

static int set_withdrawn(struct mr_versions *versions, uint64_t number, bool withdrawn,
                         struct mr_error *error)
{
    sqlite3_stmt *statement =
        mr_sql_prepare(versions, "UPDATE versions SET withdrawn = ? WHERE version = ?", error);
    if (statement) {
        sqlite3_bind_int(statement, 1, withdrawn);
        sqlite3_bind_int64(statement, 2, (sqlite3_int64)number);
    }
    return mr_sql_finish(versions, statement, error);
}

static bool same_origin(const struct mr_version *a, const struct mr_version *b)
{
    return memcmp(a->hash, b->hash, MR_HASH_BYTES) == 0 && a->kind == b->kind &&
           a->kind == MR_VERSION_ROUND &&
           memcmp(a->announcement, b->announcement, MR_HASH_BYTES) == 0;
}

/* Inside a transaction. */
static int append(struct mr_versions *versions, struct mr_version *version, struct mr_error *error)
{
    struct mr_version newest = {.number = 0};
    uint64_t highest;
    if (mr_versions_highest(versions, &highest, error) != 0 ||
        (highest && mr_versions_find(versions, highest, &newest, error) < 0)) {
        return -1;
    }
    version->number = !highest && versions->first ? versions->first : highest + 1;
    if (highest && same_origin(&newest, version)) { /* a round that came to its end twice */
        version->number = highest;
        return newest.withdrawn ? set_withdrawn(versions, highest, false, error) : 0;
    }
    return insert(versions, version, error);
}

int mr_versions_append(struct mr_versions *versions, struct mr_version *version,
                       struct mr_error *error)
{
    return mr_sql_begin(versions, error) != 0
               ? -1
               : mr_sql_commit(versions, append(versions, version, error), error);
}

/* The version above the newest one with that model: a round's, and alone. 0: there is none such; a
 * round that was published is not what is given up. 0 or -1. */
static int alone_above(struct mr_versions *versions, const uint8_t hash[MR_HASH_BYTES],
                       uint64_t *number, struct mr_error *error)
{
    struct mr_version found, current;
    char sql[120];
    uint64_t above = 0;
    *number = 0;
    const int got = mr_versions_of(versions, hash, &found, error);
    if (got != 0 || found.withdrawn) {
        return got < 0 ? -1 : 0;
    }
    sqlite3_snprintf(sizeof sql, sql,
                     "SELECT count(*) FROM versions WHERE version > %lld AND withdrawn = 0",
                     (sqlite3_int64)found.number);
    if (mr_sql_number(versions, sql, &above, error) != 0 ||
        mr_versions_current(versions, &current, error) != 0) {
        return -1;
    }
    *number = above == 1 && current.kind == MR_VERSION_ROUND ? current.number : 0;
    return 0;
}

/* Inside a transaction. */
static int go_back(struct mr_versions *versions, struct mr_version *version, struct mr_error *error)
{
    struct mr_version current;
    uint64_t given_up;
    const int got = mr_versions_current(versions, &current, error);
    if (got < 0) {
        return -1;
    }
    if (got == 0 && memcmp(current.hash, version->hash, MR_HASH_BYTES) == 0) {
        version->number = current.number;
        return 0;
    }
    if (alone_above(versions, version->hash, &given_up, error) != 0) {
        return -1;
    }
    return given_up ? set_withdrawn(versions, given_up, true, error)
                    : append(versions, version, error);
}

int mr_versions_go_back(struct mr_versions *versions, struct mr_version *version,
                        struct mr_error *error)
{
    return mr_sql_begin(versions, error) != 0
               ? -1
               : mr_sql_commit(versions, go_back(versions, version, error), error);
}

int mr_versions_start_at(struct mr_versions *versions, uint64_t number, struct mr_error *error)
{
    uint64_t highest;
    if (mr_versions_highest(versions, &highest, error) != 0) {
        return -1;
    }
    versions->first = number;
    return highest == 0 ? 0 : mr_error_set(error, "versions.db is not empty");
}
