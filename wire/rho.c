#include "wire/rho.h"

#include <math.h>

/* Products of two 64-bit numbers. */
typedef unsigned __int128 wide;

mr_rho mr_rho_add(mr_rho a, mr_rho b)
{
    return a > MR_RHO_MAX - b ? MR_RHO_MAX : a + b;
}

mr_rho mr_rho_times(mr_rho a, uint64_t times)
{
    const wide product = (wide)a * times;
    return product > MR_RHO_MAX ? MR_RHO_MAX : (mr_rho)product;
}

/* ceil(a * 2^(MR_RHO_BITS - 1) / b), capped; b > 0. */
static uint64_t half_scaled_ratio(uint64_t a, uint64_t b)
{
    const wide top = (wide)a << (MR_RHO_BITS - 1);
    const wide ratio = top / b + (top % b != 0);
    return ratio > UINT64_MAX ? UINT64_MAX : (uint64_t)ratio;
}

mr_rho mr_rho_of_release(uint64_t sensitivity2, uint64_t sigma2)
{
    if (sensitivity2 == 0) {
        return 0;
    }
    return sigma2 == 0 ? MR_RHO_MAX : half_scaled_ratio(sensitivity2, sigma2);
}

uint64_t mr_rho_sigma2(uint64_t sensitivity2, mr_rho rho)
{
    if (sensitivity2 == 0 || rho == 0) {
        return 0;
    }
    const uint64_t sigma2 = half_scaled_ratio(sensitivity2, rho);
    return sigma2 == UINT64_MAX ? 0 : sigma2;
}

double mr_rho_value(mr_rho rho)
{
    return ldexp((double)rho, -MR_RHO_BITS);
}

mr_rho mr_rho_below(double value)
{
    const double units = floor(ldexp(value, MR_RHO_BITS));
    if (!(units >= 1)) { /* NaN too */
        return 0;
    }
    return units >= 0x1p64 ? MR_RHO_MAX : (mr_rho)units;
}

mr_rho mr_rho_above(double value)
{
    const double units = ceil(ldexp(value, MR_RHO_BITS));
    if (!(units >= 0)) {
        return units < 0 ? 0 : MR_RHO_MAX;
    }
    return units >= 0x1p64 ? MR_RHO_MAX : (mr_rho)units;
}
