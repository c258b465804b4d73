/* hub_config.h - the hub's YAML file as a struct, read once at start (libcyaml).
 *
 * Every key has a default except where noted; an unknown key, a wrong type or a value out of range
 * is an error that names the file, the line and the remedy. Paths that are relative are relative to
 * the config file's folder (made absolute by the loader). Strings are owned by the config. Sample
 * with every key explained: config/hub.yaml. */
#ifndef MR_CONFIG_HUB_CONFIG_H
#define MR_CONFIG_HUB_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "appliance/config/limits.h"
#include "base/error.h"
#include "wire/announcement.h"

struct mr_config_identity {
    uint16_t index;         /* this hub (required) */
    char *signing_key_file; /* Ed25519 seed in hex, 0600 (required) */
    char *ca_file;          /* (required) */
    char *certificate_file; /* (required) */
    char *private_key_file; /* (required) */
    char *revocation_file;  /* a CRL of the CA; "" */
    char *generation_file;  /* a witness of where the hub is (task/age.h); "" */
    char *tpm;              /* the way to a TPM whose counter data_dir is bound to; off */
    uint32_t tpm_index;     /* its NV index */
    uint32_t tpm_count_s;   /* counted with a promise after so long */
};

/* What the hub gives up once it is set up (runtime/sandbox.h). */
struct mr_config_sandbox {
    char *mode;  /* auto | required | off */
    char *user;  /* "" stays who started it */
    char *group; /* "" the user's own */
};

struct mr_config_control {
    char *listen_host;                /* numeric; 0.0.0.0 */
    uint16_t port;                    /* 8443 */
    uint32_t threads;                 /* 1 */
    uint32_t connections_max;         /* 4096 */
    uint32_t streams_max;             /* 16 */
    uint64_t bodies_bytes_max;        /* 256 MiB */
    uint32_t handshake_timeout_ms;    /* 5000 */
    uint32_t idle_timeout_ms;         /* 60000 */
    uint32_t keep_ms;                 /* 600000; 0: idle_timeout_ms */
    uint32_t kept_max;                /* 3072; 0: no limit */
    uint64_t sessions_bytes_max;      /* 16 MiB; 0: none */
    uint32_t handshakes_max;          /* 1024 */
    uint32_t source_connections_rate; /* 200 a second; 0: no limit, likewise below */
    uint32_t source_requests_rate;    /* 2000 */
    uint32_t identity_requests_rate;  /* 50 */
};

struct mr_config_upload {
    char *source;                  /* auto | dpdk | io_uring | recvmmsg */
    char *listen_host;             /* numeric; 0.0.0.0 */
    char *advertise_host;          /* numeric address told to devices; default: listen_host */
    uint16_t port_base;            /* 9443 */
    uint32_t workers;              /* 1 */
    char *worker_cpus;             /* "2,3" or empty */
    uint32_t slots_per_worker;     /* 256 */
    uint64_t share_bytes_max;      /* 4 MiB */
    uint32_t receive_buffer_bytes; /* 8 MiB */
    uint32_t window_max;           /* 64 chunks */
    uint32_t window_total;         /* 2048 chunks */
    uint32_t idle_timeout_ms;      /* 10000 */
    char *dpdk_device;             /* "": no DPDK port */
    char *dpdk_addresses;          /* "": advertise_host */
    char *dpdk_exception;          /* "": no way to the kernel */
    uint32_t dpdk_mtu;             /* 1500 */
    uint32_t dpdk_nap_after_us;    /* 1000; 0: never */
    char *dpdk_eal;                /* "" */
};

#define MR_ROTATION_AUTO 255
#define MR_RING_AUTO     255
#define MR_LEVELS_AUTO   255

