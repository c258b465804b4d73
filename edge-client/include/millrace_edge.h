/* millrace_edge.h - the device side of Millrace: takes part in rounds of secure aggregation.
 *
 * The only header that libmillrace-edge installs. A client verifies a round's announcement, pulls
 * the model, lets your training function turn it into new parameters, and uploads the change so
 * that no hub alone can read it.
 *
 * Threads: a client belongs to one thread at a time; different clients are independent, also where
 * they share connections. Calls block; each states its bound. Strings that go in are copied by
 * mre_client_open. Every failure is an enum mre_result with a text that says what, why and the
 * remedy. Guide: docs/edge-client.md.
 */
#ifndef MILLRACE_EDGE_H
#define MILLRACE_EDGE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MRE_API __attribute__((visibility("default")))

/* Of this header (semver.org): a program runs with a library of the same major number and the same
 * or a higher minor one. tests/unit/edge-client/abi.txt says what they stand for. */
#define MRE_API_MAJOR 1
#define MRE_API_MINOR 2

#define MRE_HUBS_MAX     5
#define MRE_SIBLINGS_MAX 15
#define MRE_TEXT_BYTES   512
#define MRE_METRICS_MAX  8

#define MRE_RETRY_AFTER_MAX_MS 300000 /* no hub silences a device for longer */

struct mre_client;      /* opaque */
struct mre_config;      /* opaque: a device.json that was read */
struct mre_mlp;         /* opaque: the built-in trainer's data */
struct mre_connections; /* opaque: connections to hubs that several clients share */

/* How a call ended. Values are stable. */
enum mre_result {
    MRE_OK = 0,                     /* the call did what it was asked; no round has ended */
    MRE_COMMITTED = 1,              /* in the sum, durably, if the round is published */
    MRE_ALREADY_COUNTED = 2,        /* an earlier attempt of this device is in the sum: done */
    MRE_NO_ROUND = 3,               /* no newer round opened within the wait */
    MRE_CLOSED = 4,                 /* the round closed before the upload was complete */
    MRE_VOID = 5,                   /* the hubs gave the round up; nothing was released */
    MRE_REFUSED = 6,                /* a hub refused; outcome.code is its code */
    MRE_UNTRUSTED_ANNOUNCEMENT = 7, /* a signature or hub is not what this device pinned */
    MRE_CERTIFICATE_REFUSED = 8,    /* TLS: the hub refused our certificate, or we refused its */
    MRE_UNREACHABLE = 9,            /* no connection, or it broke, within the bounds */
    MRE_BAD_MODEL = 10,             /* the model is not what the announcement names */
    MRE_BAD_DELTA = 11,             /* the trained change, or its loss, is NaN or infinite; or the
                                       round's rounding would leave too little of the change */
    MRE_TRAINER_FAILED = 12,        /* the training function said so */
    MRE_BAD_CONFIG = 13,            /* options, files or the data folder */
    MRE_FAILED = 14,                /* this device: out of memory, or a library call failed */
    MRE_PUBLISHED = 15,             /* the round that this device was counted in made a model */
    MRE_AWAITS_MODEL = 16,          /* the round starts from a model on which this device may have
                                       been counted: the next model is waited for */
    MRE_NOT_ACCEPTED = 17,          /* the round's terms are outside what this device accepts */
    MRE_CANCELLED = 18,             /* by mre_client_cancel, before anything was decided */
    MRE_UPDATED = 19,               /* a newer model was pulled, or installed */
    MRE_RELEASE_REFUSED = 20,       /* a release was not taken; outcome.code is its fault's name */
};
#define MRE_RESULTS 21

enum mre_transport {
    MRE_TRANSPORT_AUTO = 0, /* UDP; HTTP/2 as a new attempt where UDP gets no answer */
    MRE_TRANSPORT_UDP = 1,
    MRE_TRANSPORT_HTTP2 = 2,
};

