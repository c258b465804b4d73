/* watermark.h - a keyed mark in a model's values, found again by whoever has every key part.
 *
 * Spread spectrum (Cox et al., "Secure spread spectrum watermarking for multimedia", 1997), blind:
 * the key gives a sign for each value, and marking moves each value by the same share of its
 * tensor's root mean square (RMS) towards its sign. What is marked are tensors of rank 2 and more
 * that are not all zero and not a device's own (wire/tensor_parts.h), n values in all:
 *
 *   score = 1/sqrt(n) * sum over tensors of (sum of sign * value) / RMS
 *
 * For a key that was drawn without looking at the model the score has mean 0 and variance 1,
 * whatever the values are. The formats are docs/wire-format.md, section 20. Pure compute; the same
 * bytes on every machine. */
#ifndef MR_MODEL_WATERMARK_H
#define MR_MODEL_WATERMARK_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "wire/announcement.h"
#include "wire/safetensors.h"

#define MR_WATERMARK_SIGMA 6 /* a score from here on is a mark */

/* The key of all parts, in whatever order they are given; without one of them nothing is known of
 * it. Secret: wipe it. 0, or -1 with an error: too few or too many parts, one twice. */
int mr_watermark_key_join(uint8_t key[MR_WATERMARK_KEY_BYTES],
                          const uint8_t parts[][MR_WATERMARK_KEY_BYTES], unsigned count,
                          struct mr_error *error);

struct mr_watermark_score {
    double sigma;
    double
        false_positive; /* that a key drawn at random scores as much, by the normal distribution */
    double
        false_positive_at_most; /* the same, proven for any values: Hoeffding's exp(-sigma^2/2) */
    size_t values;              /* n */
};

/* `data` is the file's data region, at any alignment. 0, or -1 with an error: no tensor that could
 * hold a mark, a value that is not finite. */
int mr_watermark_score(struct mr_watermark_score *score, const struct mr_safetensors *model,
                       const uint8_t *data, const uint8_t key[MR_WATERMARK_KEY_BYTES],
                       struct mr_error *error);

/* Marks the data in place, so that it scores `strength` (to the rounding of floats). *moved: how
 * far each value was moved, as a share of its tensor's RMS. 0, or -1 with an error, and the data
 * are to be thrown away: as mr_watermark_score, too few values for so strong a mark, as much of one
 * in them already. */
int mr_watermark_add(double *moved, const struct mr_safetensors *model, uint8_t *data,
                     const uint8_t key[MR_WATERMARK_KEY_BYTES], double strength,
                     struct mr_error *error);

/* Keeps a mark up between rounds: where the score has faded below that share of `strength`, it is
 * put up to `strength` again, as by mr_watermark_add, but only what rounds train is moved. Nothing
 * is where it has not, since each move shows some of the mark to who has both models, or where
 * those values cannot hold so strong a mark. On failure the data are to be thrown away. */
#define MR_WATERMARK_FADED 0.8
struct mr_watermark_kept {
    double sigma; /* the score before */
    double moved; /* 0: nothing was */
};
int mr_watermark_keep(struct mr_watermark_kept *kept, const struct mr_safetensors *model,
                      uint8_t *data, const uint8_t key[MR_WATERMARK_KEY_BYTES], double strength,
                      struct mr_error *error);
/* The same as a round with a watermark announces it. */
int mr_watermark_keep_announced(struct mr_watermark_kept *kept, const struct mr_safetensors *model,
                                uint8_t *data, const struct mr_announcement *round,
                                const struct mr_watermark_parts *parts, struct mr_error *error);

#endif