/* What this hub asks of a task's round as its lead, and insists on as a helper. */
struct mr_config_round {
    uint32_t cohort_min;         /* 20: honest devices of a set, at least */
    uint32_t colluders;          /* 0: and so many that may belong to one adversary */
    uint32_t cohort_max;         /* 0 = what the ring holds */
    uint32_t admitted_max;       /* 0: no draw; else above cohort_max */
    uint32_t draw_ms;            /* 0: half of deadline_ms */
    uint32_t quorum;             /* 30: close at so many committed uploads */
    uint32_t deadline_ms;        /* 60000: close at the latest so long after opening */
    uint8_t ring_bits;           /* 16; auto is resolved when the file is checked */
    uint8_t levels;              /* MR_LEVELS_AUTO; 0, as in a config made by hand, likewise */
    float rounding_error;        /* 0.05: what ring_bits auto may lose of an update */
    uint32_t headroom;           /* 4: the ring holds so many times the largest sum */
    uint8_t rotation_log2;       /* MR_ROTATION_AUTO */
    uint16_t chunk_bytes;        /* 1408 */
    uint32_t weight_max;         /* 1000 */
    float scale;                 /* 0: auto */
    float clip_norm;             /* 1 */
    float step_max;              /* 0: auto */
    char *server_optimiser;      /* "fedavg"; NULL, as in a config made by hand, likewise */
    float server_learning_rate;  /* 1: next = model + rate * average */
    float server_beta1;          /* 0.9 */
    float server_beta2;          /* 0.99 */
    float server_tau;            /* 0.001 */
    char *requantise;            /* off | 8 | 4; NULL likewise */
    char *training;              /* JSON handed to trainers, "" */
    uint32_t commit_interval_ms; /* 300 */
    uint32_t peer_timeout_ms;    /* 30000 */
    uint32_t lead_grace_ms;      /* 86400000: a helper waits so long beyond the deadline */
    uint32_t audit_hours;        /* 0: nothing is kept for audits */
    bool ring_auto;              /* ring_bits was auto; no option */
    char *metrics;               /* "": none (metric_list.h); NULL likewise */
    bool evaluate_before;        /* false: devices measure what they have trained alone */
    uint32_t evaluate_every;     /* 0: an automatic round in so many is an evaluation */
    char *stop_metric;           /* "": no rule; NULL likewise */
    char *stop_goal;             /* high | low */
    uint32_t stop_evaluations;   /* 10 */
    float stop_gain;             /* 0.001 */
    bool automatic;              /* false: rounds are opened by the operator */
};

/* What this hub accepts of a round's terms before it signs them: ranges as text, each checked
 * (wire/acceptance.h); NULL, as in a config made by hand: any. */
struct mr_config_accept {
    char *cohort_min, *cohort_max, *quorum, *admitted_max, *weight_max, *ring_bits, *headroom,
        *levels, *noise_kind, *kind, *metrics;
    char *epsilon, *deadline_ms, *scale, *clip_norm, *step_max, *audit_hours;
    char *training;               /* any, or JSON by key */
    uint32_t share_percent;       /* of the devices that could be in a set so many are; 0: any */
    uint32_t passed_over_percent; /* of the early ones at most so many are not; 0: any number */
    uint32_t draw_voids; /* no draw after so many in a row that made no model; 0: any number */
};

/* Differential privacy of the task (docs/privacy.md); the numbers count where there is noise. */
struct mr_config_privacy {
    char *noise;           /* none | hub | device */
    double epsilon, delta; /* 8, 1e-6: of one device, over `rounds` */
    uint32_t rounds;       /* 100 */
    double participation;  /* 1: a device is in so much of these rounds at most */
    char *pool;            /* "": the task's own budget */
    uint32_t returns_days; /* 0: what is spent counts for ever */
};

/* The least devices of a set that this hub asks for as a lead and insists on as a helper: the
 * honest ones and the colluders that are borne. */
uint32_t mr_config_set_min(const struct mr_config_round *round);
/* The levels of a round: those that are asked for (0: none are, the ring says), the most that may
 * be announced, and what a checked section comes to, without noise. */
uint8_t mr_config_levels_asked(const struct mr_config_round *round);
uint8_t mr_config_levels_most(const struct mr_config_round *round);
uint8_t mr_config_levels(const struct mr_config_round *round);
/* The bits that a round's step is rounded to; 0: it is not. */
uint8_t mr_config_requantise(const struct mr_config_round *round);
/* The ring that auto stands for; 0: none holds cohort_max devices. */
uint8_t mr_config_ring(const struct mr_config_round *round);

/* How much of a task stays in data_dir; 0: no limit of that kind (model/retention.h). */
struct mr_config_keep {
    uint32_t models;      /* 16: the newest, so many */
    uint32_t models_days; /* 90: and none older */
    uint32_t sums;        /* 16 */
    uint32_t sums_days;   /* 90 */
    uint32_t rounds;      /* 10000 */
    uint32_t rounds_days; /* 1825 */
    uint32_t logs_days;   /* 7 */
};

/* What devices are told of the task's models (model/releases.h); 0 stands for the default, as in a
 * config made by hand. */