struct mre_hub {
    uint16_t index;
    const char *name; /* as in the announcement; for texts only */
    const char *host; /* name or numeric address of its control port */
    uint16_t port;
    const char *public_key; /* Ed25519, 64 hex digits: the pinned key */
};

/* In which number type a training function gets the model. What it makes counts as the change from
 * what it was given, added to the float32 model, which is what rounds and files have: that the
 * model was rounded (to nearest, ties to even; beyond the largest number: that) is no part of it.
 */
enum mre_number_type {
    MRE_F32 = 0,
    MRE_F16 = 1,  /* IEEE 754 binary16 */
    MRE_BF16 = 2, /* the upper half of a float32 */
};

struct mre_options {
    const char *certificate_file; /* PEM; its URI names the device */
    const char *private_key_file; /* PEM */
    const char *ca_file;          /* PEM: who may speak as a hub */
    const char *task;             /* its name at the hubs: 1..32 of [a-z0-9-] */
    /* Exists, writable, of this device and task alone: model cache, attempts. */
    const char *data_dir;
    const struct mre_hub *hubs; /* exactly the hubs of the federation, the lead first */
    unsigned hub_count;         /* 2..MRE_HUBS_MAX */
    enum mre_transport transport;
    const char *cpu_mask; /* NULL = all; as --cpu-mask */
    /* 0 = 10,000: one control request, waits excluded. A model or a share that keeps moving, at
     * least 4 KiB in each such time, may take until the round's deadline. */
    unsigned request_timeout_ms;
    unsigned silence_ms; /* 0 = 3,000: UDP without any answer for so long is given up */
    /* Audits and demonstrations only, never in production: each attempt's vector, BEFORE it is
     * masked, is written into this folder (layout: docs/edge-client.md). NULL = off. */
    const char *dump_dir;
    /* Tests only: after so many chunks say so on stderr and halt for ever. 0 = off. */
    unsigned stop_after_chunks;
    /* Which announced terms this device accepts, checked before it trains: a JSON object, as
     * "accept" of device.json (docs/edge-client.md). NULL = any. */
    const char *accept;
    /* PEM: the lists of hubs' certificates that their CAs took back, one of each CA; read at each
     * connection. NULL = none. */
    const char *revocation_file;
    /* data_dirs of this device's other tasks: no two of them count it on one model. */
    const char *const *siblings;
    unsigned sibling_count;
    /* Experiments only: trainers' seeds follow from this number, the device and the round, so that
     * everybody can repeat them. 0: from a secret of this device. */
    uint64_t training_seed;
    /* So many hubs must have signed a release, and say that it is the newest; 0: all, which is what
     * two hubs need. With three or more, one below lets releases go on without one hub. */
    unsigned release_threshold;
    /* The keys of `hubs` are those after that statement of next keys; 0: the task's first ones.
     * From there on the device follows the hubs' statements by itself (data_dir/keys). */
    unsigned key_statement;
    /* 0 = 600,000: a connection to a hub that has rested for longer is not used again; 1: each
     * question that follows another after more than a moment makes its own. */
    unsigned keep_ms;
    enum mre_number_type number_type;
};

/* Who trains a tensor. */
enum mre_part {
    MRE_PART_TRAINED = 0,  /* all devices together: what changes in it is sent, in shares */
    MRE_PART_FROZEN = 1,   /* nobody: what training makes of it is left out */
    MRE_PART_PERSONAL = 2, /* this device alone: kept in data_dir, never sent */
};

struct mre_tensor {
    const char *name;
    const uint32_t *dims;
    unsigned rank;
    size_t offset; /* in floats, into the vector */
    size_t count;
    enum mre_part part;
};

/* What a round asks of a device. */
enum mre_kind {
    MRE_TRAINING = 0,           /* an update; metrics after training */
    MRE_EVALUATED_TRAINING = 1, /* … and metrics of the model as it comes, before training */
    MRE_EVALUATION = 2,         /* metrics of the model alone */
};

