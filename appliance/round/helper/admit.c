/* admit.c - seeds of devices, each for a receipt. */
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/round/helper/helper_internal.h"

static enum mr_refusal_code check_seed(const struct mr_helper *helper, uint64_t round,
                                       const uint8_t *client_id,
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
    if (!mr_helper_on_list(helper, client_id)) {
        return mr_refuse(refusal, MR_REFUSAL_CLOSED,
                         "the round's set is drawn from devices that were ready before this one; "
                         "the next round is open to it");
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
    /* A device that could not be in the set must not make it void either. */
    return helper->ops->may_count(helper->context, &helper->terms, client_id, refusal)
               ? MR_REFUSAL_NONE
               : refusal->code;
}

static struct mr_key_scope scope_of(const struct mr_helper *helper, const struct mr_included *of)
{
    return (struct mr_key_scope){.task = helper->terms.announcement.task,
                                 .announcement_hash = helper->terms.hash,
                                 .client_id = of->client_id,
                                 .hub_index = helper->config.index,
                                 .attempt = of->attempt};
}

const uint8_t *mr_helper_receipt_key(struct mr_helper *helper)
{
    if (!helper->receipt_key_known) {
        helper->receipt_key_known =
            mr_receipt_key(helper->receipt_key, helper->terms.hash, helper->keys.private_key) == 0;
    }
    return helper->receipt_key_known ? helper->receipt_key : NULL;
}

static void answer_receipt(struct mr_helper *helper, const struct mr_included *of,
                           struct mr_receipt *receipt, void *token)
{
    uint8_t bytes[MR_RECEIPT_ANSWER_BYTES];
    const struct mr_key_scope scope = scope_of(helper, of);
    const uint8_t *key = mr_helper_receipt_key(helper);
    if (!key || mr_receipt_mac_make(receipt, &scope, key) != 0) {
        mr_helper_refuse(helper, token, MR_REFUSAL_INTERNAL, "the receipt could not be made");
        return;
    }
    mr_receipt_answer_encode(bytes, receipt);
    helper->ops->answer(helper->context, token, false, bytes, sizeof bytes);
}

/* The seed is in the table; its receipt is given when everything asked for so far is durable. */
static void wait_for_disk(struct mr_helper *helper, const struct mr_included *of,
                          const struct mr_receipt *receipt, void *token)
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
    receipts->list[receipts->count++] = (struct helper_receipt){
        .token = token, .of = *of, .receipt = *receipt, .needed = helper->asked};
}

void mr_helper_answer_receipts(struct mr_helper *helper)
{
    struct helper_receipts *receipts = &helper->receipts;
    uint32_t done = 0;
    while (done < receipts->count && receipts->list[done].needed <= helper->durable) {
        struct helper_receipt *receipt = &receipts->list[done++];
        answer_receipt(helper, &receipt->of, &receipt->receipt, receipt->token);
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

static void keep_seed(struct mr_helper *helper, const struct mr_included *of,
                      const struct mr_seed *seed)
{
    uint8_t record[MR_JOURNAL_SEED_BYTES];
    struct mr_expansion entry = {.included = *of, .serial = seed->serial};
    memcpy(entry.seed, seed->bytes, MR_SEED_BYTES);
    memcpy(entry.sealed_hash, seed->sealed_hash, MR_HASH_BYTES);
    mr_helper_append(helper, record, mr_journal_seed_encode(record, &entry));
    OPENSSL_cleanse(&entry, sizeof entry);
    OPENSSL_cleanse(record, sizeof record);
}

/* The receipt of a seed that is in the table, now or when it is durable. */
static void give_receipt(struct mr_helper *helper, const struct mr_included *of,
                         const struct mr_seed *seed, void *token)
{
    struct mr_receipt receipt;
    const struct mr_key_scope scope = scope_of(helper, of);
    if (mr_receipt_fill(&receipt, seed->bytes, seed->sealed_hash, &scope, &helper->terms.layout) !=
        0) {
        mr_helper_refuse(helper, token, MR_REFUSAL_INTERNAL, "the receipt could not be made");
    } else if (helper->durable == helper->asked) {
        answer_receipt(helper, of, &receipt, token);
    } else {
        wait_for_disk(helper, of, &receipt, token);
    }
}

static void open_seed(struct mr_helper *helper, const struct mr_included *of,
                      const struct mr_seed_request *request, struct mr_seed *seed, void *token)
{
    const struct mr_key_scope scope = scope_of(helper, of);
    const enum mr_hpke_result opened =
        mr_seed_open(helper->kit, seed->bytes, request, &scope, &helper->seal);
    if (opened == MR_HPKE_FAILED) {
        mr_helper_refuse(helper, token, MR_REFUSAL_BUSY, "no memory to open the seed");
        return;
    }
    if (opened == MR_HPKE_CLOSED) {
        helper->bad_seeds++;
        mr_helper_refuse(helper, token, MR_REFUSAL_BAD_SEED,
                         "the seed does not open with this hub's key of the round: it was sealed "
                         "to another key, or changed on the way");
        helper->ops->changed(helper->context);
        return;
    }
    if (mr_seeds_admit(&helper->seeds, of, seed) != MR_SEED_ADMITTED) {
        mr_helper_refuse(helper, token, MR_REFUSAL_BUSY,
                         "the round has all the devices it can hold");
        return;
    }
    helper->admitted_count = helper->seeds.count;
    keep_seed(helper, of, seed);
    give_receipt(helper, of, seed, token);
}

void mr_helper_seed(struct mr_helper *helper, uint64_t round,
                    const uint8_t client_id[MR_CLIENT_ID_BYTES], const struct mr_serial *serial,
                    const struct mr_seed_request *request, void *token)
{
    struct mr_refusal refusal;
    struct mr_included of = {.attempt = request->attempt};
    struct mr_seed seed = {.serial = *serial};
    if (check_seed(helper, round, client_id, request, &refusal) != MR_REFUSAL_NONE) {
        helper->ops->refuse(helper->context, token, &refusal);
        return;
    }
    memcpy(of.client_id, client_id, MR_CLIENT_ID_BYTES);
    if (mr_sealed_hash(seed.sealed_hash, request) != 0) {
        mr_helper_refuse(helper, token, MR_REFUSAL_INTERNAL, "the seed could not be hashed");
        return;
    }
    const struct mr_seed *known = mr_seeds_find(&helper->seeds, &of);
    if (!known) {
        open_seed(helper, &of, request, &seed, token);
    } else if (memcmp(known->sealed_hash, seed.sealed_hash, MR_HASH_BYTES) == 0) {
        give_receipt(helper, &of, known, token);
    } else {
        mr_helper_refuse(helper, token, MR_REFUSAL_SEED_CONFLICT,
                         "another seed is on record for attempt %u", request->attempt);
    }
    OPENSSL_cleanse(&seed, sizeof seed);
}
