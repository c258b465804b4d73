/* versions_names.c - aliases with their history, and tags. */
#include "appliance/model/versions_internal.h"

#include <string.h>

bool mr_alias_valid(const char *alias)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz";
    static const char others[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
    const size_t length = strlen(alias);
    return length > 0 && length <= MR_ALIAS_MAX && strchr(letters, alias[0]) &&
           strspn(alias, others) == length && strcmp(alias, "current") != 0;
}

int mr_versions_alias(struct mr_versions *versions, const char *alias, uint64_t *number,
                      struct mr_error *error)
{
    sqlite3_stmt *statement =
        mr_sql_prepare(versions, "SELECT version FROM aliases WHERE alias = ?", error);
    if (!statement) {
        return -1;
    }
    sqlite3_bind_text(statement, 1, alias, -1, SQLITE_STATIC);
    const int got = mr_sql_step(versions, statement, error);
    *number = got == 0 ? (uint64_t)sqlite3_column_int64(statement, 0) : 0;
    sqlite3_finalize(statement);
    return got;
}

/* --- setting; inside a transaction ------------------------------------------------------------ */

struct change {
    const char *alias;
    uint64_t before, after; /* 0: none */
    const char *by;
    int64_t unix_ms;
};

static int put_alias(struct mr_versions *versions, const struct change *change,
                     struct mr_error *error)
{
    sqlite3_stmt *statement =
        mr_sql_prepare(versions,
                       change->after ? "INSERT INTO aliases (alias, version) VALUES (?1, ?2) "
                                       "ON CONFLICT (alias) DO UPDATE SET version = ?2"
                                     : "DELETE FROM aliases WHERE alias = ?1 AND ?2 = 0",
                       error);
    if (statement) {
        sqlite3_bind_text(statement, 1, change->alias, -1, SQLITE_STATIC);
        sqlite3_bind_int64(statement, 2, (sqlite3_int64)change->after);
    }
    return mr_sql_finish(versions, statement, error);
}

static int put_history(struct mr_versions *versions, const struct change *change,
                       struct mr_error *error)
{
    sqlite3_stmt *statement =
        mr_sql_prepare(versions,
                       "INSERT INTO alias_history (alias, version, before, set_unix_ms, set_by) "
                       "VALUES (?, nullif(?, 0), nullif(?, 0), ?, ?)",
                       error);
    if (statement) {
        sqlite3_bind_text(statement, 1, change->alias, -1, SQLITE_STATIC);
        sqlite3_bind_int64(statement, 2, (sqlite3_int64)change->after);
        sqlite3_bind_int64(statement, 3, (sqlite3_int64)change->before);
        sqlite3_bind_int64(statement, 4, change->unix_ms);
        sqlite3_bind_text(statement, 5, change->by, -1, SQLITE_STATIC);
    }
    return mr_sql_finish(versions, statement, error);
}

static int set_alias(struct mr_versions *versions, const struct change *wish,
                     struct mr_error *error)
{
    struct change change = *wish;
    if (mr_versions_alias(versions, change.alias, &change.before, error) < 0) {
        return -1;
    }
    if (change.before == change.after) {
        return 0;
    }
    if (put_alias(versions, &change, error) != 0 || put_history(versions, &change, error) != 0) {
        return -1;
    }
    if (strcmp(change.alias, MR_CHAMPION) == 0 && change.before) {
        const struct change previous = {.alias = MR_PREVIOUS,
                                        .after = change.before,
                                        .by = change.by,
                                        .unix_ms = change.unix_ms};
        return set_alias(versions, &previous, error);
    }
    return 0;
}

int mr_versions_set_alias(struct mr_versions *versions, const char *alias, uint64_t number,
                          const char *by, int64_t unix_ms, struct mr_error *error)
{
    const struct change change = {.alias = alias, .after = number, .by = by, .unix_ms = unix_ms};
    return mr_sql_begin(versions, error) != 0
               ? -1
               : mr_sql_commit(versions, set_alias(versions, &change, error), error);
}

static int set_tag(struct mr_versions *versions, uint64_t number, const char *name,
                   const char *value, struct mr_error *error)
{
    sqlite3_stmt *statement =
        mr_sql_prepare(versions,
                       value ? "INSERT INTO tags (version, name, value) VALUES (?1, ?2, ?3) "
                               "ON CONFLICT (version, name) DO UPDATE SET value = ?3"
                             : "DELETE FROM tags WHERE version = ?1 AND name = ?2 AND ?3 IS NULL",
                       error);
    if (statement) {
        sqlite3_bind_int64(statement, 1, (sqlite3_int64)number);
        sqlite3_bind_text(statement, 2, name, -1, SQLITE_STATIC);
        sqlite3_bind_text(statement, 3, value, -1, SQLITE_STATIC);
    }
    return mr_sql_finish(versions, statement, error);
}

int mr_versions_set_tag(struct mr_versions *versions, uint64_t number, const char *name,
                        const char *value, struct mr_error *error)
{
    return mr_sql_begin(versions, error) != 0
               ? -1
               : mr_sql_commit(versions, set_tag(versions, number, name, value, error), error);
}
