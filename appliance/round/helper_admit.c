/* helper_admit.c - seeds of devices, each for a receipt. */
#include <stdlib.h>
#include <string.h>

#include "appliance/round/helper_internal.h"

static enum mr_verdict_code check_seed(const struct mr_helper *helper, uint64_t round,
                                       const struct mr_seed_request *request,
                                       struct mr_verdict *verdict)
{
    if (!helper->round_known || helper->state == MR_HELPER_SIGNING) {
        return mr_verdict_set(verdict, MR_VERDICT_NO_ROUND, "no round is open here");
    }
    if (helper->terms.announcement.round != round) {
        return mr_verdict_set(verdict, MR_VERDICT_WRONG_ROUND, "the current round is %llu",
                              (unsigned long long)helper->terms.announcement.round);
    }
    if (helper->state == MR_HELPER_VOID) {
        return mr_verdict_set(verdict, MR_VERDICT_VOID, "the round was given up");
    }
    if (helper->state != MR_HELPER_ADMITTING) {
        return mr_verdict_set(verdict, MR_VERDICT_CLOSED, "the round takes no more seeds");
    }
    if (memcmp(request->announcement_hash, helper->terms.hash, MR_HASH_BYTES) != 0) {
        return mr_verdict_set(verdict, MR_VERDICT_WRONG_ANNOUNCEMENT,
                              "the request names another announcement of round %llu",
                              (unsigned long long)round);
    }
    if (request->attempt >= MR_ATTEMPTS_MAX) {
        return mr_verdict_set(verdict, MR_VERDICT_BAD_ATTEMPT, "attempts are 0 to %d",
                              MR_ATTEMPTS_MAX - 1);
    }
    return MR_VERDICT_OK;
}

static void answer_receipt(struct mr_helper *helper, const uint8_t *client_id, uint32_t attempt,
                           void *token)
{
    struct mr_receipt receipt = {.hub_index = helper->config.index};
    char *text = NULL;
    if (mr_receipt_sign(receipt.signature, helper->terms.hash, client_id, helper->config.index,
                        attempt, helper->private_key) == 0) {
        text = mr_receipt_encode(&receipt);
    }
    if (!text) {
        helper_refuse(helper, token, MR_VERDICT_INTERNAL, "the receipt could not be signed");
        return;
    }
    helper->ops->answer(helper->context, token, true, text, strlen(text));
    free(text);
}

void mr_helper_seed(struct mr_helper *helper, uint64_t round,
                    const uint8_t client_id[MR_CLIENT_ID_BYTES],
                    const struct mr_seed_request *request, void *token)
{
    struct mr_verdict verdict;
    if (check_seed(helper, round, request, &verdict) != MR_VERDICT_OK) {
        helper->ops->refuse(helper->context, token, &verdict);
        return;
    }
    switch (mr_seeds_admit(&helper->seeds, client_id, request->attempt, request->seed)) {
    case MR_SEED_ADMITTED:
    case MR_SEED_REPEATED:
        answer_receipt(helper, client_id, request->attempt, token);
        return;
    case MR_SEED_CONFLICT:
        helper_refuse(helper, token, MR_VERDICT_SEED_CONFLICT,
                      "another seed is on record for attempt %u", request->attempt);
        return;
    case MR_SEED_FULL:
        helper_refuse(helper, token, MR_VERDICT_BUSY, "the round has all the devices it can hold");
        return;
    }
}
