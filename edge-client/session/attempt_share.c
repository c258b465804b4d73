/* attempt_share.c - an attempt's share, from the prepared vector. */
#include <openssl/crypto.h>
#include <string.h>

#include "edge-client/session/attempt_internal.h"
#include "edge-client/session/dump.h"
#include "edge-client/session/outcome.h"

_Static_assert(sizeof((struct mre_outcome *)0)->warning == sizeof((struct mr_error *)0)->text,
               "a warning is an error's text");

/* Rounds, and says what that cost: too much, and the share is not sent. */
static enum mre_result quantise(struct attempt *a, int8_t *q,
                                const uint8_t random[MR_PREPARE_RANDOM_BYTES])
{
    struct mr_round_work *work = a->work;
    struct mre_outcome *outcome = a->outcome;
    struct mr_rounding rounding;
    struct mr_error report, said;
    mr_prepare_quantise(q, work->trailer, &rounding, work->vector, &work->terms, random,
                        a->client->kernels);
    mr_prepare_metrics(work->trailer, &work->terms, &work->metrics, random, a->client->kernels);
    outcome->clipped = rounding.clipped;
    outcome->saturated = rounding.saturated;
    outcome->resolution = rounding.resolution;
    outcome->rounding_error = rounding.error;
    const int refused = mr_rounding_judge(&rounding, &work->terms, &report);
    mr_error_set(&said, "%s%s%s", work->note.text, work->note.text[0] && report.text[0] ? "; " : "",
                 report.text);
    memcpy(outcome->warning, said.text, sizeof outcome->warning);
    return refused ? mr_outcome_set(outcome, MRE_BAD_DELTA, "%s", report.text) : MRE_OK;
}

/* What a device's own noise is drawn with; nothing where hubs or nobody add it. */
static int prepare_noise(const struct attempt *a, struct mr_noise_tables **tables,
                         uint8_t seed[MR_NOISE_SEED_BYTES])
{
    const struct mr_device_env *env = &a->client->env;
    const struct mr_announcement *round = &a->work->terms.announcement;
    if (round->noise_kind != MR_NOISE_DEVICE) {
        return 0;
    }
    return env->random(env->context, seed, MR_NOISE_SEED_BYTES) != 0
               ? -1
               : mr_noise_tables_prepare(tables, round);
}

enum mre_result mr_attempt_make_share(struct attempt *a)
{
    struct mr_round_work *work = a->work;
    const struct mr_device_env *env = &a->client->env;
    uint8_t random[MR_PREPARE_RANDOM_BYTES], noise_seed[MR_NOISE_SEED_BYTES] = {0};
    struct mr_noise_tables *noise_tables = NULL;
    struct mr_error error;
    enum mre_result result = MRE_OK;
    size_t lanes = work->terms.layout.lanes;
    int8_t *q = mr_pages_take(lanes);
    a->share = mr_pages_take(work->terms.layout.share_bytes);
    if (!q || !a->share || env->random(env->context, random, sizeof random) ||
        env->random(env->context, a->seeds[0], sizeof a->seeds) ||
        prepare_noise(a, &noise_tables, noise_seed) != 0) {
        result = mr_outcome_set(a->outcome, MRE_FAILED, "out of memory or of random numbers");
    }
    if (!result) {
        result = quantise(a, q, random);
    }
    if (!result) {
        if (a->client->dump_dir &&
            mr_dump_write(a->client, work, a->request.attempt, q, work->trailer, &error)) {
            result = mr_outcome_set(a->outcome, MRE_BAD_CONFIG, "%s", error.text);
        }
    }
    const struct mr_share_parts parts = {.q = q,
                                         .trailer = work->trailer,
                                         .terms = &work->terms,
                                         .client_id = a->client->identity.client_id,
                                         .attempt = a->request.attempt,
                                         .noise_tables = noise_tables,
                                         .noise_seed = noise_seed,
                                         .seeds = (const uint8_t(*)[MR_SEED_BYTES])a->seeds};
    if (!result && mr_prepare_share(a->share, &parts, a->client->kernels)) {
        result = mr_outcome_set(a->outcome, MRE_FAILED,
                                "masks or noise cannot be derived: OpenSSL failed");
    }
    OPENSSL_cleanse(random, sizeof random);
    OPENSSL_cleanse(noise_seed, sizeof noise_seed);
    mr_noise_tables_free(noise_tables);
    if (q) {
        OPENSSL_cleanse(q, lanes);
    }
    mr_pages_give(q, lanes);
    return result;
}
