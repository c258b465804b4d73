#include "edge-client/session/client.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "edge-client/files/files.h"
#include "edge-client/session/log.h"
#include "edge-client/session/next_keys.h"
#include "edge-client/session/outcome.h"
#include "base/bytes.h"

/* No round takes uploads for longer (a week): what a lead says is not believed beyond. */
#define LEFT_MS_MAX 604800000u

#define REQUEST_TIMEOUT_MS 10000
#define SILENCE_MS         3000
#define KEEP_MS            600000

#define LARGE_PAGE ((size_t)2 << 20)

/* A large buffer begins on a large page's boundary, and the kernel is asked for such pages: a
 * thousand faults cost a device more than to undo what is decoded into them. None is taken that
 * the buffer does not fill. */
void *mr_pages_take(size_t bytes)
{
    const size_t spare = bytes < LARGE_PAGE ? 0 : LARGE_PAGE;
    uint8_t *pages =
        mmap(NULL, bytes + spare, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) {
        return NULL;
    }
    if (spare == 0) {
        return pages;
    }
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t before = (0 - (uintptr_t)pages) % LARGE_PAGE,
                 taken = (bytes + page - 1) & ~(page - 1);
    if (before > 0) {
        munmap(pages, before);
    }
    munmap(pages + before + taken, spare - before);
    madvise(pages + before, bytes, MADV_HUGEPAGE); /* where there are none, small ones do */
    return pages + before;
}

void mr_pages_give(void *pages, size_t bytes)
{
    if (pages) {
        munmap(pages, bytes);
    }
}

void mr_pages_rest(void *pages, size_t bytes)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t before = (0 - (uintptr_t)pages) % page;
    const size_t whole = bytes > before ? (bytes - before) & ~(page - 1) : 0;
    if (pages && whole > 0 && madvise((uint8_t *)pages + before, whole, MADV_FREE) != 0) {
        madvise((uint8_t *)pages + before, whole, MADV_DONTNEED); /* a kernel before 4.5 */
    }
}

uint64_t mr_client_lead_ms(const struct mre_client *client)
{
    const struct mr_device_env *env = &client->env;
    if (!client->lead_clock.known) {
        return env->unix_ms(env->context);
    }
    return client->lead_clock.unix_ms +
           (env->now_us(env->context) - client->lead_clock.at_us) / 1000;
}

void mr_client_set_lead_clock(struct mre_client *client, uint64_t deadline_unix_ms,
                              const uint64_t *left_ms)
{
    const struct mr_device_env *env = &client->env;
    const uint64_t own_ms = env->unix_ms(env->context);
    uint64_t lead_ms = own_ms;
    if (left_ms) {
        const uint64_t left = *left_ms < LEFT_MS_MAX ? *left_ms : LEFT_MS_MAX;
        lead_ms = deadline_unix_ms > left ? deadline_unix_ms - left : 0;
    }
    client->lead_clock.known = true;
    client->lead_clock.unix_ms = lead_ms;
    client->lead_clock.at_us = env->now_us(env->context);
    client->lead_clock.ahead_ms = (int64_t)(own_ms - lead_ms);
}

uint32_t mr_client_left_ms(const struct mre_client *client, uint64_t deadline_unix_ms)
{
    const uint64_t now = mr_client_lead_ms(client);
    const uint64_t left = deadline_unix_ms > now ? deadline_unix_ms - now : 0;
    return left < UINT32_MAX ? (uint32_t)left : UINT32_MAX;
}

bool mr_client_cancelled(const struct mre_client *client)
{
    return mr_cancel_asked(client->env.cancel);
}

enum mre_result mr_client_begin(struct mre_client *client, struct mre_outcome *outcome)
{
    memset(outcome, 0, sizeof *outcome);
    return mr_cancel_take(client->env.cancel)
               ? mr_outcome_set(outcome, MRE_CANCELLED, "cancelled before it began")
               : MRE_OK;
}

/* What a call that was cut short may come back with: nothing of the round is decided. */
static bool is_cut_short(enum mre_result result)
{
    return result == MRE_OK || result == MRE_NO_ROUND || result == MRE_UNREACHABLE ||
           result == MRE_TRAINER_FAILED || result == MRE_CANCELLED;
}

static enum mre_result settled(struct mre_client *client, struct mre_outcome *outcome)
{
    if (!is_cut_short(outcome->result) || !mr_cancel_take(client->env.cancel)) {
        return outcome->result;
    }
    return mr_outcome_set(outcome, MRE_CANCELLED,
                          outcome->round ? "cancelled; the round goes on, and the next call takes "
                                           "part in it again while it is open"
                                         : "cancelled");
}

