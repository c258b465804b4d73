#include "edge-client/trainer/csv.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* What take() returns that is no byte. */
enum { ENDED = -1, FAILED = -2 };

void mr_csv_open(struct mr_csv *csv, const struct mr_csv_source *source)
{
    memset(csv, 0, sizeof *csv);
    csv->source = *source;
    csv->line = csv->row_line = 1;
}

/* --- bytes ----------------------------------------------------------------------------------- */

/* More bytes behind those that are there. 1, or 0 at the end, or -1 with read_errno. */
static int fetch(struct mr_csv *csv)
{
    ssize_t got;
    if (csv->at == csv->end) {
        csv->at = csv->end = 0;
    }
    do {
        got = csv->source.read(csv->source.context, csv->bytes + csv->end,
                               sizeof csv->bytes - csv->end);
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        csv->read_errno = errno;
        return -1;
    }
    csv->end += (size_t)got;
    return got > 0;
}

/* A pair of CR and LF, in either order, ends one line. */
static void count_line(struct mr_csv *csv, int byte)
{
    const bool second =
        (byte == '\n' && csv->before == '\r') || (byte == '\r' && csv->before == '\n');
    if ((byte == '\n' || byte == '\r') && !second) {
        csv->line++;
    }
    csv->before = second ? 0 : byte;
}

static int take(struct mr_csv *csv)
{
    if (csv->at == csv->end) {
        const int more = fetch(csv);
        if (more <= 0) {
            return more < 0 ? FAILED : ENDED;
        }
    }
    const int byte = csv->bytes[csv->at++];
    count_line(csv, byte);
    return byte;
}

static bool ends_line(int byte)
{
    return byte == '\n' || byte == '\r';
}

static enum mr_csv_event bad(const struct mr_csv *csv, struct mr_error *error, const char *why)
{
    mr_error_set(error, "line %" PRIu64 ": %s", csv->row_line, why);
    return MR_CSV_BAD;
}

static enum mr_csv_event cannot_read(const struct mr_csv *csv, struct mr_error *error)
{
    mr_error_set(error,
                 "line %" PRIu64 ": cannot be read on: %s; nothing of the file is used. Repair it, "
                 "or copy it anew",
                 csv->line, strerror(csv->read_errno));
    return MR_CSV_BAD;
}

/* --- the start of the file ------------------------------------------------------------------- */

static bool starts_with(const struct mr_csv *csv, const char *mark, size_t length)
{
    return csv->end >= length && memcmp(csv->bytes, mark, length) == 0;
}

/* Skips a UTF-8 mark, refuses a UTF-16 one. */
static enum mr_csv_event begin(struct mr_csv *csv, struct mr_error *error)
{
    int more = 1;
    csv->begun = true;
    while (csv->end < 3 && more > 0) {
        more = fetch(csv);
    }
    if (more < 0) {
        return cannot_read(csv, error);
    }
    if (starts_with(csv, "\xff\xfe", 2) || starts_with(csv, "\xfe\xff", 2)) {
        return bad(csv, error, "the file is UTF-16: save it as CSV in UTF-8");
    }
    csv->at = starts_with(csv, "\xef\xbb\xbf", 3) ? 3 : 0;
    return MR_CSV_FIELD;
}

/* --- fields ---------------------------------------------------------------------------------- */

/* Puts a byte that is no separator into the field. */
static enum mr_csv_event keep(struct mr_csv *csv, int byte, struct mr_error *error)
{
    if (byte == FAILED) {
        return cannot_read(csv, error);
    }
    if (byte == '\0') {
        return bad(csv, error, "a NUL byte: the file is damaged, or no text in UTF-8");
    }
    if (csv->length == MR_CSV_FIELD_MAX) {
        return bad(csv, error, "a field of more than 1024 characters");
    }
    csv->field[csv->length++] = (char)byte;
    return MR_CSV_FIELD;
}

/* From behind the first quote to the byte behind the second, which goes to *behind. */
static enum mr_csv_event take_quoted(struct mr_csv *csv, int *behind, struct mr_error *error)
{
    for (;;) {
        const int byte = take(csv);
        if (byte == '"') {
            break;
        }
        if (byte == ENDED || ends_line(byte)) {
            return bad(csv, error, "a quote is opened, and the line ends in it");
        }
        if (keep(csv, byte, error) == MR_CSV_BAD) {
            return MR_CSV_BAD;
        }
    }
    *behind = take(csv);
    if (*behind == FAILED) {
        return cannot_read(csv, error);
    }
    if (*behind != ',' && *behind != ENDED && !ends_line(*behind)) {
        return bad(csv, error, "after a closing quote a comma or the line's end must come");
    }
    return MR_CSV_FIELD;
}

static enum mr_csv_event take_plain(struct mr_csv *csv, int byte, int *behind,
                                    struct mr_error *error)
{
    for (; byte != ',' && byte != ENDED && !ends_line(byte); byte = take(csv)) {
        if (byte == '"') {
            return bad(csv, error, "a quote stands inside a field");
        }
        if (keep(csv, byte, error) == MR_CSV_BAD) {
            return MR_CSV_BAD;
        }
    }
    *behind = byte;
    return MR_CSV_FIELD;
}

enum mr_csv_event mr_csv_next(struct mr_csv *csv, struct mr_error *error)
{
    int behind = ENDED;
    if (!csv->begun && begin(csv, error) == MR_CSV_BAD) {
        return MR_CSV_BAD;
    }
    int byte = take(csv);
    while (!csv->inside && ends_line(byte)) {
        byte = take(csv);
    }
    if (!csv->inside && byte == ENDED) {
        return MR_CSV_END;
    }
    if (!csv->inside) {
        csv->row_line = csv->line;
    }
    csv->length = 0;
    const enum mr_csv_event event =
        byte == '"' ? take_quoted(csv, &behind, error) : take_plain(csv, byte, &behind, error);
    csv->field[csv->length] = '\0';
    if (event == MR_CSV_BAD) {
        return event;
    }
    csv->inside = behind == ',';
    csv->unended = behind == ENDED;
    return csv->inside ? MR_CSV_FIELD : MR_CSV_LAST_FIELD;
}
