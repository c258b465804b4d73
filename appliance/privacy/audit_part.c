/* audit_part.c - one hub's part of a round against what the transcripts say of it. Each part is
 * judged by itself: that one hub's is right says nothing of another's. */
#include <string.h>

#include "appliance/privacy/audit_internal.h"
#include "appliance/privacy/part.h"

#define SAME(a, b) (memcmp(a, b, MR_HASH_BYTES) == 0)

/* What the transcripts have of that hub in that round; NULL: nothing. All of them agree, or the
 * audit would have ended before. */
struct witness {
    const struct audit_chain *chain;
    const struct audit_round *set, *committed, *opened, *debited;
    unsigned position;
};

static void look(const struct audit *audit, const struct mr_part *part, struct witness *witness)
{
    const struct mr_announcement *a = &part->terms.announcement;
    *witness = (struct witness){.position = (unsigned)mr_announcement_hub(a, part->hub)};
    for (unsigned i = 0; i < audit->chains_count; i++) {
        const struct audit_chain *chain = &audit->chains[i];
        const struct audit_round *round =
            strcmp(chain->owner.task, a->task) == 0 ? mr_audit_find(chain, a->round) : NULL;
        if (!round || !SAME(round->terms.hash, part->terms.hash)) {
            continue;
        }
        witness->chain = chain;
        witness->set = round->counted ? round : witness->set;
        witness->committed = round->committed[witness->position] ? round : witness->committed;
        witness->debited =
            chain->owner.hub == part->hub && round->debited ? round : witness->debited;
        witness->opened = round->opened[witness->position] ? round : witness->opened;
    }
}

static int wrong(struct audit *audit, const struct mr_part *part, const struct witness *witness,
                 bool lied, const char *what)
{
    struct mr_audit_result *result = audit->result;
    (void)mr_audit_wrong(audit, witness->chain, NULL, "%s", what);
    result->file = part->name;
    result->hub = lied ? part->hub : -1;
    memcpy(result->task, part->terms.announcement.task, sizeof result->task);
    result->round = part->terms.announcement.round;
    return -1;
}

int mr_audit_part(struct audit *audit, const struct mr_part *part)
{
    struct witness witness;
    struct mr_error text;
    look(audit, part, &witness);
    if (!witness.chain || !witness.set || !witness.committed) {
        return wrong(audit, part, &witness, false,
                     "no transcript that was given has this round's set and this hub's commitment");
    }
    if (!SAME(part->set_hash, witness.set->set_hash)) {
        mr_error_set(&text, "the part of hub %u is of another set than the round's", part->hub);
        return wrong(audit, part, &witness, true, text.text);
    }
    if (!SAME(part->root, witness.committed->commitments[witness.position].root)) {
        mr_error_set(&text,
                     "hub %u did not commit to this: the tree of what it has handed over has "
                     "another root than the one that it signed",
                     part->hub);
        return wrong(audit, part, &witness, true, text.text);
    }
    if (witness.debited && !SAME(part->noise_hash, witness.debited->noise_hash)) {
        mr_error_set(
            &text,
            "hub %u lied: the seed of noise that it has handed over is not the one that it "
            "had on record before it opened",
            part->hub);
        return wrong(audit, part, &witness, true, text.text);
    }
    if (!witness.opened) {
        return wrong(audit, part, &witness, false,
                     "no transcript that was given has this hub's opening: the tree is right, and "
                     "the sum cannot be compared");
    }
    if (!SAME(part->result_hash, witness.opened->seals[witness.position].result_hash)) {
        mr_error_set(&text,
                     "hub %u lied: what it opened is not the sum of the %u %s that it committed "
                     "to%s",
                     part->hub, part->count, witness.position == 0 ? "shares" : "seeds",
                     part->terms.announcement.noise_kind == MR_NOISE_HUB
                         ? ", with the noise that it owes"
                         : "");
        return wrong(audit, part, &witness, true, text.text);
    }
    audit->result->parts++;
    return 0;
}
