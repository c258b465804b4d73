#include "wire/epsilon.h"

#include <math.h>
#include <stdbool.h>

#include "base/assert.h"

#define STEPS 100 /* of a bisection: more than a double has bits */
/* Beyond what libm may be off, and far below what anybody reads. */
#define OUTWARD (1 + 0x1p-30)
/* From here on the Gaussian curve is not worked out: nobody spends that. */
#define MU_MAX 100.0
/* The next term of Mills' ratio is below 1e-9 there, and e^(x^2 / 2) is a double. */
#define FAR_OUT 26.0

/* --- zCDP --------------------------------------------------------------------------------------
 */

/* The order at which the bound below is least. */
static double best_order(double rho, double epsilon)
{
    double low = 1.01, high = (epsilon + 1) / (2 * rho) + 2;
    for (unsigned i = 0; i < STEPS; i++) {
        const double alpha = (low + high) / 2;
        if ((2 * alpha - 1) * rho - epsilon + log1p(-1 / alpha) < 0) {
            low = alpha;
        } else {
            high = alpha;
        }
    }
    return high;
}

double mr_epsilon_zcdp_delta(double rho, double epsilon)
{
    if (rho <= 0) {
        return 0;
    }
    const double alpha = best_order(rho, epsilon);
    const double delta =
        exp((alpha - 1) * (alpha * rho - epsilon) + alpha * log1p(-1 / alpha)) / (alpha - 1);
    return delta < 1 ? delta : 1;
}

double mr_epsilon_zcdp(double rho, double delta)
{
    double low = 0, high = rho + 2 * sqrt(rho * log(1 / delta));
    if (mr_epsilon_zcdp_delta(rho, 0) <= delta) {
        return 0;
    }
    for (unsigned i = 0; i < STEPS; i++) {
        const double epsilon = (low + high) / 2;
        if (mr_epsilon_zcdp_delta(rho, epsilon) <= delta) {
            high = epsilon;
        } else {
            low = epsilon;
        }
    }
    return high;
}

double mr_epsilon_zcdp_rho(double epsilon, double delta)
{
    double low = 0, high = epsilon + 1;
    for (unsigned i = 0; i < STEPS; i++) {
        const double rho = (low + high) / 2;
        if (mr_epsilon_zcdp_delta(rho, epsilon) <= delta) {
            low = rho;
        } else {
            high = rho;
        }
    }
    return low;
}

/* --- one Gaussian -------------------------------------------------------------------------------
 */

/* P(N(0, 1) > x) */
static double above(double x)
{
    return erfc(x * M_SQRT1_2) / 2;
}

/* e^epsilon P(N(0, 1) > far), where epsilon = (far^2 - near^2) / 2. Far out one factor overflows
 * and the other vanishes: there it is the density at `near` times the first terms of Mills' ratio.
 */
static double above_grown(double far, double epsilon, double near)
{
    if (far < FAR_OUT) {
        return exp(epsilon) * above(far);
    }
    const double r = 1 / (far * far);
    const double mills = (1 - r * (1 - r * (3 - r * 15))) / far;
    return exp(-near * near / 2) * M_SQRT1_2 * M_2_SQRTPI / 2 * mills;
}

double mr_epsilon_gaussian_delta(double mu, double epsilon)
{
    if (mu <= 0) {
        return 0;
    }
    const double near = epsilon / mu - mu / 2, far = near + mu;
    const double delta = above(near) - above_grown(far, epsilon, near);
    return delta > 0 ? delta : 0;
}

double mr_epsilon_gaussian(double mu, double delta)
{
    if (mr_epsilon_gaussian_delta(mu, 0) <= delta) {
        return 0;
    }
    if (mu > MU_MAX) {
        return INFINITY;
    }
    double low = 0, high = mu * mu / 2 + mu * sqrt(2 * log(1 / delta));
    for (unsigned i = 0; i < STEPS; i++) {
        const double epsilon = (low + high) / 2;
        if (mr_epsilon_gaussian_delta(mu, epsilon) <= delta) {
            high = epsilon;
        } else {
            low = epsilon;
        }
    }
    return high;
}

/* --- RDP ----------------------------------------------------------------------------------------
 */

unsigned mr_epsilon_order(unsigned i)
{
    MR_ASSERT(i < MR_EPSILON_ORDERS);
    return i < MR_EPSILON_ORDERS - 1 ? i + 2 : 256;
}

double mr_epsilon_rdp(const double rdp[MR_EPSILON_ORDERS], double delta, unsigned *order)
{
    double best = INFINITY;
    for (unsigned i = 0; i < MR_EPSILON_ORDERS; i++) {
        const double alpha = mr_epsilon_order(i);
        const double epsilon = rdp[i] + log1p(-1 / alpha) - (log(delta) + log(alpha)) / (alpha - 1);
        if (epsilon < best) {
            best = epsilon;
            if (order) {
                *order = mr_epsilon_order(i);
            }
        }
    }
    return best > 0 ? best : 0;
}

/* --- in force -----------------------------------------------------------------------------------
 */

double mr_epsilon_of(mr_rho rho, double delta, enum mr_noise_kind kind)
{
    if (rho == 0 || rho == MR_RHO_MAX) {
        return rho == 0 ? 0 : INFINITY;
    }
    const double value = mr_rho_value(rho);
    const double any = mr_epsilon_zcdp(value, delta);
    const double gaussian =
        kind == MR_NOISE_HUB
            ? mr_epsilon_gaussian(sqrt(2 * value) * (1 + MR_EPSILON_LATTICE), delta)
            : INFINITY;
    return (any < gaussian ? any : gaussian) * OUTWARD;
}

mr_rho mr_epsilon_budget(double epsilon, double delta, enum mr_noise_kind kind)
{
    /* A rho whose zCDP or Gaussian epsilon is below epsilon is below twice (epsilon + 1). */
    mr_rho low = 0, high = mr_rho_above(2 * (epsilon + 1));
    while (high - low > 1) {
        const mr_rho rho = low + (high - low) / 2;
        if (mr_epsilon_of(rho, delta, kind) <= epsilon) {
            low = rho;
        } else {
            high = rho;
        }
    }
    return low;
}
