/* helper.c - a helper is made, told what is durable, and let go of. */
#include <stdlib.h>

#include "appliance/round/helper/helper_internal.h"
#include "base/assert.h"
#include "base/secret.h"

struct mr_helper *mr_helper_new(const struct mr_helper_config *config,
                                const struct mr_helper_ops *ops, void *context)
{
    struct mr_helper *helper = mr_secret_new(sizeof *helper); /* the signing key is in it */
    struct mr_hpke_kit *kit = helper ? mr_hpke_kit_new() : NULL;
    if (!kit || mr_signing_pair_derive(&helper->keys, config->private_key) != 0) {
        mr_hpke_kit_free(kit);
        mr_secret_free(helper);
        return NULL;
    }
    helper->kit = kit;
    helper->config = *config;
    helper->next_policy = config->policy;
    helper->config.private_key = helper->keys.private_key;
    helper->ops = ops;
    helper->context = context;
    return helper;
}

void mr_helper_dismiss(struct mr_helper *helper, enum mr_refusal_code code, const char *why)
{
    for (unsigned i = 0; i < helper->waiter_count; i++) {
        mr_helper_refuse(helper, helper->waiters[i], code, "%s", why);
    }
    for (unsigned i = 0; i < helper->mourner_count; i++) {
        mr_helper_refuse(helper, helper->mourners[i], code, "%s", why);
    }
    helper->waiter_count = helper->mourner_count = 0;
    mr_helper_refuse_receipts(helper, code, why);
    mr_helper_refuse_values(helper, code, why);
}

void mr_helper_free(struct mr_helper *helper)
{
    if (!helper) {
        return;
    }
    mr_helper_dismiss(helper, MR_REFUSAL_BUSY, "the hub is stopping");
    free(helper->receipts.list);
    mr_helper_drop_round(helper);
    mr_hpke_kit_free(helper->kit);
    mr_secret_free(helper);
}

void mr_helper_durable(struct mr_helper *helper, uint64_t count)
{
    MR_ASSERT(count <= helper->asked && count >= helper->durable);
    helper->durable = count;
    mr_helper_answer_receipts(helper);
    mr_helper_answer_values(helper);
    if (count < helper->needed) {
        return;
    }
    if (helper->state == MR_HELPER_SIGNING) {
        mr_helper_signed(helper);
    }
    if (helper->state == MR_HELPER_ADMITTING) {
        mr_helper_answer_signatures(helper);
    } else if (helper->list) {
        mr_helper_set_durable(helper);
    } else if (helper->opened && helper->state == MR_HELPER_COMMITTED && !helper->releasing) {
        mr_helper_opening_durable(helper);
    }
}

void mr_helper_released(struct mr_helper *helper)
{
    MR_ASSERT(helper->releasing);
    helper->releasing = false;
    if (helper->opened && helper->state == MR_HELPER_COMMITTED &&
        helper->durable >= helper->needed) {
        mr_helper_opening_durable(helper);
    }
}
