/* versions_sql.c - statements and transactions, with errors as the rest of the tree has them. */
#include "appliance/model/versions_internal.h"

#include <stdio.h>
#include <string.h>

/* The log is emptied into the database beyond so many pages (of 4 KiB): by a call whose result is
 * looked at, which SQLite's own does not. */
#define WAL_PAGES_MAX 256

int mr_sql_failed(struct mr_versions *versions, const char *what, struct mr_error *error)
{
    const int code = sqlite3_errcode(versions->db);
    return mr_error_set(error, "versions.db: %s: %s%s", what, sqlite3_errmsg(versions->db),
                        code == SQLITE_FULL ? "; is the disk full?"
                        : code == SQLITE_CORRUPT || code == SQLITE_NOTADB
                            ? "; move it away and start the hub once with --rebuild-versions"
                            : "");
}

int mr_sql_run(struct mr_versions *versions, const char *sql, struct mr_error *error)
{
    return sqlite3_exec(versions->db, sql, NULL, NULL, NULL) == SQLITE_OK
               ? 0
               : mr_sql_failed(versions, "cannot be written or read", error);
}

sqlite3_stmt *mr_sql_prepare(struct mr_versions *versions, const char *sql, struct mr_error *error)
{
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(versions->db, sql, -1, &statement, NULL) != SQLITE_OK) {
        mr_sql_failed(versions, "cannot be asked", error);
        return NULL;
    }
    return statement;
}

int mr_sql_step(struct mr_versions *versions, sqlite3_stmt *statement, struct mr_error *error)
{
    const int code = sqlite3_step(statement);
    return code == SQLITE_ROW    ? 0
           : code == SQLITE_DONE ? 1
                                 : mr_sql_failed(versions, "cannot be written or read", error);
}

int mr_sql_finish(struct mr_versions *versions, sqlite3_stmt *statement, struct mr_error *error)
{
    const int result = statement ? mr_sql_step(versions, statement, error) : -1;
    sqlite3_finalize(statement);
    return result < 0 ? -1 : 0;
}

int mr_sql_number(struct mr_versions *versions, const char *sql, uint64_t *number,
                  struct mr_error *error)
{
    sqlite3_stmt *statement = mr_sql_prepare(versions, sql, error);
    const int got = statement ? mr_sql_step(versions, statement, error) : -1;
    *number = got == 0 ? (uint64_t)sqlite3_column_int64(statement, 0) : 0;
    sqlite3_finalize(statement);
    return got < 0 ? -1 : 0;
}

int mr_sql_begin(struct mr_versions *versions, struct mr_error *error)
{
    return mr_sql_run(versions, "BEGIN IMMEDIATE", error);
}

int mr_sql_commit(struct mr_versions *versions, int result, struct mr_error *error)
{
    if (result != 0 || mr_sql_run(versions, "COMMIT", error) != 0) {
        sqlite3_exec(versions->db, "ROLLBACK", NULL, NULL, NULL);
        return -1;
    }
    if (versions->wal_pages > WAL_PAGES_MAX) {
        if (sqlite3_wal_checkpoint_v2(versions->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL) !=
            SQLITE_OK) {
            return mr_sql_failed(versions, "its log cannot be emptied into it", error);
        }
        versions->wal_pages = 0;
    }
    return 0;
}

/* --- rows ------------------------------------------------------------------------------------ */

static void read_hash(uint8_t out[MR_HASH_BYTES], sqlite3_stmt *statement, int column)
{
    const void *bytes = sqlite3_column_blob(statement, column);
    memset(out, 0, MR_HASH_BYTES);
    if (bytes && sqlite3_column_bytes(statement, column) == MR_HASH_BYTES) {
        memcpy(out, bytes, MR_HASH_BYTES);
    }
}

static void read_text(char *out, size_t room, sqlite3_stmt *statement, int column)
{
    const unsigned char *text = sqlite3_column_text(statement, column);
    snprintf(out, room, "%s", text ? (const char *)text : "");
}

static enum mr_version_kind kind_of(const char *name)
{
    enum mr_version_kind kind = 0;
    while (kind < MR_VERSION_KINDS - 1 && strcmp(mr_version_kind_name(kind), name) != 0) {
        kind++;
    }
    return kind;
}

void mr_version_read(struct mr_version *version, sqlite3_stmt *statement)
{
    char kind[16];
    int at = 0;
    version->number = (uint64_t)sqlite3_column_int64(statement, at++);
    read_hash(version->hash, statement, at++);
    read_hash(version->parent, statement, at++);
    read_hash(version->state, statement, at++);
    read_text(kind, sizeof kind, statement, at++);
    version->kind = kind_of(kind);
    version->withdrawn = sqlite3_column_int(statement, at++) != 0;
    version->source = (uint64_t)sqlite3_column_int64(statement, at++);
    version->round = (uint64_t)sqlite3_column_int64(statement, at++);
    read_hash(version->announcement, statement, at++);
    version->included = (uint32_t)sqlite3_column_int64(statement, at++);
    version->clip_norm = sqlite3_column_double(statement, at++);
    read_text(version->noise, sizeof version->noise, statement, at++);
    version->epsilon = sqlite3_column_double(statement, at++);
    read_text(version->metrics, sizeof version->metrics, statement, at++);
    version->made_unix_ms = sqlite3_column_int64(statement, at++);
    read_text(version->by, sizeof version->by, statement, at++);
    read_text(version->note, sizeof version->note, statement, at++);
}

const char *mr_version_kind_name(enum mr_version_kind kind)
{
    static const char *const names[] = {
        [MR_VERSION_INITIAL] = "initial",   [MR_VERSION_ROUND] = "round",
        [MR_VERSION_RESUMED] = "resumed",   [MR_VERSION_IMPORTED] = "imported",
        [MR_VERSION_ROLLBACK] = "rollback", [MR_VERSION_RETURNED] = "returned",
        [MR_VERSION_REBUILT] = "rebuilt"};
    return names[kind];
}
