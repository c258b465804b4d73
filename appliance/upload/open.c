/* Which implementation opens. */
#include "appliance/upload/open.h"

#include <stdio.h>

#include "appliance/upload/open_internal.h"
#include "base/assert.h"

struct mr_opener *mr_opener_open(enum mr_opener_kind kind, uint32_t keys, uint32_t cpu_levels,
                                 struct mr_error *error)
{
    struct mr_error bulk = {.text = "asked for by name"};
    struct mr_opener *opener = NULL;

    MR_ASSERT(keys > 0);
    if (kind != MR_OPENER_OPENSSL) {
        opener = mr_opener_ipsec_mb(keys, cpu_levels ? cpu_levels : UINT32_MAX, &bulk);
        if (!opener && kind == MR_OPENER_IPSEC_MB) {
            mr_error_set(error, "ipsec_mb cannot open uploads here: %s", bulk.text);
            return NULL;
        }
    }
    if (opener) {
        return opener;
    }
    opener = mr_opener_openssl(keys, error);
    if (opener) {
        snprintf(opener->why, sizeof opener->why, "%.110s", bulk.text);
    }
    return opener;
}

void mr_opener_close(struct mr_opener *opener)
{
    if (opener) {
        opener->ops->close(opener);
    }
}

const char *mr_opener_name(const struct mr_opener *opener)
{
    return opener->ops->name;
}

const char *mr_opener_why(const struct mr_opener *opener)
{
    return opener->why;
}

int mr_opener_key(struct mr_opener *opener, uint32_t place, const struct mr_aead_key *key)
{
    MR_ASSERT(place < opener->keys);
    return opener->ops->key(opener, place, key);
}

void mr_opener_forget(struct mr_opener *opener, uint32_t place)
{
    MR_ASSERT(place < opener->keys);
    opener->ops->forget(opener, place);
}

void mr_open_burst(struct mr_opener *opener, struct mr_open_job *jobs, unsigned count)
{
    opener->ops->burst(opener, jobs, count);
}

void mr_seal_burst(struct mr_opener *opener, struct mr_seal_job *jobs, unsigned count)
{
    opener->ops->seal(opener, jobs, count);
}
