#include "appliance/model/watermark.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#define SIGN_BYTES     512  /* signs that are expanded at once: of 4,096 values */
#define MOVED_MAX      1.0  /* a mark as large as the values leaves little of the model */
#define SCORE_ROUNDING 0.01 /* more than what rounding to floats takes off a score */
#define HALVINGS       60   /* more than a double's digits */

/* --- signs -------------------------------------------------------------------------------------
 */

/* The stream of a tensor's signs. It follows its name, so that the order in a file and other
 * tensors beside it do not matter. */
static int signs_begin(EVP_CIPHER_CTX *signs, const uint8_t key[MR_WATERMARK_KEY_BYTES],
                       const struct mr_tensor *tensor)
{
    static const char label[] = "\x18millrace watermark signs"; /* len8 ‖ label */
    uint8_t message[sizeof label - 1 + SHA256_DIGEST_LENGTH], stream[SHA256_DIGEST_LENGTH];
    memcpy(message, label, sizeof label - 1);
    const bool good =
        SHA256((const uint8_t *)tensor->name, strlen(tensor->name), message + sizeof label - 1) &&
        HMAC(EVP_sha256(), key, MR_WATERMARK_KEY_BYTES, message, sizeof message, stream, NULL) &&
        EVP_EncryptInit_ex(signs, EVP_aes_128_ctr(), NULL, stream, stream + 16) == 1;
    OPENSSL_cleanse(stream, sizeof stream);
    return good ? 0 : -1;
}

static int signs_next(EVP_CIPHER_CTX *signs, uint8_t bits[SIGN_BYTES])
{
    static const uint8_t zeros[SIGN_BYTES];
    int length;
    return EVP_EncryptUpdate(signs, bits, &length, zeros, SIGN_BYTES) == 1 ? 0 : -1;
}

/* -1 or 1: of the value with that number among those of `bits`. */
static double sign_of(const uint8_t bits[SIGN_BYTES], size_t at)
{
    return 1.0 - 2.0 * (bits[at / 8] >> at % 8 & 1);
}

/* --- tensors -----------------------------------------------------------------------------------
 */

struct marked {
    const struct mr_tensor *tensor; /* NULL: holds no mark */
    bool stays;                     /* counts, and is not moved */
    double rms;
    double mean; /* of sign * value / RMS */
};

struct scan {
    EVP_CIPHER_CTX *signs;
    const uint8_t *key;
    struct marked *marked; /* one a tensor of the model */
    unsigned count;
    double values;
};

static float value_at(const uint8_t *data, const struct mr_tensor *tensor, size_t i)
{
    float value;
    memcpy(&value, data + (tensor->offset + i) * sizeof value, sizeof value);
    return value;
}

static int correlate(const struct scan *scan, struct marked *marked, const uint8_t *data,
                     struct mr_error *error)
{
    const struct mr_tensor *tensor = marked->tensor;
    uint8_t bits[SIGN_BYTES];
    double sum = 0, energy = 0;
    bool good = signs_begin(scan->signs, scan->key, tensor) == 0;
    for (size_t i = 0; i < tensor->count && good; i++) {
        if (i % (8 * SIGN_BYTES) == 0) {
            good = signs_next(scan->signs, bits) == 0;
        }
        const double value = (double)value_at(data, tensor, i);
        sum += sign_of(bits, i % (8 * SIGN_BYTES)) * value;
        energy += value * value;
    }
    OPENSSL_cleanse(bits, sizeof bits);
    if (!good) {
        return mr_error_set(error, "the cryptographic library makes no AES-128-CTR");
    }
    if (!isfinite(energy)) {
        return mr_error_set(error, "tensor %.64s has a value that is not finite", tensor->name);
    }
    if (energy == 0) {
        marked->tensor = NULL;
        return 0;
    }
    marked->rms = sqrt(energy / (double)tensor->count);
    marked->mean = sum / marked->rms / (double)tensor->count;
    return 0;
}

static void scan_fini(struct scan *scan)
{
    EVP_CIPHER_CTX_free(scan->signs);
    free(scan->marked);
}

/* On success scan_fini is owed. */
static int scan_init(struct scan *scan, const struct mr_safetensors *model, const uint8_t *data,
                     const uint8_t key[MR_WATERMARK_KEY_BYTES], struct mr_error *error)
{
    *scan = (struct scan){.signs = EVP_CIPHER_CTX_new(),
                          .key = key,
                          .marked = calloc(model->tensor_count + 1, sizeof *scan->marked),
                          .count = model->tensor_count};
    if (!scan->signs || !scan->marked) {
        scan_fini(scan);
        mr_error_set(error, "out of memory");
        return -1;
    }
    int result = 0;
    for (unsigned i = 0; i < scan->count && result == 0; i++) {
        const struct mr_tensor *tensor = &model->tensors[i];
        if (tensor->rank < 2 || tensor->part == MR_PART_PERSONAL || tensor->count == 0) {
            continue;
        }
        scan->marked[i].tensor = tensor;
        result = correlate(scan, &scan->marked[i], data, error);
        scan->values += scan->marked[i].tensor ? (double)tensor->count : 0;
    }
    if (result != 0) {
        scan_fini(scan);
        return -1;
    }
    return 0;
}

