/* client.h - what an opened client holds (inside session/ only). */
#ifndef MR_SESSION_CLIENT_H
#define MR_SESSION_CLIENT_H

#include <stdbool.h>

#include "edge-client/include/millrace_edge.h"
#include "edge-client/session/ledger.h"
#include "edge-client/session/device_env.h"
#include "edge-client/session/accept.h"
#include "kernels/kernels.h"
#include "wire/announcement.h"
#include "wire/identity.h"
#include "wire/messages.h"

/* The end of a round that is to be told. */
struct mr_end_owed {
    uint64_t round;                    /* 0: none */
    uint8_t model_hash[MR_HASH_BYTES]; /* that it started from */
    bool evaluates;                    /* it makes no next model */
    bool known;                        /* `end` holds */
    struct mr_round_end end;
};

/* What may have been counted of this device in a round with audit_hours, for the hubs' proofs. */
struct mr_proof_note {
    bool known;
    uint8_t counted[MR_HUBS_MAX][MR_HASH_BYTES]; /* by position: of the share, then of the seeds */
};
struct mr_proof_notes {
    uint64_t round; /* 0: none */
    uint8_t announcement_hash[MR_HASH_BYTES];
    unsigned first; /* attempts below are a former process's, which nobody here remembers */
    struct mr_proof_note attempts[MR_ATTEMPTS_MAX];
};

struct mre_client {
    struct mr_device_env env;
    /* Of the system's env; unused in one of the caller's. */
    struct mr_cancel cancel;
    struct mr_device_system system;
    struct mre_connections *own_connections; /* unused where it shares others */
    const struct mr_kernels *kernels;
    struct mr_identity identity;
    char id[2 * MR_CLIENT_ID_BYTES + 1];

    char *certificate_file;
    char *private_key_file;
    char *ca_file;
    char *revocation_file; /* NULL: none */
    char *data_dir;
    char *task;
    char *dump_dir; /* NULL = off */
    char *siblings[MRE_SIBLINGS_MAX];
    unsigned sibling_count;
    unsigned hub_count;
    char *hosts[MRE_HUBS_MAX];
    uint16_t ports[MRE_HUBS_MAX];
    struct mr_announced_hub pinned[MRE_HUBS_MAX];
    unsigned release_threshold; /* 2 .. hub_count */
    uint32_t key_statement;     /* the keys in `pinned` are those of it (wire/key_chain.h) */
    enum mre_transport transport;
    unsigned request_timeout_ms;
    unsigned silence_ms;
    unsigned stop_after_chunks;
    struct mr_acceptance accept;
    uint64_t training_seed; /* 0: from the secret */
    enum mre_number_type number_type;

    struct mr_end_owed owed; /* of the round that this device was counted in last */
    struct mr_proof_notes notes;
    struct mr_end_owed older; /* known, and not told when it was counted again */

    /* The lead's clock, as it told with the announcement: deadlines are times of it. */
    struct {
        bool known;
        uint64_t unix_ms; /* it said so … */
        uint64_t at_us;   /* … at this time of env.now_us */
        int64_t ahead_ms; /* so far was this device's wall clock ahead of it */
    } lead_clock;

    int lock;         /* of data_dir; -1 = none */
    pid_t lock_owner; /* process that took it */
    struct mr_ledger ledger;
    mre_progress_fn progress; /* NULL: nobody watches */
    void *progress_context;
    mre_log_fn log; /* NULL: nobody reads */
    void *log_context;
    struct mre_progress shown; /* as it was told last */
    uint64_t deadline_unix_ms; /* of shown.round, by the lead's clock */
    uint64_t pull_began_us;    /* by env.now_us; of the pull of a release that is under way */
    struct mr_kept_connection {
        void *connection; /* NULL: none */
        bool has_served;  /* an answer has come over it */
        uint64_t used_us; /* last by this client, by env.now_us */
    } kept[MRE_HUBS_MAX]; /* by position; through rounds and between them */
    unsigned keep_ms;     /* one that has rested for longer is not used again */
    /* Buffers of one pull that the next one finds: they rest in between (mr_pages_rest), and what
     * is in them is public. */
    struct mr_pull_memory {
        struct mr_h2_room delta;
        void *target; /* of mr_pages_take; NULL: none */
        size_t target_bytes;
    } pull_memory;
    enum mr_refusal_code refusal; /* of the last question; MR_REFUSAL_NONE: it was not refused */
};

/* As mre_client_open, in a env of the caller's (tests, simulator). */
enum mre_result mr_client_open_in(struct mre_client **client, const struct mre_options *options,
                                  const struct mr_device_env *env, struct mre_outcome *outcome);

/* Two processes with one data_dir could use one attempt's number for two messages: the lock's
 * descriptor, for mr_lock_release; or MRE_BAD_CONFIG, and -1. */
enum mre_result mr_client_lock_folder(const char *data_dir, int *lock, struct mre_outcome *outcome);

/* The wall clock of the lead: what deadlines are compared with. It goes on by this device's
 * monotonic clock, so a wall clock that is wrong, or set in the middle of a round, changes nothing.
 * Before the first announcement: this device's own. */
uint64_t mr_client_lead_ms(const struct mre_client *client);
/* `left_ms`: as the lead said with an announcement of that deadline; NULL: it said nothing, and the
 * device's own clock has to do. */
void mr_client_set_lead_clock(struct mre_client *client, uint64_t deadline_unix_ms,
                              const uint64_t *left_ms);

/* Until that time of the lead's clock; 0: it has passed. */
uint32_t mr_client_left_ms(const struct mre_client *client, uint64_t deadline_unix_ms);

/* Whether the call that is under way was asked to come to its end. */
bool mr_client_cancelled(const struct mre_client *client);
/* The first of a call: clears *outcome. MRE_OK, or MRE_CANCELLED with outcome->text: it was asked
 * to end since the last one. */
enum mre_result mr_client_begin(struct mre_client *client, struct mre_outcome *outcome);
/* The last of a call: makes MRE_CANCELLED of a result that decides nothing, if it was asked to. Any
 * other stands, and the asking is for the next call. Returns outcome->result. */
enum mre_result mr_client_settle(struct mre_client *client, struct mre_outcome *outcome);

/* Since the pull began; at least 1. */
uint32_t mr_client_pull_ms(const struct mre_client *client);

/* Waits, at least 1 ms. */
void mr_client_pause(struct mre_client *client, unsigned ms);

/* A buffer of its own pages, zeroed, so that giving it back lowers the process's memory at once.
 * NULL when out of memory. */
void *mr_pages_take(size_t bytes);
void mr_pages_give(void *pages, size_t bytes); /* NULL allowed */
/* Nothing in it is needed any more, but it will be used again. Its memory is the kernel's to take
 * whenever somebody needs some, and as long as nobody does, using it again costs no page faults,
 * and no clearing of pages that are written at once. Any memory, NULL too. */
void mr_pages_rest(void *pages, size_t bytes);

#endif
