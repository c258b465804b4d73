#include "appliance/observe/log_line.h"

#include <stdio.h>
#include <string.h>

#define FORMAT_MAX 512
#define TEXT_MAX   2048

/* Put around each value before printing, so that values are found again whatever they contain. */
#define MARK '\x1e'

static const char *const level_names[] = {"error", "warn", "info", "debug"};

/* syslog's numbers, which systemd's journal takes from the beginning of a line (sd-daemon(3)). */
static const char level_priorities[] = {'3', '4', '6', '7'};

static void put(struct mr_log_line *line, char c)
{
    if (line->length < sizeof line->text - 1) {
        line->text[line->length++] = c;
    }
}

static void put_text(struct mr_log_line *line, const char *text)
{
    while (*text) {
        put(line, *text++);
    }
}

/* --- values ---------------------------------------------------------------------------------- */

static bool is_key_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

/* Length of "key=" at text, or 0. */
static size_t key_length(const char *text)
{
    size_t n = 0;
    while (is_key_char(text[n])) {
        n++;
    }
    return n > 0 && text[n] == '=' ? n + 1 : 0;
}

/* Copies the format with marks around each value; a value reaches up to the next " key=" of the
 * format (not of the printed text, which may hold anything). Returns the number of marks. */
static unsigned mark_values(char *out, size_t size, const char *format)
{
    unsigned marks = 0;
    size_t n = 0;
    bool start = true;
    while (*format && n + 64 < size) {
        const size_t key = start || *format == ' ' ? key_length(format + !start) : 0;
        if (start && key == 0) {
            n += (size_t)snprintf(out + n, size - n, "message=%c", MARK);
            marks++;
        } else if (key > 0 && key < 48) {
            if (!start) {
                out[n++] = MARK;
                marks++;
            }
            memcpy(out + n, format, key + !start);
            n += key + !start;
            format += key + !start;
            out[n++] = MARK;
            marks++;
        } else {
            out[n++] = *format++;
        }
        start = false;
    }
    if (marks) {
        out[n++] = MARK;
        marks++;
    }
    out[n] = '\0';
    return marks;
}

static void put_value(struct mr_log_line *line, const char *value, size_t length)
{
    bool plain = length > 0;
    for (size_t i = 0; i < length; i++) {
        plain = plain && value[i] > ' ' && value[i] < 0x7f && !strchr("\"\\=", value[i]);
    }
    if (plain) {
        for (size_t i = 0; i < length; i++) {
            put(line, value[i]);
        }
        return;
    }
    put(line, '"');
    for (size_t i = 0; i < length; i++) {
        const unsigned char c = (unsigned char)value[i];
        if (c == '"' || c == '\\') {
            put(line, '\\');
            put(line, (char)c);
        } else if (c == '\n') {
            put_text(line, "\\n");
        } else if (c < ' ' || c >= 0x7f) {
            char escape[8];
            snprintf(escape, sizeof escape, "\\x%02x", c);
            put_text(line, escape);
        } else {
            put(line, (char)c);
        }
    }
    put(line, '"');
}

static void put_pairs(struct mr_log_line *line, char *text, unsigned marks)
{
    unsigned found = 0;
    for (const char *at = text; *at; at++) {
        found += *at == MARK;
    }
    if (found != marks) { /* a value holds a mark, or the text was cut: one value, all of it */
        put_text(line, "message=");
        put_value(line, text, strlen(text));
        return;
    }
    for (char *at = text; *at;) {
        char *open = strchr(at, MARK);
        if (!open) {
            break;
        }
        *open = '\0';
        put_text(line, at);
        char *close = strchr(open + 1, MARK);
        if (!close) {
            break;
        }
        put_value(line, open + 1, (size_t)(close - open - 1));
        at = close + 1;
    }
}

/* --- lines ----------------------------------------------------------------------------------- */

void mr_log_line_begin(struct mr_log_line *line, const struct timespec *now,
                       enum mr_log_level level, bool priority, const char *event)
{
    char head[64];
    struct tm tm;
    line->length = 0;
    if (priority) {
        put(line, '<');
        put(line, level_priorities[level]);
        put(line, '>');
    }
    gmtime_r(&now->tv_sec, &tm);
    strftime(head, sizeof head, "%Y-%m-%dT%H:%M:%S", &tm);
    put_text(line, head);
    snprintf(head, sizeof head, ".%03dZ %s ", (int)(now->tv_nsec / 1000000), level_names[level]);
    put_text(line, head);
    put_text(line, event);
}

void mr_log_line_pairs(struct mr_log_line *line, const char *format, va_list arguments)
{
    char marked[FORMAT_MAX], text[TEXT_MAX];
    const unsigned marks = mark_values(marked, sizeof marked, format);
    vsnprintf(text, sizeof text, marked, arguments);
    if (*text) {
        put(line, ' ');
        put_pairs(line, text, marks);
    }
}

void mr_log_line_count(struct mr_log_line *line, const char *key, unsigned long long value)
{
    char text[64];
    snprintf(text, sizeof text, " %s=%llu", key, value);
    put_text(line, text);
}

void mr_log_line_text(struct mr_log_line *line, const char *key, const char *value)
{
    put(line, ' ');
    put_text(line, key);
    put(line, '=');
    put_value(line, value, strlen(value));
}

void mr_log_line_end(struct mr_log_line *line)
{
    line->text[line->length++] = '\n';
}

enum mr_log_level mr_log_level_named(const char *name)
{
    for (unsigned i = 0; i < sizeof level_names / sizeof *level_names; i++) {
        if (strcmp(name, level_names[i]) == 0) {
            return (enum mr_log_level)i;
        }
    }
    return MR_LOG_INFO;
}
