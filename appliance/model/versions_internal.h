/* versions_internal.h - the inside of versions.h: versions_sql.c below versions.c, versions_names.c
 * and versions_json.c. */
#ifndef MR_MODEL_VERSIONS_INTERNAL_H
#define MR_MODEL_VERSIONS_INTERNAL_H

#include <sqlite3.h>

#include "appliance/model/versions.h"

struct mr_versions {
    sqlite3 *db;
    uint64_t first; /* number of the first version of an empty database; 0: 1 */
    int wal_pages;  /* in the write-ahead log since it was emptied */
};

/* What SQLite says is wrong, behind what was tried. -1. */
int mr_sql_failed(struct mr_versions *versions, const char *what, struct mr_error *error);
/* Statements without results. 0 or -1. */
int mr_sql_run(struct mr_versions *versions, const char *sql, struct mr_error *error);
/* NULL with an error. sqlite3_finalize is owed. */
sqlite3_stmt *mr_sql_prepare(struct mr_versions *versions, const char *sql, struct mr_error *error);
/* One step: 0: a row; 1: none is left; -1. */
int mr_sql_step(struct mr_versions *versions, sqlite3_stmt *statement, struct mr_error *error);
/* Steps to the end of a statement that has no results, and finalizes it (NULL: -1). 0 or -1. */
int mr_sql_finish(struct mr_versions *versions, sqlite3_stmt *statement, struct mr_error *error);
/* A statement with one integer as its result, bound to nothing. 0 or -1; NULL gives 0. */
int mr_sql_number(struct mr_versions *versions, const char *sql, uint64_t *number,
                  struct mr_error *error);

/* A change is one transaction. _commit ends it well or not: `result` is what came before. The
 * change is durable after a 0. */
int mr_sql_begin(struct mr_versions *versions, struct mr_error *error);
int mr_sql_commit(struct mr_versions *versions, int result, struct mr_error *error);

/* A row of "SELECT " MR_VERSION_COLUMNS " FROM versions …". */
#define MR_VERSION_COLUMNS                                                                         \
    "version, hash, parent, state, kind, withdrawn, source, round, announcement, included, "       \
    "clip_norm, noise, epsilon, metrics, made_unix_ms, made_by, note"
void mr_version_read(struct mr_version *version, sqlite3_stmt *statement);

#endif
