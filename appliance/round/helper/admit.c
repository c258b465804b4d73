/* admit.c - seeds of devices, each for a receipt. */
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/round/helper/helper_internal.h"

static enum mr_refusal_code check_seed(const struct mr_helper *helper, uint64_t round,
                                       const struct mr_seed_request *request,
                                       struct mr_refusal *refusal)
{
    if (!helper->round_known || helper->state == MR_HELPER_SIGNING) {
        return mr_helper_unknown(helper, round, refusal);
    }
    if (helper->terms.announcement.round != round) {
        return mr_refuse(refusal, MR_REFUSAL_WRONG_ROUND, "the current round is %llu",
                         (unsigned long long)helper->terms.announcement.round);
    }
    if (helper->state == MR_HELPER_VOID) {
        return mr_refuse(refusal, MR_REFUSAL_VOID, "the round was given up: %.250s",
                         helper->reason);
    }
    if (helper->state != MR_HELPER_ADMITTING) {
        return mr_refuse(refusal, MR_REFUSAL_CLOSED, "the round takes no more seeds");
    }
    if (memcmp(request->announcement_hash, helper->terms.hash, MR_HASH_BYTES) != 0) {
        return mr_refuse(refusal, MR_REFUSAL_WRONG_ANNOUNCEMENT,
                         "the request names another announcement of round %llu",
                         (unsigned long long)round);
    }
    if (request->attempt >= MR_ATTEMPTS_MAX) {
        return mr_refuse(refusal, MR_REFUSAL_BAD_ATTEMPT, "attempts are 0 to %d",
                         MR_ATTEMPTS_MAX - 1);
    }
    return MR_REFUSAL_NONE;
}

static void answer_receipt(struct mr_helper *helper, const uint8_t *client_id, uint32_t attempt,
                           void *token)
{
    struct mr_receipt receipt = {.hub_index = helper->config.index};
    const struct mr_key_scope scope = {.task = helper->terms.announcement.task,
                                       .announcement_hash = helper->terms.hash,
                                       .client_id = client_id,
                                       .hub_index = helper->config.index,
                                       .attempt = attempt};
    char *text = NULL;
    if (mr_receipt_sign(receipt.signature, &scope, &helper->keys) == 0) {
        text = mr_receipt_encode(&receipt);
    }
    if (!text) {
        mr_helper_refuse(helper, token, MR_REFUSAL_INTERNAL, "the receipt could not be signed");
        return;
    }
    helper->ops->answer(helper->context, token, true, text, strlen(text));
    free(text);
}

/* The seed is in the table; its receipt is given when everything asked for so far is durable. */
static void wait_for_disk(struct mr_helper *helper, const uint8_t *client_id, uint32_t attempt,
                          void *token)
{
    struct helper_receipts *receipts = &helper->receipts;
    if (receipts->count == receipts->capacity) {
        const uint32_t capacity = receipts->capacity ? 2 * receipts->capacity : 64;
        struct helper_receipt *list = realloc(receipts->list, capacity * sizeof *list);
        if (!list) {
            mr_helper_refuse(helper, token, MR_REFUSAL_BUSY, "no memory for another receipt");
            return;
        }
        receipts->list = list;
        receipts->capacity = capacity;
    }
    struct helper_receipt *receipt = &receipts->list[receipts->count++];
    *receipt = (struct helper_receipt){.token = token, .attempt = attempt, .needed = helper->asked};
    memcpy(receipt->client_id, client_id, MR_CLIENT_ID_BYTES);
}

void mr_helper_answer_receipts(struct mr_helper *helper)
{
    struct helper_receipts *receipts = &helper->receipts;
    uint32_t done = 0;
    while (done < receipts->count && receipts->list[done].needed <= helper->durable) {
        const struct helper_receipt *receipt = &receipts->list[done++];
        answer_receipt(helper, receipt->client_id, receipt->attempt, receipt->token);
    }
    if (done) {
        receipts->count -= done;
        memmove(receipts->list, receipts->list + done, receipts->count * sizeof *receipts->list);
    }
}

void mr_helper_refuse_receipts(struct mr_helper *helper, enum mr_refusal_code code, const char *why)
{
    for (uint32_t i = 0; i < helper->receipts.count; i++) {
        mr_helper_refuse(helper, helper->receipts.list[i].token, code, "%s", why);
    }
    helper->receipts.count = 0;
}

static void keep_seed(struct mr_helper *helper, const uint8_t *client_id,
                      const struct mr_serial *serial, const struct mr_seed_request *request)
{
    uint8_t record[MR_JOURNAL_SEED_BYTES];
    struct mr_expansion entry = {.included = {.attempt = request->attempt}, .serial = *serial};
    memcpy(entry.included.client_id, client_id, MR_CLIENT_ID_BYTES);
    memcpy(entry.seed, request->seed, MR_SEED_BYTES);
    mr_helper_append(helper, record, mr_journal_seed_encode(record, &entry));
    OPENSSL_cleanse(&entry, sizeof entry);
    OPENSSL_cleanse(record, sizeof record);
}

void mr_helper_seed(struct mr_helper *helper, uint64_t round,
                    const uint8_t client_id[MR_CLIENT_ID_BYTES], const struct mr_serial *serial,
                    const struct mr_seed_request *request, void *token)
{
    struct mr_refusal refusal;
    if (check_seed(helper, round, request, &refusal) != MR_REFUSAL_NONE) {
        helper->ops->refuse(helper->context, token, &refusal);
        return;
    }
    switch (mr_seeds_admit(&helper->seeds, client_id, request->attempt, request->seed, serial)) {
    case MR_SEED_ADMITTED:
        helper->admitted_count = helper->seeds.count;
        keep_seed(helper, client_id, serial, request);
        wait_for_disk(helper, client_id, request->attempt, token);
        return;
    case MR_SEED_REPEATED:
        if (helper->durable == helper->asked) {
            answer_receipt(helper, client_id, request->attempt, token);
        } else {
            wait_for_disk(helper, client_id, request->attempt, token);
        }
        return;
    case MR_SEED_CONFLICT:
        mr_helper_refuse(helper, token, MR_REFUSAL_SEED_CONFLICT,
                         "another seed is on record for attempt %u", request->attempt);
        return;
    case MR_SEED_FULL:
        mr_helper_refuse(helper, token, MR_REFUSAL_BUSY,
                         "the round has all the devices it can hold");
        return;
    }
}