/* A number that the round wants by name, and its range; beyond it a value counts as its end. Hubs
 * learn the mean over the devices, weighted by examples, and no device's own. */
struct mre_metric {
    const char *name;
    double low, high;
};

/* What the training function is given. Valid during the call only. */
struct mre_task {
    const char *name; /* of the task, as in the options */
    uint64_t round;
    uint64_t deadline_unix_ms; /* by this device's clock */
    uint64_t seed;    /* the same for a device, task and round, and nobody else's to know */
    size_t dimension; /* floats in the vector: all of the model, whoever trains them */
    /* Read-only, so many floats, in file order; personal ones are own. Rounded to number_type. */
    const float *model;
    const char *model_file; /* the same as a safetensors file, of that type */
    const char *training;   /* the round's JSON for trainers; may be "" */
    const struct mre_tensor *tensors;
    unsigned tensor_count;
    const char *work_dir; /* a place for temporary files */
    /* Can be read from (poll, never read) once mre_client_cancel was called; 0: none. A training
     * function that looks at it now and then can end early, with MRE_TRAINED_NOT. */
    int cancel_fd;
    enum mre_kind kind;
    const struct mre_metric *metrics; /* every one is to be reported */
    unsigned metric_count;            /* up to MRE_METRICS_MAX */
    enum mre_number_type number_type; /* as in the options */
};

/* NaN in `metrics`: not reported, with which nothing is sent. */
struct mre_report {
    uint32_t examples; /* trained on; >= 1. The round's weight is min(examples, weight_max) */
    float loss;        /* mean training loss; of no meaning in an evaluation */
    char why[MRE_TEXT_BYTES]; /* on failure: what, why, remedy */
    /* In the order of task->metrics: of what was trained (in an evaluation: of the model) … */
    double metrics[MRE_METRICS_MAX];
    double metrics_before[MRE_METRICS_MAX]; /* … and of the model, in MRE_EVALUATED_TRAINING */
};

enum mre_trained {
    MRE_TRAINED_PARAMETERS = 0, /* `vector` holds the new parameters */
    MRE_TRAINED_DELTA = 1,      /* `vector` holds new minus old */
    MRE_TRAINED_EVALUATED = 2,  /* MRE_EVALUATION: the metrics are reported, `vector` is nothing */
    MRE_TRAINED_NOT = -1,       /* failed; report->why says why */
    MRE_TRAINED_SKIPS = -2,     /* this device leaves the round out: MRE_NOT_ACCEPTED, "skipped" */
};

/* Trains. `vector` holds the model's parameters on entry, `dimension` of them. In an evaluation
 * nothing is to be trained; any answer but the last three is an error there. */
typedef enum mre_trained (*mre_train_fn)(void *context, const struct mre_task *task, float *vector,
                                         struct mre_report *report);

/* For training functions whose own numbers have 16 bits: `count` floats as numbers of that type
 * (MRE_F16, MRE_BF16), rounded as above, and back, exactly. task->model loses nothing by the first.
 */
MRE_API void mre_numbers_round(enum mre_number_type type, uint16_t *numbers, const float *values,
                               size_t count);
MRE_API void mre_numbers_widen(enum mre_number_type type, float *values, const uint16_t *numbers,
                               size_t count);

