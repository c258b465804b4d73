#include "wire/release_epsilon.h"

#include <math.h>

#define TERMS 20 /* of a series whose terms fall by a factor of nine: below a double's last bit */
#define LN_2  0x1.62e42fefa39efp-1

/* ln(1/x) for x in (0, 1), by operations that IEEE 754 defines to the last bit: libm's differ. */
static double log_of_inverse(double x)
{
    int exponent;
    const double m = frexp(x, &exponent); /* 0.5 .. 1 */
    const double z = (1 - m) / (1 + m), square = z * z;
    double sum = 0;
    for (unsigned i = TERMS; i-- > 0;) {
        sum = sum * square + 1.0 / (2 * i + 1);
    }
    return 2 * z * sum - exponent * LN_2;
}

float mr_release_epsilon(const struct mr_announcement *announcement)
{
    const struct mr_privacy_terms *privacy = &announcement->privacy;
    if (privacy->rho == 0) {
        return 0;
    }
    const double rho = mr_rho_value(privacy->rho);
    const double epsilon = rho + 2 * sqrt(rho * log_of_inverse((double)privacy->delta));
    const float nearest = (float)epsilon;
    return (double)nearest < epsilon ? nextafterf(nearest, INFINITY) : nearest;
}
