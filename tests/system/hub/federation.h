/* federation.h - real hub processes on loopback, and clients of every role that are as good or bad
 * as a test wants them. */
#ifndef MR_TEST_SYSTEM_HUB_FEDERATION_H
#define MR_TEST_SYSTEM_HUB_FEDERATION_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#include <cmocka.h>
#include <jansson.h>

#include "transport/h2_client.h"
#include "wire/exchange.h"
#include "wire/messages.h"
#include "appliance/aggregate/sum.h"
#include "wire/share.h"

#define FEDERATION_HUBS    2
#define FEDERATION_DEVICES 6
#define DIMENSION          500

struct federation {
    char *dir;
    size_t file_limit; /* of a hub that is started: no file may grow beyond; 0: none */
    pid_t hubs[FEDERATION_HUBS];
    uint16_t ports[FEDERATION_HUBS];
    uint8_t model_hash[MR_HASH_BYTES];
    const struct mr_kernels *kernels;
};

/* A test's main gives its arguments first: the one is the program of the hubs. False: not given. */
bool federation_program(int argc, char **argv);
const char *federation_hub_program(void);
/* Certificates, configuration and model; nothing runs yet. `extra` goes into every round section
 * (indented by six). */
struct federation *federation_open(const char *extra);
/* Ends what still runs, as an operator would: gcov and the leak checker speak at an end. */
void federation_close(struct federation *federation);
/* Changes a hub's configuration before it starts: a command of sed. */
void federation_edit(const struct federation *federation, unsigned hub, const char *edit);
void federation_run(struct federation *federation); /* starts all hubs */
/* For cmocka: a federation whose hubs run, without extras; and its end. */
int federation_setup(void **state);
int federation_teardown(void **state);

void federation_start(struct federation *federation, unsigned hub);
/* Sends the signal and waits; returns the exit code, or -1 after an end by a signal. */
int federation_wait(struct federation *federation, unsigned hub); /* for its own end */
int federation_stop(struct federation *federation, unsigned hub, int signal);
void federation_restart(struct federation *federation, unsigned hub); /* after a SIGKILL */

/* Runs a hub that cannot start, with that configuration of the federation's folder: its exit code,
 * and what it said. */
int federation_try(const struct federation *federation, const char *config, char *said,
                   size_t said_bytes);

struct federation_paths {
    char ca[4096], certificate[4096], key[4096];
};
/* With <stem>.pem; paths live in `paths`. */
struct mr_h2_endpoint federation_endpoint(const struct federation *federation,
                                          struct federation_paths *paths, const char *stem,
                                          unsigned hub);

/* A connection with <stem>.pem: "device-000", "hub-0", "operator". */
struct mr_h2_client *federation_client(struct federation *federation, const char *stem,
                                       unsigned hub);
/* One request; returns the status and the body (mr_h2_response_fini is owed). As every client has
 * to, it comes back where the hub is busy: a state between two messages is no failure. */
int federation_ask(struct mr_h2_client *client, const char *method, const char *path,
                   const void *body, size_t length, struct mr_h2_response *response);
/* The same over a connection of its own; the body as JSON (NULL if it is none), to be released. */
int federation_json(struct federation *federation, const char *stem, unsigned hub,
                    const char *method, const char *path, const char *body, json_t **answer);
/* A request over a connection of its own. */
struct federation_request {
    const char *stem; /* who asks */
    unsigned hub;     /* who is asked */
    const char *method;
    const char *path;
    const void *body; /* NULL: none */
    size_t length;
};
/* Fails unless the request is refused with that code. */
void federation_refused(struct federation *federation, const struct federation_request *request,
                        const char *code);
uint64_t federation_open_round(struct federation *federation, const char *overrides);
/* Waits until the round ends; the operator's view, to be released. */
json_t *federation_await(struct federation *federation, uint64_t round);
/* … which is "published" or "void"; a void round's reason must have `why` in it (NULL: any). */
void federation_expect(struct federation *federation, uint64_t round, const char *state,
                       const char *why);
/* Whether a hub's metrics have this line ("name{labels} value"), and until they do. */
bool federation_has_metric(struct federation *federation, unsigned hub, const char *sample);
void federation_await_metric(struct federation *federation, unsigned hub, const char *sample);
/* A file of the task in a hub's data_dir, malloc'd. */
uint8_t *federation_file(const struct federation *federation, unsigned hub, const char *name,
                         size_t *length);
bool federation_has_file(struct federation *federation, unsigned hub, const char *name);
void federation_remove_file(const struct federation *federation, unsigned hub, const char *name);
/* The keys with which a hub signs. */
void federation_private_key(const struct federation *federation, unsigned hub, uint8_t key[32]);
void federation_public_key(const struct federation *federation, unsigned hub, uint8_t key[32]);

/* --- devices --------------------------------------------------------------------------------- */
struct device {
    struct federation *federation;
    unsigned number;
    char stem[32];
    uint8_t client_id[MR_CLIENT_ID_BYTES];
    struct mr_h2_client *lead;
    struct mr_round_terms terms;
    struct mr_upload_grant grant;
    uint8_t *share; /* as sent */
    int8_t *q;
};

/* Gets the signed announcement and verifies it; q and share are drawn for this device. */
void device_open(struct device *device, struct federation *federation, unsigned number,
                 uint64_t after);
void device_close(struct device *device);
void device_reconnect(struct device *device); /* the lead was started anew */
/* The same of the devices from 0 on. */
void devices_open(struct device *devices, unsigned count, struct federation *federation,
                  uint64_t after);
void devices_close(struct device *devices, unsigned count);
/* Opens a round and the devices from 0 on for it; returns its number. */
uint64_t devices_begin(struct device *devices, unsigned count, struct federation *federation);
/* Those from `first` up to before `end` upload, and hear that they are committed. */
void devices_upload(struct device *devices, unsigned first, unsigned end);
void devices_commit(struct device *devices, unsigned first, unsigned end);
/* The round was published with exactly these devices, and the sum is theirs on every hub. */
void devices_expect_published(struct device *devices, unsigned count, uint64_t round);
/* The round's sum, on every hub, is that of these devices. */
void devices_check_sum(const struct device *devices, unsigned count, uint64_t round);
/* Sends its seed to the helper and fills the request with the receipt. */
/* Its seed of that attempt as it goes to the helper, always the same bytes, and what the receipt
 * has to say. */
void device_seed_request(const struct device *device, uint32_t attempt,
                         uint8_t body[MR_SEED_REQUEST_BYTES], struct mr_receipt *receipt);
void device_seed(struct device *device, uint32_t attempt, struct mr_upload_request *request);
/* Asks for an upload; returns the status of the answer, with the code of a refusal. */
int device_request(struct device *device, const struct mr_upload_request *request, char code[40]);
int device_put(struct device *device);
/* Asks for the upload's status; with a wait_ms, until it has ended. */
struct mr_upload_status device_await(struct device *device, unsigned wait_ms);
/* All of it over HTTP/2. */
void device_upload(struct device *device, uint32_t attempt);

#endif