struct mre_outcome {
    enum mre_result result;
    uint64_t round;               /* 0 when none was announced */
    uint32_t attempt;             /* the last one made */
    enum mre_transport transport; /* that it used */
    uint32_t examples;
    float loss;       /* 0 of an evaluation */
    uint32_t clipped; /* values that saturated */
    /* What rounding to the round's levels cost. */
    double saturated;      /* share of the values that saturated, 0..1 */
    double resolution;     /* mean magnitude of a value, in steps */
    double rounding_error; /* of this device's own vector, relative to its norm */
    uint64_t share_bytes;
    uint64_t datagrams; /* sent, retransmissions included */
    uint32_t retransmitted;
    uint32_t train_ms;
    uint32_t upload_ms; /* from the first seed to committed */
    char code[40];      /* a hub's refusal code; "clock": this device's clock is behind; or "" */
    char text[MRE_TEXT_BYTES];
    uint32_t deadline_left_ms; /* of the round, when the call returned; 0: it has passed */
    char model[65]; /* MRE_PUBLISHED: SHA-256 of the model it made, in hex; "": not told */
    /* So far was this device's clock ahead of the lead's when the round was announced (below 0:
     * behind). Deadlines are kept all the same; certificates go by this device's clock. */
    int64_t clock_ahead_ms;
    /* A hub that refused wants to be left alone for so long, MRE_RETRY_AFTER_MAX_MS at most; 0: no
     * word. */
    uint32_t retry_after_ms;
    /* Rounding lost more than it should, of this device's part (MRE_COMMITTED) or, as the lead
     * says, of the update (MRE_PUBLISHED); or a hub's proof does not hold; or "". */
    char warning[MRE_TEXT_BYTES];
    /* mre_release_pull, MRE_UPDATED: milliseconds from the call's begin until … 0: elsewhere. */
    uint32_t heard_ms;      /* the hubs had answered */
    uint32_t fetched_ms;    /* the last byte was here */
    uint32_t verified_ms;   /* the model was made of it, and its hash compared */
    uint32_t kept_ms;       /* it was durable */
    uint64_t fetched_bytes; /* of the delta, or of the blocks that were missing */
    enum mre_kind kind;     /* of the round */
};

MRE_API const char *mre_version(void);
/* "committed", "already-counted", "no-round", … */
MRE_API const char *mre_result_name(enum mre_result result);
/* What to do about it, a sentence; "" where nothing is. outcome->text says what and why. */
MRE_API const char *mre_result_remedy(enum mre_result result);

/* Reads device.json (docs/edge-client.md). MRE_OK (0), or MRE_BAD_CONFIG with outcome->text.
 * mre_config_options gives the options inside, which the caller may change before opening a client;
 * they live as long as the config. */
MRE_API enum mre_result mre_config_load(struct mre_config **config, const char *path,
                                        struct mre_outcome *outcome);
MRE_API struct mre_options *mre_config_options(struct mre_config *config);
MRE_API void mre_config_free(struct mre_config *config); /* NULL allowed */

/* Reports the value of the metric `name`: into `values`, report->metrics or ->metrics_before. 0, or
 * -1: the task has none of that name. */
MRE_API int mre_metric_report(const struct mre_task *task, double values[MRE_METRICS_MAX],
                              const char *name, double value);

/* Checks the options, reads the certificate's identity, locks data_dir. No network. 0, or
 * MRE_BAD_CONFIG / MRE_FAILED with outcome->text. */
MRE_API enum mre_result mre_client_open(struct mre_client **client,
                                        const struct mre_options *options,
                                        struct mre_outcome *outcome);
MRE_API void mre_client_close(struct mre_client *client); /* NULL allowed; wipes */

/* What the clients of a process share, each for a task of its own: where their certificate's files
 * and a hub's address are the same, there is one connection to that hub for all of them, over which
 * they ask side by side. MRE_OK, or MRE_FAILED: out of memory. */
MRE_API enum mre_result mre_connections_open(struct mre_connections **connections);
MRE_API void mre_connections_close(struct mre_connections *connections); /* NULL allowed */
/* Between mre_client_open and the client's first other call; the connections must outlive it. A
 * client that shares none has its own. */
MRE_API void mre_client_share(struct mre_client *client, struct mre_connections *connections);

/* The device's id, 32 hex digits; lives as long as the client. */
MRE_API const char *mre_client_id(const struct mre_client *client);

/* Waits up to wait_ms for a round newer than the last one this client finished, and takes part in
 * it. Returns outcome->result. Bound: wait_ms + training + the round's deadline + a request's
 * timeout. Any result but MRE_NO_ROUND with outcome->round 0 may come at once, again and again:
 * pause before the next call, for outcome->retry_after_ms at least. */