enum mre_result mr_client_settle(struct mre_client *client, struct mre_outcome *outcome)
{
    const enum mre_result result = settled(client, outcome);
    mr_log_outcome(client, outcome);
    return result;
}

uint32_t mr_client_pull_ms(const struct mre_client *client)
{
    const uint64_t ms = (client->env.now_us(client->env.context) - client->pull_began_us) / 1000;
    return ms > 0 && ms < UINT32_MAX ? (uint32_t)ms : 1;
}

void mr_client_pause(struct mre_client *client, unsigned ms)
{
    client->env.sleep_ms(client->env.context, ms ? ms : 1);
}

/* --- who we are ------------------------------------------------------------------------------ */

static int identity_of(struct mr_identity *identity, X509 *certificate)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    int found = 0;
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type != GEN_URI) {
            continue;
        }
        char uri[MR_IDENTITY_URI_MAX];
        int length = ASN1_STRING_length(name->d.uniformResourceIdentifier);
        if (length < 0 || length >= (int)sizeof uri) {
            continue;
        }
        memcpy(uri, ASN1_STRING_get0_data(name->d.uniformResourceIdentifier), (size_t)length);
        uri[length] = 0;
        found += mr_identity_parse(identity, uri) == 0;
    }
    GENERAL_NAMES_free(names);
    return found == 1 && identity->role == MR_ROLE_DEVICE ? 0 : -1;
}

static enum mre_result read_identity(struct mre_client *client, struct mre_outcome *outcome)
{
    FILE *file = fopen(client->certificate_file, "re");
    if (!file) {
        return mr_outcome_set(outcome, MRE_BAD_CONFIG, "device.certificate %s: %s",
                              client->certificate_file, strerror(errno));
    }
    X509 *certificate = PEM_read_X509(file, NULL, NULL, NULL);
    fclose(file);
    int bad = certificate ? identity_of(&client->identity, certificate) : -1;
    X509_free(certificate);
    if (!certificate) {
        return mr_outcome_set(outcome, MRE_BAD_CONFIG,
                              "device.certificate %s is no PEM certificate",
                              client->certificate_file);
    }
    if (bad) {
        return mr_outcome_set(
            outcome, MRE_BAD_CONFIG,
            "device.certificate %s names no single urn:millrace:device: identity; "
            "have one issued for a device",
            client->certificate_file);
    }
    mr_hex_encode(client->id, client->identity.client_id, MR_CLIENT_ID_BYTES);
    return MRE_OK;
}

/* --- options --------------------------------------------------------------------------------- */

static int keep(char **kept, const char *text)
{
    *kept = text ? strdup(text) : NULL;
    return text && !*kept;
}

/* The host may change its working directory later. */
static int keep_path(char **kept, const char *path)
{
    *kept = mr_path_absolute(path);
    return path && !*kept;
}

static enum mre_result take_hubs(struct mre_client *client, const struct mre_options *options,
                                 struct mre_outcome *outcome)
{
    if (options->hub_count < 2 || options->hub_count > MRE_HUBS_MAX || !options->hubs) {
        return mr_outcome_set(outcome, MRE_BAD_CONFIG, "hubs: 2 to %d are needed, the lead first",
                              MRE_HUBS_MAX);
    }
    client->hub_count = options->hub_count;
    client->key_statement = options->key_statement;
    client->release_threshold =
        options->release_threshold ? options->release_threshold : options->hub_count;
    if (client->release_threshold < 2 || client->release_threshold > options->hub_count) {
        return mr_outcome_set(outcome, MRE_BAD_CONFIG,
                              "release_threshold: 2 to the number of hubs, or leave it out");
    }
    for (unsigned i = 0; i < options->hub_count; i++) {
        const struct mre_hub *hub = &options->hubs[i];
        struct mr_announced_hub *pinned = &client->pinned[i];
        pinned->index = hub->index;
        snprintf(pinned->name, sizeof pinned->name, "%s", hub->name ? hub->name : "");
        if (!hub->host || !*hub->host || !hub->port) {
            return mr_outcome_set(outcome, MRE_BAD_CONFIG, "hubs[%u]: host and port are needed", i);
        }
        if (!hub->public_key ||
            mr_hex_decode(pinned->public_key, MR_PUBLIC_KEY_BYTES, hub->public_key)) {
            return mr_outcome_set(outcome, MRE_BAD_CONFIG,
                                  "hubs[%u].public_key: 64 hex digits are needed, from the hub's "
                                  ".sign.pub file",
                                  i);
        }
        client->ports[i] = hub->port;
        if (keep(&client->hosts[i], hub->host)) {
            return mr_outcome_set(outcome, MRE_FAILED, "out of memory");
        }
    }
    return MRE_OK;
}

