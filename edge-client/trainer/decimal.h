/* decimal.h - numbers as data files write them, whatever locale the process has.
 *
 * A number is [+-] digits [. digits] [e [+-] digits], with digits on one side of the point at
 * least, and spaces or tabs around it. So it is a subset of what Python's float() and int() take,
 * with their values; not taken: "nan", "inf", "1_000", hexadecimal, a decimal comma. */
#ifndef MRE_TRAINER_DECIMAL_H
#define MRE_TRAINER_DECIMAL_H

#include <stddef.h>
#include <stdint.h>

/* The nearest double; one too large becomes infinity. 0, or -1: no number. text[length] is NUL. */
int mr_decimal_real(double *value, const char *text, size_t length);

/* A whole number without a minus sign, at most `most`. 0, or -1. */
int mr_decimal_whole(uint32_t *value, uint32_t most, const char *text, size_t length);

#endif
