#include "appliance/model/versions_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "appliance/storage/files.h"

#define SCHEMA 1

static const char schema[] =
    "CREATE TABLE versions ("
    " version INTEGER PRIMARY KEY,"
    " hash BLOB NOT NULL CHECK (length(hash) = 32),"
    " parent BLOB,"
    " state BLOB CHECK (length(state) = 32),"
    " kind TEXT NOT NULL,"
    " withdrawn INTEGER NOT NULL DEFAULT 0,"
    " source INTEGER,"
    " round INTEGER,"
    " announcement BLOB,"
    " included INTEGER,"
    " clip_norm REAL,"
    " noise TEXT,"
    " epsilon REAL,"
    " metrics TEXT,"
    " made_unix_ms INTEGER NOT NULL,"
    " made_by TEXT NOT NULL,"
    " note TEXT NOT NULL) STRICT;"
    "CREATE INDEX versions_hash ON versions (hash);"
    "CREATE TABLE aliases (alias TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT;"
    "CREATE TABLE alias_history ("
    " step INTEGER PRIMARY KEY,"
    " alias TEXT NOT NULL,"
    " version INTEGER,"
    " before INTEGER,"
    " set_unix_ms INTEGER NOT NULL,"
    " set_by TEXT NOT NULL) STRICT;"
    "CREATE TABLE tags ("
    " version INTEGER NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL,"
    " PRIMARY KEY (version, name)) STRICT;"
    /* Whatever a later program believes: what was is not taken away. */
    "CREATE TRIGGER versions_stay BEFORE DELETE ON versions"
    " BEGIN SELECT RAISE(ABORT, 'a version is never removed'); END;"
    "CREATE TRIGGER history_stays BEFORE DELETE ON alias_history"
    " BEGIN SELECT RAISE(ABORT, 'history is never removed'); END;"
    "PRAGMA user_version = 1;";

/* Exclusive before WAL: then its index lives in this process's memory, and nobody else gets in. */
static const char settings[] = "PRAGMA locking_mode = EXCLUSIVE;"
                               "PRAGMA journal_mode = WAL;"
                               "PRAGMA synchronous = FULL;"
                               "PRAGMA wal_autocheckpoint = 0;"
                               "PRAGMA temp_store = MEMORY;"
                               "PRAGMA cache_size = -256;"
                               "PRAGMA trusted_schema = OFF;";

/* --- opening --------------------------------------------------------------------------------- */

/* Ours alone to read, as every file of data_dir; SQLite's log takes its mode. */
static int make_file(const char *path, const char *data_dir, bool *made, struct mr_error *error)
{
    const int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    *made = fd >= 0;
    if (fd >= 0) {
        close(fd);
        return mr_dir_sync(data_dir, error);
    }
    return errno == EEXIST
               ? 0
               : mr_error_set(error, "%s: %s%s", path, strerror(errno), mr_error_disk_hint(errno));
}

/* What a process has written that was killed before its sync is there for this one, and not on the
 * platter yet. It becomes durable before anything follows from it: `current` is written by it. */