static int take_siblings(struct mre_client *client, const struct mre_options *options)
{
    for (unsigned i = 0; i < options->sibling_count; i++) {
        if (i == MRE_SIBLINGS_MAX || keep_path(&client->siblings[i], options->siblings[i])) {
            return -1;
        }
        client->sibling_count++;
    }
    return 0;
}

static enum mre_result take_options(struct mre_client *client, const struct mre_options *options,
                                    struct mre_outcome *outcome)
{
    uint32_t mask = UINT32_MAX;
    if (!options->certificate_file || !options->private_key_file || !options->ca_file ||
        !options->data_dir) {
        return mr_outcome_set(outcome, MRE_BAD_CONFIG,
                              "device.certificate, device.key, device.ca and data_dir are needed");
    }
    if (!mr_task_name_valid(options->task)) {
        return mr_outcome_set(outcome, MRE_BAD_CONFIG,
                              "task \"%s\": name the task to take part in as its hubs call it, 1 "
                              "to %d of [a-z0-9-] (\"task\" in device.json)",
                              options->task ? options->task : "", MR_TASK_NAME_MAX);
    }
    if (options->cpu_mask && mr_cpu_mask_parse(options->cpu_mask, &mask)) {
        return mr_outcome_set(outcome, MRE_BAD_CONFIG,
                              "--cpu-mask %s: give all, or levels such as scalar,avx2 or -avx512",
                              options->cpu_mask);
    }
    if (options->transport > MRE_TRANSPORT_HTTP2) {
        return mr_outcome_set(outcome, MRE_BAD_CONFIG, "transport: auto, udp or http2");
    }
    if (options->number_type > MRE_BF16) {
        return mr_outcome_set(outcome, MRE_BAD_CONFIG, "number_type: float32, float16 or bfloat16");
    }
    client->kernels = mr_kernels_select(mask);
    client->transport = options->transport;
    client->request_timeout_ms =
        options->request_timeout_ms ? options->request_timeout_ms : REQUEST_TIMEOUT_MS;
    client->silence_ms = options->silence_ms ? options->silence_ms : SILENCE_MS;
    client->keep_ms = options->keep_ms ? options->keep_ms : KEEP_MS;
    client->number_type = options->number_type;
    client->stop_after_chunks = options->stop_after_chunks;
    client->training_seed = options->training_seed;
    struct mr_error error;
    if (mr_accept_read(&client->accept, options->accept, &error) != 0) {
        return mr_outcome_set(outcome, MRE_BAD_CONFIG, "%s", error.text);
    }
    if (keep_path(&client->certificate_file, options->certificate_file) ||
        keep_path(&client->private_key_file, options->private_key_file) ||
        keep_path(&client->ca_file, options->ca_file) ||
        keep_path(&client->revocation_file, options->revocation_file) ||
        keep_path(&client->data_dir, options->data_dir) ||
        keep_path(&client->dump_dir, options->dump_dir) || keep(&client->task, options->task)) {
        return mr_outcome_set(outcome, MRE_FAILED, "out of memory, or no working directory");
    }
    if (take_siblings(client, options)) {
        return mr_outcome_set(outcome, MRE_FAILED,
                              "siblings: more than the %d data_dirs of other tasks that are "
                              "possible, or out of memory",
                              MRE_SIBLINGS_MAX);
    }
    return take_hubs(client, options, outcome);
}