struct mr_config_releases {
    uint32_t lifetime_days;           /* 90 */
    char *client_min;                 /* "": any client; NULL likewise */
    uint32_t word_valid_s;            /* 86400 */
    uint64_t delta_bytes_max;         /* 64 MiB */
    char *rollout;                    /* "100": tags, then per cent of the devices; NULL likewise */
    char *tags_file;                  /* "": no device has a tag; NULL likewise (device_tags.h) */
    uint32_t rollout_step_s;          /* 3600 */
    uint32_t rollout_kept_min;        /* 1 */
    uint32_t health_reports_min;      /* 10 */
    uint32_t health_failures_percent; /* 20 */
};

/* The mark that rounds put into the task's models (docs/decisions/0070-marked-rounds.md).
 * NULL, as in a config made by hand: none. */
struct mr_config_watermark {
    char *key_file;    /* this hub's part of the key; "": models are not marked */
    char *part_hashes; /* of every hub's part, in the order of `hubs` (watermark_parts.h) */
    uint32_t strength; /* 20: what a marked model scores, in standard deviations */
};

#define MR_CONFIG_ROLLOUT_MAX      16
#define MR_CONFIG_ROLLOUT_TAGS_MAX 4
#define MR_CONFIG_TAG_MAX          32
struct mr_config_rollout {
    uint8_t percent[MR_CONFIG_ROLLOUT_MAX]; /* 0 where the step is a tag's */
    unsigned steps;                         /* at least 1, where it has been read */
    char tag[MR_CONFIG_ROLLOUT_TAGS_MAX][MR_CONFIG_TAG_MAX + 1]; /* of the first steps … */
    unsigned tags;                                               /* … so many */
};
/* Reads "lab,1,10,100": names of tags, then rising whole numbers, the last of them 100; "" is
 * "100". 0, or -1 with an error of the form "must be …". */
int mr_config_rollout(struct mr_config_rollout *rollout, const char *text, struct mr_error *error);
/* a-z, 0-9 and hyphens, the first a letter. */
bool mr_config_tag_valid(const char *tag);

/* Reads "1.4.0" as a release has it: major << 16 | minor << 8 | patch; "" and NULL are 0. 0, or -1
 * with an error of the form "must be …". */
int mr_config_client_min(uint32_t *version, const char *text, struct mr_error *error);

struct mr_config_task {
    char *name;     /* mr_task_name_valid */
    uint16_t *hubs; /* indices: the first leads, the others help, strictly rising (required) */
    unsigned hubs_count;
    char *initial_model_file; /* the first model, for an empty store (lead and helper alike) */
    struct mr_config_round round;
    struct mr_config_accept accept;
    struct mr_config_privacy privacy;
    struct mr_config_keep keep;
    /* Of the model that it starts from, as hub/hub_check.h found it; zeros: nobody has looked. */
    uint32_t dimension;
    uint8_t model_hash[MR_HASH_BYTES];
    struct mr_config_releases releases;
    struct mr_config_watermark watermark;
};

struct mr_config_hub {
    uint16_t index;
    char *name; /* [a-z0-9.-] */
    char *host; /* control address */
    uint16_t port;
    char *public_key_file; /* Ed25519 public key in hex */
};

struct mr_hub_config {
    char *data_dir;  /* model store, round results, commit state (required) */
    char *log_level; /* error | warn | info | debug */
    char *cpu_mask;  /* as --cpu-mask; "all" */
    struct mr_config_identity identity;
    struct mr_config_sandbox sandbox;
    struct mr_config_control control;
    struct mr_config_upload upload;
    struct mr_config_task *tasks; /* this hub is in the list of each; names differ */
    unsigned tasks_count;         /* 1..MR_TASKS_MAX */
    struct mr_config_hub *hubs;   /* the address book: every hub of any task, this one included */
    unsigned hubs_count;          /* 2..MR_ADDRESSES_MAX */
};

/* The entry of the address book, or NULL. */
const struct mr_config_hub *mr_hub_config_address(const struct mr_hub_config *config,
                                                  uint16_t index);
/* The task, or NULL. */
const struct mr_config_task *mr_hub_config_task(const struct mr_hub_config *config,
                                                const char *name);
/* Whether this hub stands first in the task's list. */
bool mr_hub_config_leads(const struct mr_hub_config *config, const struct mr_config_task *task);

/* Reads and checks a file. 0, or -1 with an error of the form "hub.yaml:12: …". On success
 * mr_hub_config_free is owed. */
int mr_hub_config_load(struct mr_hub_config **config, const char *path, struct mr_error *error);
/* The same without a look at the files that it names. */
int mr_hub_config_read(struct mr_hub_config **config, const char *path, struct mr_error *error);
void mr_hub_config_free(struct mr_hub_config *config);

#endif
