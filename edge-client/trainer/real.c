#include "edge-client/trainer/real.h"

#include <stdint.h>
#include <string.h>

#define LN2_HIGH  0x1.62e42feep-1 /* 32 bits: a multiple of it by a small integer is exact */
#define LN2_LOW   0x1.a39ef35793c76p-33
#define LOG2_E    0x1.71547652b82fep+0
#define TO_WHOLE  0x1.8p52 /* added and taken away again: rounds to the nearest integer */
#define EXP_LEAST (-87.0f) /* below, the result is no normal float */

/* 2^exponent for a normal result. */
static double power_of_two(int exponent)
{
    const uint64_t bits = (uint64_t)(exponent + 1023) << 52;
    double value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

float mr_exp_nonpositive(float x)
{
    if (x < EXP_LEAST) {
        return 0;
    }
    if (!(x <= 0)) { /* NaN, or a caller's mistake that must not run past the exponent's range */
        return x > 0 ? 1 : x;
    }
    const double whole = (x * LOG2_E + TO_WHOLE) - TO_WHOLE;
    const double r = x - whole * LN2_HIGH - whole * LN2_LOW; /* |r| <= ln(2) / 2 */
    const double sum =
        1 + r * (1 + r / 2 * (1 + r / 3 * (1 + r / 4 * (1 + r / 5 * (1 + r / 6 * (1 + r / 7))))));
    return (float)(sum * power_of_two((int)whole));
}

double mr_log_from_one(double x)
{
    uint64_t bits;

    if (!(x >= 1)) {
        return x < 1 ? 0 : x;
    }
    memcpy(&bits, &x, sizeof bits);
    int exponent = (int)(bits >> 52) - 1023;
    double mantissa = x * power_of_two(-exponent); /* 1 .. 2 */
    if (mantissa > 0x1.6a09e667f3bcdp+0) {         /* √2: keeps the series short */
        mantissa /= 2;
        exponent++;
    }
    const double s = (mantissa - 1) / (mantissa + 1); /* |s| <= 0.1716 */
    const double square = s * s;
    double series = 0;
    for (int odd = 19; odd >= 1; odd -= 2) {
        series = series * square + 1.0 / odd;
    }
    return exponent * LN2_HIGH + (exponent * LN2_LOW + 2 * s * series);
}