MRE_API enum mre_result mre_client_round(struct mre_client *client, unsigned wait_ms,
                                         mre_train_fn train, void *context,
                                         struct mre_outcome *outcome);

/* What a call is doing. */
enum mre_phase {
    MRE_PHASE_WAITING = 0,    /* for a round to open */
    MRE_PHASE_PULLING = 1,    /* the model; from data_dir or from the lead */
    MRE_PHASE_TRAINING = 2,   /* the training function has it */
    MRE_PHASE_SHARING = 3,    /* rounds, masks, gives each helper its seed */
    MRE_PHASE_UPLOADING = 4,  /* the share goes to the lead */
    MRE_PHASE_COMMITTING = 5, /* the lead has the share, and makes it durable */
    MRE_PHASE_ENDING = 6,     /* waits for the round's end */
};
#define MRE_PHASES 7

/* Valid during the call of the function only. */
struct mre_progress {
    enum mre_phase phase;
    uint32_t attempt;     /* of the round; counts from 0 */
    uint64_t round;       /* 0: none was announced yet */
    uint64_t bytes_done;  /* of bytes_total: in UPLOADING what the lead has acknowledged */
    uint64_t bytes_total; /* 0: not known, or nothing is moved */
    uint32_t left_ms;     /* until the round's deadline; 0: no round, or it has passed */
    const char *text;     /* why something is tried again; "" */
};

typedef void (*mre_progress_fn)(void *context, const struct mre_progress *progress);

/* From now on `progress` is called (NULL: nobody) on the thread that is in a call of this client:
 * as each phase begins, some twenty times in an upload, and before a question is put again, with
 * the reason. It must not call the client, save mre_client_cancel. */
MRE_API void mre_client_watch(struct mre_client *client, mre_progress_fn progress, void *context);
/* "waiting", "pulling", … */
MRE_API const char *mre_phase_name(enum mre_phase phase);

enum mre_log_level {
    MRE_LOG_DEBUG = 0,   /* phases, connections, calls that brought nothing */
    MRE_LOG_INFO = 1,    /* how a round ended well; why something is tried again */
    MRE_LOG_WARNING = 2, /* what the caller, its user or an operator has to look at */
};

/* `line` has no line end, and lives during the call. */
typedef void (*mre_log_fn)(void *context, enum mre_log_level level, const char *line);

/* From now on `log` is called (NULL: nobody), as a function of mre_client_watch is. Lines are for
 * people: their words are no part of this interface. */
MRE_API void mre_client_log(struct mre_client *client, mre_log_fn log, void *context);

/* How the round ended in which this client was counted last (MRE_COMMITTED, MRE_ALREADY_COUNTED).
 * Waits up to wait_ms for that. MRE_PUBLISHED or MRE_VOID, with outcome->text; both are the lead's
 * word (docs/security.md). MRE_OK: it is not over yet. MRE_NO_ROUND: there is none to hear of, or
 * its end was told. Any other result, such as MRE_UNREACHABLE: pause, call again. Later, too, the
 * end can be had: once a newer round was announced, that round's model tells it; such an end is
 * told before that of a newer round, and outcome->round says whose it is. Where the round had
 * audit_hours and this client was counted in it, every hub is asked for its proof: outcome->text
 * says that all have given it, or outcome->warning which hub has not. That may take as long as
 * requests do. */
MRE_API enum mre_result mre_client_end(struct mre_client *client, unsigned wait_ms,
                                       struct mre_outcome *outcome);

/* Ends the call of this client that is under way within a second, or the next one at once: it
 * returns MRE_CANCELLED, unless the round was decided already; then the call after it does. What
 * was cancelled leaves the round open: the next mre_client_round takes part in it again. A training
 * function is not interrupted, only not followed by an upload (task->cancel_fd; mre_program_train
 * kills its program); nor is the system's look-up of a name. From any thread and any signal
 * handler; not after mre_client_close has begun. */
