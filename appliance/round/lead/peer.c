/* peer.c - the other hubs' answers: every question is asked again until an answer comes or the
 * step's time is over; when all have answered, the next step begins. */
#include <stdio.h>
#include <string.h>

#include "appliance/round/lead/lead_internal.h"

#define RETRY_FIRST_MS 100u
#define RETRY_MOST_MS  2000u
/* Where the round waits for as long as it takes. */
#define RETRY_PATIENT_MS 30000u

static unsigned hub_count(const struct mr_lead *lead)
{
    return lead_announcement(lead)->hub_count;
}

/* Below HTTP the text names the hub, as "hub 1: " or "hub 1 (address)": once is enough. */
static const char *without_hub(const char *text, uint16_t index)
{
    char name[16];
    const int length = snprintf(name, sizeof name, "hub %u", index);
    if (strncmp(text, name, (size_t)length) != 0 || !strchr(": ", text[length])) {
        return text;
    }
    const char *rest = text + length;
    if (strncmp(rest, " (", 2) == 0 && strchr(rest, ')')) {
        rest = strchr(rest, ')') + 1;
    }
    return rest + strspn(rest, ": ");
}

static void give_up_as(struct mr_lead *lead, enum mr_void_kind kind, unsigned peer, const char *why,
                       uint64_t now_ms)
{
    const struct mr_announced_hub *hub = &lead_announcement(lead)->hubs[peer];
    why = without_hub(why, hub->index);
    mr_lead_void(lead, kind, now_ms, "hub %u (%s), %s: %s", hub->index, hub->name,
                 mr_lead_step_name(lead->step), why);
}

static void give_up(struct mr_lead *lead, unsigned peer, const char *why, uint64_t now_ms)
{
    give_up_as(lead, MR_VOID_PEER, peer, why, now_ms);
}

/* What is to blame, by another hub's refusal: the same cause as where this hub finds it first. */
static enum mr_void_kind cause_of(const struct mr_lead *lead, const struct mr_refusal *refusal)
{
    const bool proposed = lead->step == MR_PEER_PROPOSE;
    switch (refusal->code) {
    case MR_REFUSAL_WRONG_ANNOUNCEMENT:
        return proposed ? MR_VOID_TERMS : MR_VOID_PEER;
    case MR_REFUSAL_BELOW_COHORT_MINIMUM: /* the announced one, or too few in the set */
        return proposed ? MR_VOID_TERMS : MR_VOID_COHORT;
    case MR_REFUSAL_SET_LEAVES_OUT:
        return MR_VOID_TERMS;
    case MR_REFUSAL_SET_NOT_DRAWN:
    case MR_REFUSAL_BAD_DRAW:
        return MR_VOID_DRAW;
    case MR_REFUSAL_NO_ROUND: /* which it has signed */
        return proposed ? MR_VOID_PEER : MR_VOID_LOST;
    case MR_REFUSAL_ROUND_LOST:
        return MR_VOID_LOST;
    case MR_REFUSAL_OLDER:
        return MR_VOID_OLDER;
    case MR_REFUSAL_REVOKED:
        return MR_VOID_REVOKED;
    case MR_REFUSAL_RELEASED:
        return MR_VOID_RELEASED;
    case MR_REFUSAL_BUDGET:
        return MR_VOID_BUDGET;
    case MR_REFUSAL_UNSOUND_SUM:
        return MR_VOID_SUM;
    case MR_REFUSAL_VOID: /* it gave the round up before */
        return mr_void_kind_said(refusal->text, MR_VOID_PEER);
    default:
        return MR_VOID_PEER;
    }
}

void mr_lead_retry(struct mr_lead *lead, uint64_t now_ms)
{
    for (unsigned i = 1; lead->asking && i < hub_count(lead); i++) {
        struct lead_peer *peer = &lead->peers[i];
        if (!peer->done && now_ms >= lead->step_deadline_ms) {
            give_up(lead, i, "no answer in time", now_ms);
        } else if (now_ms >= peer->retry_at_ms) {
            mr_lead_ask(lead, i);
        }
    }
}