static int make_durable(const char *path, const char *data_dir, struct mr_error *error)
{
    char log[PATH_MAX + 40];
    snprintf(log, sizeof log, "%s-wal", path);
    const int fd = open(log, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    const int failed = fd < 0 || fdatasync(fd) != 0 ? errno : 0;
    if (fd >= 0) {
        close(fd);
    }
    return failed == ENOENT ? 0
           : failed
               ? mr_error_set(error, "%s: %s%s", log, strerror(failed), mr_error_disk_hint(failed))
               : mr_dir_sync(data_dir, error);
}

static int on_wal(void *context, sqlite3 *db, const char *name, int pages)
{
    (void)db;
    (void)name;
    ((struct mr_versions *)context)->wal_pages = pages;
    return SQLITE_OK;
}

/* A file that a crash left without tables gets them now, in one commit. */
static int make_tables(struct mr_versions *versions, struct mr_error *error)
{
    uint64_t version;
    if (mr_sql_number(versions, "PRAGMA user_version", &version, error) != 0) {
        return -1;
    }
    if (version == SCHEMA) {
        return 0;
    }
    if (version != 0) {
        return mr_error_set(error,
                            "versions.db is of form %llu, and this program reads form %d: another "
                            "version of Millrace wrote it, and still can; start that one",
                            (unsigned long long)version, SCHEMA);
    }
    return mr_sql_begin(versions, error) != 0
               ? -1
               : mr_sql_commit(versions, mr_sql_run(versions, schema, error), error);
}

int mr_versions_open(struct mr_versions **out, const char *data_dir, bool *made,
                     struct mr_error *error)
{
    char path[PATH_MAX + 32];
    struct mr_versions *versions = calloc(1, sizeof *versions);
    if (!versions) {
        return mr_error_set(error, "out of memory");
    }
    snprintf(path, sizeof path, "%s/versions.db", data_dir);
    int result = make_file(path, data_dir, made, error);
    if (result == 0) {
        result = make_durable(path, data_dir, error);
    }
    if (result == 0 &&
        sqlite3_open_v2(path, &versions->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) !=
            SQLITE_OK) {
        result = versions->db ? mr_sql_failed(versions, "cannot be opened", error)
                              : mr_error_set(error, "out of memory");
    }
    if (result == 0) {
        sqlite3_wal_hook(versions->db, on_wal, versions);
        sqlite3_db_config(versions->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
        sqlite3_extended_result_codes(versions->db, 0);
        result = mr_sql_run(versions, settings, error);
    }
    if (result == 0) {
        result = make_tables(versions, error);
    }
    if (result != 0) {
        mr_versions_close(versions);
        return -1;
    }
    *out = versions;
    return 0;
}

void mr_versions_close(struct mr_versions *versions)
{
    if (versions) {
        sqlite3_close(versions->db);
        free(versions);
    }
}

/* --- looking --------------------------------------------------------------------------------- */

/* The first row of a statement that is ready. 0, 1 or -1. */
static int first_row(struct mr_versions *versions, sqlite3_stmt *statement,
                     struct mr_version *version, struct mr_error *error)
{
    const int got = statement ? mr_sql_step(versions, statement, error) : -1;
    if (got == 0) {
        mr_version_read(version, statement);
    }
    sqlite3_finalize(statement);
    return got;
}

int mr_versions_current(struct mr_versions *versions, struct mr_version *version,
                        struct mr_error *error)
{
    return first_row(versions,
                     mr_sql_prepare(versions,
                                    "SELECT " MR_VERSION_COLUMNS
                                    " FROM versions WHERE withdrawn = 0"
                                    " ORDER BY version DESC LIMIT 1",
                                    error),
                     version, error);
}

int mr_versions_highest(struct mr_versions *versions, uint64_t *number, struct mr_error *error)
{
    return mr_sql_number(versions, "SELECT coalesce(max(version), 0) FROM versions", number, error);
}

int mr_versions_find(struct mr_versions *versions, uint64_t number, struct mr_version *version,
                     struct mr_error *error)
{
    sqlite3_stmt *statement = mr_sql_prepare(
        versions, "SELECT " MR_VERSION_COLUMNS " FROM versions WHERE version = ?", error);
    if (statement) {
        sqlite3_bind_int64(statement, 1, (sqlite3_int64)number);
    }
    return first_row(versions, statement, version, error);
}

int mr_versions_of(struct mr_versions *versions, const uint8_t hash[MR_HASH_BYTES],
                   struct mr_version *version, struct mr_error *error)
{
    sqlite3_stmt *statement =
        mr_sql_prepare(versions,
                       "SELECT " MR_VERSION_COLUMNS
                       " FROM versions WHERE hash = ? ORDER BY withdrawn, version DESC LIMIT 1",
                       error);
    if (statement) {
        sqlite3_bind_blob(statement, 1, hash, MR_HASH_BYTES, SQLITE_STATIC);
    }
    return first_row(versions, statement, version, error);
}

/* The newest one before `number` that is not withdrawn; of a round, where `by_round`. As _find. */
static int find_before(struct mr_versions *versions, uint64_t number, bool by_round,
                       struct mr_version *version, struct mr_error *error)
{
    sqlite3_stmt *statement = mr_sql_prepare(
        versions,
        "SELECT " MR_VERSION_COLUMNS " FROM versions WHERE withdrawn = 0 AND version < ?1"
        " AND (?2 = 0 OR kind = 'round') ORDER BY version DESC LIMIT 1",
        error);
    if (statement) {
        sqlite3_bind_int64(statement, 1, (sqlite3_int64)number);
        sqlite3_bind_int(statement, 2, by_round);
    }
    return first_row(versions, statement, version, error);
}

/* Those that are not withdrawn, after one and up to another. 0 or -1. */
static int count_between(struct mr_versions *versions, uint64_t after, uint64_t last,
                         uint32_t *count, struct mr_error *error)
{
    sqlite3_stmt *statement =
        mr_sql_prepare(versions,
                       "SELECT count(*) FROM versions WHERE withdrawn = 0 AND version > ?"
                       " AND version <= ?",
                       error);
    if (!statement) {
        return -1;
    }
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)after);
    sqlite3_bind_int64(statement, 2, (sqlite3_int64)last);
    const int got = mr_sql_step(versions, statement, error);
    *count = got == 0 ? (uint32_t)sqlite3_column_int64(statement, 0) : 0;
    sqlite3_finalize(statement);
    return got < 0 ? -1 : 0;
}

