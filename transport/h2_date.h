/* h2_date.h - the time in an HTTP answer: "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110, 5.6.7). Pure,
 * and free of the locale. */
#ifndef MR_TRANSPORT_H2_DATE_H
#define MR_TRANSPORT_H2_DATE_H

#include <stddef.h>
#include <stdint.h>

#define MR_H2_DATE_BYTES 30 /* with the NUL */

/* From seconds since 1970; years up to 9999. */
void mr_h2_date_format(char text[MR_H2_DATE_BYTES], int64_t unix_s);
/* 0: it is not of that form. The day of the week is not looked at. */
int64_t mr_h2_date_parse(const char *text, size_t length);

#endif