static void plan_retry(struct mr_lead *lead, const struct mr_peer_answer *answer, uint64_t now_ms)
{
    struct lead_peer *peer = &lead->peers[answer->peer];
    const uint64_t most = lead->opened ? RETRY_PATIENT_MS : RETRY_MOST_MS;
    const unsigned shift = peer->tries < 10 ? peer->tries - 1 : 9;
    const uint64_t wait = RETRY_FIRST_MS << shift;
    const char *why = answer->text && answer->text[0] ? answer->text : "busy";
    snprintf(peer->why, sizeof peer->why, "%s", why);
    mr_plain_text(peer->why);
    peer->retry_at_ms = now_ms + (wait < most ? wait : most);
    /* Nothing of the round is lost yet, and certificates are not mended within its time. */
    const bool hopeless = answer->unacceptable && lead->step == MR_PEER_PROPOSE;
    if (hopeless || peer->retry_at_ms >= lead->step_deadline_ms) {
        give_up(lead, answer->peer, why, now_ms);
        return;
    }
    mr_lead_set_timer(lead);
}

static void take_refusal(struct mr_lead *lead, const struct mr_peer_answer *answer, uint64_t now_ms)
{
    struct mr_refusal refusal;
    struct mr_error error;
    char why[sizeof refusal.name + sizeof refusal.text + 16];
    enum mr_void_kind kind = MR_VOID_PEER;
    if (mr_refusal_decode(&refusal, (const char *)answer->body, answer->length, &error) == 0) {
        snprintf(why, sizeof why, "refused, %s: %s", refusal.name, refusal.text);
        kind = cause_of(lead, &refusal);
    } else {
        snprintf(why, sizeof why, "refused with status %d", answer->status);
    }
    give_up_as(lead, kind, answer->peer, why, now_ms);
}

static int take_answer(struct mr_lead *lead, const struct mr_peer_answer *answer,
                       struct mr_error *error)
{
    switch (answer->step) {
    case MR_PEER_PROPOSE:
        return mr_lead_take_signature(lead, answer, error);
    case MR_PEER_FREEZE:
        return mr_lead_take_commitment(lead, answer, error);
    case MR_PEER_OPEN:
        return mr_lead_take_opening(lead, answer, error);
    case MR_PEER_REVEAL:
        return mr_lead_take_model(lead, answer, error);
    case MR_PEER_DRAW:
        return mr_lead_take_value(lead, answer, error);
    case MR_PEER_VOID:
    case MR_PEER_STAND:
        break;
    }
    return mr_error_set(error, "an answer to no question");
}

static void step_done(struct mr_lead *lead, uint64_t now_ms)
{
    switch (lead->step) {
    case MR_PEER_PROPOSE:
        mr_lead_all_signed(lead, now_ms);
        break;
    case MR_PEER_DRAW:
        mr_lead_drawn(lead, now_ms);
        break;
    case MR_PEER_FREEZE:
        mr_lead_begin_open(lead, now_ms);
        break;
    case MR_PEER_OPEN:
        mr_lead_begin_reveal(lead, now_ms);
        break;
    case MR_PEER_REVEAL:
        if (lead->revealed) {
            mr_lead_publish(lead, now_ms);
        }
        break;
    case MR_PEER_VOID:
    case MR_PEER_STAND:
        break;
    }
}

void mr_lead_peer_answered(struct mr_lead *lead, const struct mr_peer_answer *answer,
                           uint64_t now_ms)
{
    if (!lead->asking || answer->round != lead_announcement(lead)->round ||
        answer->step != lead->step || answer->peer == 0 || answer->peer >= hub_count(lead) ||
        !lead->peers[answer->peer].waiting) {
        return; /* late: the step it belongs to is over */
    }
    struct mr_error error = {.text = ""};
    lead->peers[answer->peer].waiting = false;
    if (answer->status == 0 || answer->status == 503 || answer->status == 429) {
        plan_retry(lead, answer, now_ms);
        return;
    }
    if (answer->status != 200) {
        take_refusal(lead, answer, now_ms);
        return;
    }
    if (take_answer(lead, answer, &error) != 0) {
        give_up_as(lead, lead->step == MR_PEER_DRAW ? MR_VOID_DRAW : MR_VOID_PEER, answer->peer,
                   error.text, now_ms);
        return;
    }
    lead->peers[answer->peer].done = true;
    for (unsigned i = 1; i < hub_count(lead); i++) {
        if (!lead->peers[i].done) {
            return;
        }
    }
    mr_lead_stop_asking(lead);
    mr_lead_set_timer(lead);
    step_done(lead, now_ms);
}