int mr_versions_place(struct mr_versions *versions, const struct mr_version *version,
                      struct mr_version_place *place, struct mr_error *error)
{
    struct mr_version round, before;
    *place = (struct mr_version_place){.is_chosen = false};
    if (version->kind != MR_VERSION_IMPORTED && version->kind != MR_VERSION_ROLLBACK) {
        return 0;
    }
    const int got = find_before(versions, version->number, true, &round, error);
    if (got != 0) {
        return got < 0 ? -1 : 0;
    }
    if (find_before(versions, version->number, false, &before, error) != 0 ||
        count_between(versions, round.number, version->number, &place->step, error) != 0) {
        return -1;
    }
    place->is_chosen = true;
    place->round = round.round;
    memcpy(place->round_model, round.hash, MR_HASH_BYTES);
    memcpy(place->before, before.hash, MR_HASH_BYTES);
    return 0;
}

int mr_versions_aliased(struct mr_versions *versions, const uint8_t hash[MR_HASH_BYTES],
                        struct mr_error *error)
{
    sqlite3_stmt *statement = mr_sql_prepare(
        versions, "SELECT 1 FROM aliases JOIN versions USING (version) WHERE hash = ? LIMIT 1",
        error);
    if (!statement) {
        return -1;
    }
    sqlite3_bind_blob(statement, 1, hash, MR_HASH_BYTES, SQLITE_STATIC);
    const int got = mr_sql_step(versions, statement, error);
    sqlite3_finalize(statement);
    return got < 0 ? -1 : got == 0;
}

int mr_versions_needs_state(struct mr_versions *versions, const uint8_t state[MR_HASH_BYTES],
                            mr_versions_there_fn is_there, void *context, struct mr_error *error)
{
    sqlite3_stmt *statement =
        mr_sql_prepare(versions, "SELECT DISTINCT hash FROM versions WHERE state = ?", error);
    if (!statement) {
        return -1;
    }
    sqlite3_bind_blob(statement, 1, state, MR_HASH_BYTES, SQLITE_STATIC);
    int got = 0, needed = 0;
    while (!needed && (got = mr_sql_step(versions, statement, error)) == 0) {
        needed = is_there(context, sqlite3_column_blob(statement, 0));
    }
    sqlite3_finalize(statement);
    return got < 0 ? -1 : needed;
}

int mr_versions_check(struct mr_versions *versions, struct mr_error *error)
{
    sqlite3_stmt *statement = mr_sql_prepare(versions, "PRAGMA integrity_check(1)", error);
    const int got = statement ? mr_sql_step(versions, statement, error) : -1;
    const char *text = got == 0 ? (const char *)sqlite3_column_text(statement, 0) : NULL;
    const int result = text && strcmp(text, "ok") == 0 ? 0
                       : got < 0                       ? -1
                                                       : mr_error_set(error, "versions.db: %.300s",
                                                text ? text : "its check says nothing");
    sqlite3_finalize(statement);
    return result;
}