MRE_API void mre_client_cancel(struct mre_client *client);

/* Whether hubs will take this device's certificate: its time, its CA, its identity, its key. No
 * network. 0, or MRE_BAD_CONFIG with outcome->text. */
MRE_API enum mre_result mre_client_check(struct mre_client *client, struct mre_outcome *outcome);

/* Connects to hub `position` (0 = lead) with mutual TLS and asks which hubs the task has. 0 if they
 * are those of the options, in that order and with those keys; else MRE_UNTRUSTED_ANNOUNCEMENT,
 * which is what a round would end with, MRE_BAD_CONFIG (no such task), MRE_CERTIFICATE_REFUSED or
 * MRE_UNREACHABLE, or MRE_REFUSED. */
MRE_API enum mre_result mre_client_reach(struct mre_client *client, unsigned position,
                                         struct mre_outcome *outcome);

#define MRE_COUNTED_MAX 64

/* What a device remembers in data_dir (docs/edge-client.md). */
struct mre_state {
    uint64_t finished; /* last round that it is done with */
    uint64_t round;    /* of the attempts below */
    uint32_t attempts; /* begun in it */
    int models_lost;   /* earlier entries of the list below were lost */
    unsigned counted_count;
    struct {
        char model[65]; /* SHA-256 in hex: on it the device may have been counted … */
        uint64_t round; /* … in that round; 0: not known */
    } counted[MRE_COUNTED_MAX];
};

/* Reads it, also while a client uses it. 0, or MRE_BAD_CONFIG with outcome->text: it is damaged. */
MRE_API enum mre_result mre_state_read(const struct mre_options *options, struct mre_state *state,
                                       struct mre_outcome *outcome);
/* Puts a damaged state right, in the safe way: the device goes on after the highest round that the
 * file names plausibly, or after *finished (NULL: not asked for), and takes part again with the
 * model after the one that it sees first. A state that is whole keeps all but *finished. 0, or
 * MRE_BAD_CONFIG, also where a client uses data_dir. */
MRE_API enum mre_result mre_state_reset(const struct mre_options *options, const uint64_t *finished,
                                        struct mre_state *state, struct mre_outcome *outcome);

/* --- models for applications -------------------------------------------------------------------
 * `file` is what an application opens: a link to the newest model that was installed, replaced in
 * one step. Beside it is the folder `file`.millrace with two copies, so that there is a way back,
 * and with the newest version that was ever seen: an older one is never taken. One process at a
 * time; but who only looks (mre_release_status, mre_release_opened) may do so at any time. Guide
 * and faults by name: docs/edge-client.md.
 */

/* Asks every hub for the newest release and judges what they say. One that is taken and not here
 * yet is fetched, as a delta where there is one, and verified: MRE_UPDATED. MRE_OK: the newest one
 * is here. MRE_RELEASE_REFUSED: outcome->code says by which name. MRE_BAD_CONFIG also where an
 * installation was cut off before it was judged: install first. Waits up to wait_ms for a version
 * above the installed one. Bound: wait_ms, a request's timeout for each hub, and the model as long
 * as it moves. */
MRE_API enum mre_result mre_release_pull(struct mre_client *client, const char *file,
                                         unsigned wait_ms, struct mre_outcome *outcome);

/* Says whether the application is well with the model that `file` leads to now. 0: it is. */
typedef int (*mre_healthy_fn)(void *context, const char *file);

/* Installs what was pulled, and asks `healthy` (NULL: it is). Where it is not well the copy before
 * is put back, and this release is refused from then on: MRE_RELEASE_REFUSED, "unhealthy".
 * MRE_UPDATED: it is installed; MRE_OK: nothing was waiting. An installation that was cut off is
 * judged anew. No network. */
MRE_API enum mre_result mre_release_install(const char *file, mre_healthy_fn healthy, void *context,
                                            struct mre_outcome *outcome);

