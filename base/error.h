/* error.h - the text of a set-up failure: what, why, remedy.
 *
 * Used wherever a person reads the answer (configuration, certificates, files, refusals). Never on
 * the packet path: there a bad packet is a counted drop. */
#ifndef MR_BASE_ERROR_H
#define MR_BASE_ERROR_H

struct mr_error {
    char text[512];
};

/* Sets the text (truncated to fit) and returns -1, so that callers can `return mr_error_set(...)`.
 * `error` may be NULL. */
int mr_error_set(struct mr_error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Puts "format: " in front of the text that is there; returns -1. */
int mr_error_prefix(struct mr_error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* What to ask behind the errno of a failed write; "" where there is nothing to ask. */
const char *mr_error_disk_hint(int why);

#endif
