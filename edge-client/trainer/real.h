/* real.h - exponential and logarithm for the trainer's softmax, in plain arithmetic.
 *
 * Two reasons not to call the C library's: a device then trains to the same bits on every CPU and
 * with every libm, and libm (half a MiB of resident pages) is not loaded at all, which counts on a
 * device that has 9 MiB for everything but the model.
 *
 * Range reduction by ln 2 in two parts, then a polynomial (exp: Taylor; log: the series of atanh),
 * as in J.-M. Muller, "Elementary Functions", 3rd ed., chapters 11 and 5. */
#ifndef MR_TRAINER_REAL_H
#define MR_TRAINER_REAL_H

/* e^x for x <= 0, NaN included; within 1 unit in the last place of float. Results below the
 * smallest normal number are 0. */
float mr_exp_nonpositive(float x);

/* ln x for a finite x >= 1; relative error below 1e-14 (absolute below 1e-15 near 1). NaN stays. */
double mr_log_from_one(double x);

#endif
