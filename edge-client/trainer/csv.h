/* csv.h - the fields of a CSV file, one after the other, from any source of bytes.
 *
 * RFC 4180 with what spreadsheets and loggers make of it: a line may end with LF, CRLF, CR or
 * LF-CR, the last one need not end, empty lines are skipped, a UTF-8 byte order mark is skipped.
 * A field may stand in quotes as a whole. All else is refused, with the line: NUL bytes, UTF-16, a
 * line end or a quote inside quotes, a quote inside a field, a field that is longer than
 * MR_CSV_FIELD_MAX. So what is accepted is read as Python's csv module reads it
 * (docs/decisions/0028-own-csv-reader.md). Memory is bounded: this struct. */
#ifndef MRE_TRAINER_CSV_H
#define MRE_TRAINER_CSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

#define MR_CSV_FIELD_MAX 1024

/* Where the bytes come from: as read(2), errno and all. EINTR is asked again; fewer bytes than
 * asked for are no end, 0 is. */
struct mr_csv_source {
    ssize_t (*read)(void *context, void *out, size_t capacity);
    void *context;
};

enum mr_csv_event {
    MR_CSV_FIELD,      /* another field of the row follows */
    MR_CSV_LAST_FIELD, /* the row is over */
    MR_CSV_END,        /* the file is over; no field */
    MR_CSV_BAD,        /* the error says why and where; no field, and nothing more is to be asked */
};

struct mr_csv {
    struct mr_csv_source source;
    uint64_t row_line; /* where the row of the newest field began; the first line is 1 */
    bool unended;      /* after MR_CSV_END: the last line had no line end */
    size_t length;     /* of the newest field */
    char field[MR_CSV_FIELD_MAX + 1]; /* the newest, without its quotes; NUL behind it */

    /* Private from here on. */
    uint64_t line;
    int before; /* the byte before; 0 where it was the second of a pair that ends a line */
    int read_errno;
    bool begun, inside; /* the first bytes were looked at; a row is under way */
    size_t at, end;
    uint8_t bytes[4096];
};

void mr_csv_open(struct mr_csv *csv, const struct mr_csv_source *source);
/* The next field. MR_CSV_BAD sets the error: "line N: what". */
enum mr_csv_event mr_csv_next(struct mr_csv *csv, struct mr_error *error);

#endif