/* The same of a model that could hold a mark. */
static int scan_some(struct scan *scan, const struct mr_safetensors *model, const uint8_t *data,
                     const uint8_t key[MR_WATERMARK_KEY_BYTES], struct mr_error *error)
{
    if (scan_init(scan, model, data, key, error) != 0) {
        return -1;
    }
    if (scan->values == 0) {
        scan_fini(scan);
        mr_error_set(error, "the model has no tensor that could hold a mark: of two or more "
                            "dimensions, not all zero, not personal");
        return -1;
    }
    return 0;
}

/* The score when every value is moved by that share of its tensor's RMS: the RMS grows as well. */
static double score_at(const struct scan *scan, double moved)
{
    double sum = 0;
    for (unsigned i = 0; i < scan->count; i++) {
        const struct marked *marked = &scan->marked[i];
        if (marked->tensor) {
            const double by = marked->stays ? 0 : moved;
            const double grown = sqrt(1 + 2 * by * marked->mean + by * by);
            sum += (double)marked->tensor->count * (marked->mean + by) / grown;
        }
    }
    return sum / sqrt(scan->values);
}

int mr_watermark_score(struct mr_watermark_score *score, const struct mr_safetensors *model,
                       const uint8_t *data, const uint8_t key[MR_WATERMARK_KEY_BYTES],
                       struct mr_error *error)
{
    struct scan scan;
    if (scan_some(&scan, model, data, key, error) != 0) {
        return -1;
    }
    const double sigma = score_at(&scan, 0);
    *score = (struct mr_watermark_score){
        .sigma = sigma,
        .false_positive = erfc(sigma / sqrt(2)) / 2,
        .false_positive_at_most = sigma > 0 ? exp(-sigma * sigma / 2) : 1,
        .values = (size_t)scan.values,
    };
    scan_fini(&scan);
    return 0;
}

/* --- marking -----------------------------------------------------------------------------------
 */

static double find_move(const struct scan *scan, double strength)
{
    double low = 0, high = MOVED_MAX;
    for (unsigned i = 0; i < HALVINGS; i++) {
        const double middle = (low + high) / 2;
        if (score_at(scan, middle) < strength) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return high;
}

static int move(const struct scan *scan, const struct marked *marked, uint8_t *data, double moved)
{
    const struct mr_tensor *tensor = marked->tensor;
    uint8_t bits[SIGN_BYTES];
    bool good = signs_begin(scan->signs, scan->key, tensor) == 0;
    for (size_t i = 0; i < tensor->count && good; i++) {
        if (i % (8 * SIGN_BYTES) == 0) {
            good = signs_next(scan->signs, bits) == 0;
        }
        const float value = (float)((double)value_at(data, tensor, i) +
                                    sign_of(bits, i % (8 * SIGN_BYTES)) * moved * marked->rms);
        memcpy(data + (tensor->offset + i) * sizeof value, &value, sizeof value);
        good &= isfinite(value);
    }
    OPENSSL_cleanse(bits, sizeof bits);
    return good ? 0 : -1;
}

static int check_room(const struct scan *scan, double strength, struct mr_error *error)
{
    const double most = score_at(scan, MOVED_MAX), has = score_at(scan, 0);
    if (has > strength - SCORE_ROUNDING) {
        return mr_error_set(error, "the model scores %.1f with this key already: it is marked",
                            has);
    }
    if (most < strength) {
        return mr_error_set(error,
                            "%.0f values cannot hold a mark of strength %.0f, but one of %.0f at "
                            "most, as large as the values themselves; mark more weakly",
                            scan->values, strength, floor(most));
    }
    return 0;
}

static int move_all(const struct scan *scan, uint8_t *data, double moved, struct mr_error *error)
{
    for (unsigned i = 0; i < scan->count; i++) {
        const struct marked *marked = &scan->marked[i];
        if (marked->tensor && !marked->stays && move(scan, marked, data, moved) != 0) {
            return mr_error_set(error,
                                "tensor %.64s cannot be marked: its values are too large, or the "
                                "cryptographic library makes no AES-128-CTR",
                                marked->tensor->name);
        }
    }
    return 0;
}

int mr_watermark_add(double *moved, const struct mr_safetensors *model, uint8_t *data,
                     const uint8_t key[MR_WATERMARK_KEY_BYTES], double strength,
                     struct mr_error *error)
{
    struct scan scan;
    if (scan_some(&scan, model, data, key, error) != 0) {
        return -1;
    }
    int result = check_room(&scan, strength, error);
    if (result == 0) {
        *moved = find_move(&scan, strength);
        result = move_all(&scan, data, *moved, error);
    }
    scan_fini(&scan);
    return result;
}

int mr_watermark_keep(struct mr_watermark_kept *kept, const struct mr_safetensors *model,
                      uint8_t *data, const uint8_t key[MR_WATERMARK_KEY_BYTES], double strength,
                      struct mr_error *error)
{
    struct scan scan;
    int result = 0;
    if (scan_init(&scan, model, data, key, error) != 0) {
        return -1;
    }
    for (unsigned i = 0; i < scan.count; i++) {
        scan.marked[i].stays = model->tensors[i].part != MR_PART_TRAINED;
    }
    *kept = (struct mr_watermark_kept){.sigma = scan.values > 0 ? score_at(&scan, 0) : 0};
    const bool faded = scan.values > 0 && kept->sigma < MR_WATERMARK_FADED * strength;
    if (faded && check_room(&scan, strength, NULL) == 0) {
        kept->moved = find_move(&scan, strength);
        result = move_all(&scan, data, kept->moved, error);
    }
    scan_fini(&scan);
    return result;
}
