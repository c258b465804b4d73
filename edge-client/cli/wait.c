#include "edge-client/cli/wait.h"

#define SOON_MS 5000
#define RARE_MS 60000 /* each try costs the hub a handshake, and nothing changes in seconds */

#define LEAD "the lead"
#define CERTIFICATE                                                                                \
    "a hub whose certificate holds and that takes ours (is a captive portal between?)"
#define NEXT_MODEL "the next model"
#define ACCEPTED   "a round within what this device accepts (accept in device.json)"
#define PINNED     "an announcement that the pinned hubs have signed"

/* The one table (docs/edge-client.md has it in words). A result with two columns differs by whether
 * a round was announced. */
static const struct rule {
    enum mr_edge_next alone, in_round; /* without a round, in one */
    unsigned pause_max_ms;
    const char *waits_for;
} rules[MRE_RESULTS] = {
    [MRE_OK] = {MR_EDGE_WAIT, MR_EDGE_ROUND_OVER, SOON_MS, LEAD},
    [MRE_COMMITTED] = {MR_EDGE_WAIT, MR_EDGE_ROUND_OVER, SOON_MS, LEAD},
    [MRE_ALREADY_COUNTED] = {MR_EDGE_WAIT, MR_EDGE_ROUND_OVER, SOON_MS, LEAD},
    [MRE_NO_ROUND] = {MR_EDGE_WAIT, MR_EDGE_ROUND_OVER, SOON_MS, LEAD},
    [MRE_CLOSED] = {MR_EDGE_WAIT, MR_EDGE_ROUND_OVER, SOON_MS, LEAD},
    [MRE_VOID] = {MR_EDGE_WAIT, MR_EDGE_ROUND_OVER, SOON_MS, LEAD},
    [MRE_REFUSED] = {MR_EDGE_WAIT, MR_EDGE_ROUND_OVER, SOON_MS, LEAD},
    [MRE_PUBLISHED] = {MR_EDGE_WAIT, MR_EDGE_ROUND_OVER, SOON_MS, LEAD},
    /* The round is over for this device, and no round of its own: the next one may be. */
    [MRE_AWAITS_MODEL] = {MR_EDGE_WAIT, MR_EDGE_WAIT, SOON_MS, NEXT_MODEL},
    [MRE_UNREACHABLE] = {MR_EDGE_WAIT, MR_EDGE_WAIT, SOON_MS, LEAD},
    /* A captive portal, a proxy that opens TLS, a certificate that is renewed in its place. */
    [MRE_CERTIFICATE_REFUSED] = {MR_EDGE_WAIT, MR_EDGE_WAIT, RARE_MS, CERTIFICATE},
    /* With --rounds somebody is there who has to compare keys. */
    [MRE_UNTRUSTED_ANNOUNCEMENT] = {MR_EDGE_END, MR_EDGE_END, RARE_MS, PINNED},
    [MRE_NOT_ACCEPTED] = {MR_EDGE_WAIT, MR_EDGE_ROUND_OVER, SOON_MS, ACCEPTED},
    [MRE_UPDATED] = {MR_EDGE_WAIT, MR_EDGE_ROUND_OVER, SOON_MS, LEAD},
    [MRE_RELEASE_REFUSED] = {MR_EDGE_WAIT, MR_EDGE_ROUND_OVER, SOON_MS, LEAD},
    [MRE_BAD_MODEL] = {MR_EDGE_WAIT, MR_EDGE_ROUND_OVER, SOON_MS, LEAD},
    [MRE_BAD_DELTA] = {MR_EDGE_WAIT, MR_EDGE_ROUND_OVER, SOON_MS, LEAD},
    [MRE_TRAINER_FAILED] = {MR_EDGE_WAIT, MR_EDGE_ROUND_OVER, SOON_MS, LEAD},
    /* This device's own: whoever watches over the command starts it again. */
    [MRE_BAD_CONFIG] = {MR_EDGE_END, MR_EDGE_END, SOON_MS, LEAD},
    [MRE_FAILED] = {MR_EDGE_END, MR_EDGE_END, SOON_MS, LEAD},
    [MRE_CANCELLED] = {MR_EDGE_END, MR_EDGE_END, SOON_MS, LEAD}, /* the command asks nobody to */
};

enum mr_edge_next mr_edge_next(const struct mre_outcome *outcome, bool endless)
{
    const struct rule *rule = &rules[outcome->result];
    if (outcome->result == MRE_UNTRUSTED_ANNOUNCEMENT && endless) {
        return MR_EDGE_WAIT;
    }
    return outcome->round ? rule->in_round : rule->alone;
}

unsigned mr_edge_pause_max_ms(enum mre_result result)
{
    return rules[result].pause_max_ms;
}

const char *mr_edge_waits_for(enum mre_result result)
{
    return rules[result].waits_for;
}