enum mre_result mr_client_lock_folder(const char *data_dir, int *lock, struct mre_outcome *outcome)
{
    char path[4096];
    enum mre_result result = MRE_OK;
    snprintf(path, sizeof path, "%s/lock", data_dir);
    *lock = mr_fd_above_standard(open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (*lock < 0 || fchmod(*lock, 0600)) {
        result = mr_outcome_set(outcome, MRE_BAD_CONFIG,
                                "data_dir %s: %s; make a folder that this device can write to",
                                data_dir, strerror(errno));
    } else if (flock(*lock, LOCK_EX | LOCK_NB)) {
        result = mr_outcome_set(
            outcome, MRE_BAD_CONFIG,
            "data_dir %s is in use already: give each device and each task its own", data_dir);
    }
    if (result && *lock >= 0) {
        close(*lock);
        *lock = -1;
    }
    return result;
}

static enum mre_result open_folder(struct mre_client *client, struct mre_outcome *outcome)
{
    struct mr_error error;
    const enum mre_result result = mr_client_lock_folder(client->data_dir, &client->lock, outcome);
    if (result) {
        return result;
    }
    if (mr_ledger_open(&client->ledger, client->data_dir, &error)) {
        return mr_outcome_set(outcome, MRE_BAD_CONFIG, "%s", error.text);
    }
    client->ledger.siblings = client->siblings;
    client->ledger.sibling_count = client->sibling_count;
    return MRE_OK;
}

/* --- life ------------------------------------------------------------------------------------ */

/* In c->env. Gives `c` away or closes it. */
static enum mre_result open_client(struct mre_client **client, struct mre_client *c,
                                   const struct mre_options *options, struct mre_outcome *outcome)
{
    c->lock = -1;
    c->lock_owner = getpid();
    enum mre_result result = take_options(c, options, outcome);
    if (!result) {
        result = read_identity(c, outcome);
    }
    if (!result) {
        result = open_folder(c, outcome);
    }
    if (!result) {
        result = mr_next_keys_open(c, outcome);
    }
    if (result) {
        mre_client_close(c);
    } else {
        *client = c;
    }
    return result;
}

static struct mre_client *make_client(struct mre_client **client, struct mre_outcome *outcome)
{
    *client = NULL;
    memset(outcome, 0, sizeof *outcome);
    struct mre_client *c = calloc(1, sizeof *c);
    if (!c) {
        mr_outcome_set(outcome, MRE_FAILED, "out of memory");
    }
    return c;
}

enum mre_result mr_client_open_in(struct mre_client **client, const struct mre_options *options,
                                  const struct mr_device_env *env, struct mre_outcome *outcome)
{
    struct mre_client *c = make_client(client, outcome);
    if (!c) {
        return outcome->result;
    }
    c->env = *env;
    return open_client(client, c, options, outcome);
}

enum mre_result mre_client_open(struct mre_client **client, const struct mre_options *options,
                                struct mre_outcome *outcome)
{
    struct mre_client *c = make_client(client, outcome);
    if (!c) {
        return outcome->result;
    }
    if (mr_cancel_init(&c->cancel)) {
        free(c);
        return mr_outcome_set(outcome, MRE_FAILED, "no descriptor is left: %s; raise LimitNOFILE",
                              strerror(errno));
    }
    if (mre_connections_open(&c->own_connections)) {
        mr_cancel_fini(&c->cancel);
        free(c);
        return mr_outcome_set(outcome, MRE_FAILED, "out of memory");
    }
    c->system = (struct mr_device_system){.cancel = &c->cancel, .connections = c->own_connections};
    mr_device_env_system(&c->env, &c->system);
    return open_client(client, c, options, outcome);
}

void mre_client_close(struct mre_client *client)
{
    if (!client) {
        return;
    }
    for (unsigned i = 0; i < MRE_HUBS_MAX; i++) {
        if (client->kept[i].connection) {
            client->env.disconnect(client->env.context, client->kept[i].connection, false);
        }
    }
    mre_connections_close(client->own_connections);
    if (client->lock >= 0 && client->lock_owner == getpid()) {
        mr_lock_release(client->lock);
    } else if (client->lock >= 0) { /* a child's copy: the client may live on in its parent */
        close(client->lock);
    }
    free(client->certificate_file);
    free(client->private_key_file);
    free(client->ca_file);
    free(client->revocation_file);
    free(client->data_dir);
    free(client->task);
    free(client->dump_dir);
    mr_accept_free(&client->accept);
    for (unsigned i = 0; i < MRE_HUBS_MAX; i++) {
        free(client->hosts[i]);
    }
    for (unsigned i = 0; i < client->sibling_count; i++) {
        free(client->siblings[i]);
    }
    mr_cancel_fini(&client->cancel);
    free(client->pull_memory.delta.bytes);
    mr_pages_give(client->pull_memory.target, client->pull_memory.target_bytes);
    free(client);
}

void mre_client_share(struct mre_client *client, struct mre_connections *connections)
{
    client->system.connections = connections;
}

void mre_client_cancel(struct mre_client *client)
{
    if (client->env.cancel) {
        mr_cancel_ask(client->env.cancel);
    }
}

const char *mre_client_id(const struct mre_client *client)
{
    return client->id;
}