/* The same, where `file` then leads to a copy whose numbers are of that type, rounded as above, for
 * an application that computes in 16 bits. mre_release_install takes the type that the task's
 * operators have written into the model, or float32. The float32 copy stays beside it: the next
 * delta begins there. What is installed already keeps its type. */
MRE_API enum mre_result mre_release_install_as(const char *file, enum mre_number_type type,
                                               mre_healthy_fn healthy, void *context,
                                               struct mre_outcome *outcome);

struct mre_release_copy {
    enum mre_number_type number_type;
    char sha256[65]; /* of the bytes, in hex; "": nothing is installed */
};
/* What `file` leads to, as it was written. In float32 its hash is the model's. No network. MRE_OK
 * or MRE_BAD_CONFIG. */
MRE_API enum mre_result mre_release_opened(const char *file, struct mre_release_copy *opened,
                                           struct mre_outcome *outcome);

/* Tells every hub how it went with the release that was installed last, where they have not all
 * heard: whether it was kept. The next mre_release_pull does so too. MRE_OK, or MRE_UNREACHABLE
 * where a hub could not be told: that changes nothing here. */
MRE_API enum mre_result mre_release_report(struct mre_client *client, const char *file,
                                           struct mre_outcome *outcome);

/* A program as `healthy`, which is run with the file as its only argument: exit code 0 within the
 * time. `context` is a struct mre_program, whose timeout_ms must not be 0. */
MRE_API int mre_program_healthy(void *context, const char *file);

/* The copy before is put back, and the release that was installed is refused from then on.
 * MRE_UPDATED, or MRE_BAD_CONFIG where there is no other copy. No network. */
MRE_API enum mre_result mre_release_rollback(const char *file, struct mre_outcome *outcome);

struct mre_release_version {
    uint64_t round;
    uint32_t step; /* versions since that round that no round made */
};
struct mre_release_state {
    char installed[65], previous[65], pulled[65]; /* SHA-256 of the models in hex; "": none */
    struct mre_release_version installed_version, previous_version, pulled_version;
    struct mre_release_version seen; /* nothing below it is taken any more */
    int trial;                       /* installed, and not judged yet */
    unsigned refused;                /* releases that were installed and put back */
};
/* No network. Makes no folder where nothing was ever pulled. MRE_OK or MRE_BAD_CONFIG. */
MRE_API enum mre_result mre_release_status(const char *file, struct mre_release_state *state,
                                           struct mre_outcome *outcome);

/* The built-in trainer: a multi-layer perceptron (ReLU, softmax cross-entropy) by SGD, on a CSV
 * file with the features and then the class in each line. The model's tensors are NAME.weight [out,
 * in] and NAME.bias [out], layers in file order. Pass mre_mlp_train with the opened data as
 * context. All of the file is read, or it is MRE_BAD_CONFIG with a text that names the line. With
 * MRE_OK outcome->text may hold a warning. */
MRE_API enum mre_result mre_mlp_open(struct mre_mlp **mlp, const char *csv_file,
                                     struct mre_outcome *outcome);
MRE_API enum mre_trained mre_mlp_train(void *context, const struct mre_task *task, float *vector,
                                       struct mre_report *report);
MRE_API void mre_mlp_close(struct mre_mlp *mlp); /* NULL allowed */

/* An external trainer: PROGRAM is run with four arguments (model, delta, report, task files; see
 * docs/edge-client.md) in a process group of its own, and killed after timeout_ms. */
struct mre_program {
    const char *path;
    const char *data_file; /* handed on in the task file; may be NULL */
    unsigned timeout_ms;   /* 0 = until the round's deadline */
};
/* `context` is a struct mre_program. */
MRE_API enum mre_trained mre_program_train(void *context, const struct mre_task *task,
                                           float *vector, struct mre_report *report);

#ifdef __cplusplus
}
#endif
#endif
