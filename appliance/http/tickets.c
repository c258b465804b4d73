#include "appliance/http/tickets.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>

#include <openssl/crypto.h>
#include <openssl/rand.h>

#define ROWS             4096u /* a power of two */
#define ID_BYTES         32
#define IDENTITY_MAX     4  /* of one identity: else one device could drive out all others' */
#define ALLOCATION_BYTES 16 /* what malloc adds */
#define FNV_PRIME        0x100000001b3u

struct entry {
    LIST_ENTRY(entry) by_id;
    LIST_ENTRY(entry) by_identity;
    TAILQ_ENTRY(entry) by_age;
    struct mr_identity identity;
    struct mr_serial serial;
    int64_t begins_s, ends_s, verified_s;
    uint8_t id[ID_BYTES];
    /* What the next handshake needs of the session. Its certificate is not among that: OpenSSL
     * would decode the public key in it anew, which costs more than the rest of a resumed
     * handshake. */
    const SSL_CIPHER *cipher;
    long made_s;
    size_t secret_bytes;
    uint8_t secret[SSL_MAX_MASTER_KEY_LENGTH];
};
LIST_HEAD(row, entry);

struct mr_tickets {
    struct mr_tickets_config config;
    struct mr_tls_sessions hooks;
    uint64_t salt;
    pthread_mutex_t lock; /* guards what follows: threads that shake hands share the tables */
    size_t bytes;
    unsigned count;
    TAILQ_HEAD(, entry) by_age; /* the oldest first */
    struct row by_id[ROWS], by_identity[ROWS];
};

/* --- the tables ------------------------------------------------------------------------------ */

/* Names are the hub's own random numbers. */
static struct row *row_of_id(struct mr_tickets *sessions, const uint8_t id[ID_BYTES])
{
    return &sessions->by_id[((unsigned)id[0] << 8 | id[1]) % ROWS];
}

/* FNV-1a from a secret start, as for an identity's quota. */
static struct row *row_of_identity(struct mr_tickets *sessions, const struct mr_identity *identity)
{
    char name[MR_IDENTITY_URI_MAX];
    uint64_t state = sessions->salt;
    mr_identity_format(name, identity);
    for (const char *at = name; *at; at++) {
        state = (state ^ (uint8_t)*at) * FNV_PRIME;
    }
    return &sessions->by_identity[(state ^ state >> 32) % ROWS];
}

static bool is_same(const struct mr_identity *a, const struct mr_identity *b)
{
    char one[MR_IDENTITY_URI_MAX], other[MR_IDENTITY_URI_MAX];
    mr_identity_format(one, a);
    mr_identity_format(other, b);
    return strcmp(one, other) == 0;
}

static size_t bytes_of(const struct entry *entry)
{
    return sizeof *entry + ALLOCATION_BYTES;
}

static void take_out(struct mr_tickets *sessions, struct entry *entry)
{
    LIST_REMOVE(entry, by_id);
    LIST_REMOVE(entry, by_identity);
    TAILQ_REMOVE(&sessions->by_age, entry, by_age);
    sessions->bytes -= bytes_of(entry);
    sessions->count--;
}

static void wipe(struct entry *entry)
{
    OPENSSL_cleanse(entry->secret, sizeof entry->secret);
    free(entry);
}

static void forget(struct mr_tickets *sessions, struct entry *entry)
{
    take_out(sessions, entry);
    wipe(entry);
}

/* Newer ones stand before older ones. */
static void bound_identity(struct mr_tickets *sessions, const struct mr_identity *identity)
{
    struct entry *entry, *next;
    unsigned count = 0;
    for (entry = LIST_FIRST(row_of_identity(sessions, identity)); entry; entry = next) {
        next = LIST_NEXT(entry, by_identity);
        if (is_same(&entry->identity, identity) && ++count > IDENTITY_MAX) {
            forget(sessions, entry);
        }
    }
}

static void put_in(struct mr_tickets *sessions, struct entry *entry)
{
    LIST_INSERT_HEAD(row_of_id(sessions, entry->id), entry, by_id);
    LIST_INSERT_HEAD(row_of_identity(sessions, &entry->identity), entry, by_identity);
    TAILQ_INSERT_TAIL(&sessions->by_age, entry, by_age);
    sessions->bytes += bytes_of(entry);
    sessions->count++;
    bound_identity(sessions, &entry->identity);
    while (sessions->bytes > sessions->config.bytes_max) {
        forget(sessions, TAILQ_FIRST(&sessions->by_age));
    }
}

/* --- what the handshake asks ----------------------------------------------------------------- */

static void keep(void *context, const struct mr_tls_peer *peer, SSL_SESSION *session)
{
    struct mr_tickets *sessions = context;
    unsigned id_bytes;
    const uint8_t *id = SSL_SESSION_get_id(session, &id_bytes);
    if (id_bytes != ID_BYTES || !(sessions->config.roles & (1u << peer->identity.role))) {
        return;
    }
    struct entry *entry = malloc(sizeof *entry);
    if (!entry) {
        return; /* a full handshake next time */
    }
    entry->cipher = SSL_SESSION_get0_cipher(session);
    entry->made_s = SSL_SESSION_get_time(session);
    entry->secret_bytes = SSL_SESSION_get_master_key(session, entry->secret, sizeof entry->secret);
    entry->identity = peer->identity;
    entry->serial = peer->serial;
    entry->begins_s = peer->begins_s;
    entry->ends_s = peer->ends_s;
    entry->verified_s = peer->verified_s;
    memcpy(entry->id, id, ID_BYTES);
    pthread_mutex_lock(&sessions->lock);
    put_in(sessions, entry);
    pthread_mutex_unlock(&sessions->lock);
}

static int64_t now_of(const struct mr_tickets *sessions)
{
    return sessions->config.unix_s ? sessions->config.unix_s() : (int64_t)time(NULL);
}

/* Whether the certificate of the full handshake would be let in now. */
static bool holds(const struct mr_tickets *sessions, const struct entry *entry)
{
    const int64_t now_s = now_of(sessions);
    return now_s <= entry->ends_s && now_s - entry->verified_s <= MR_TLS_SESSION_MAX_S &&
           !sessions->config.is_revoked(sessions->config.context, &entry->serial);
}

/* NULL: out of memory, and a full handshake follows. */
static SSL_SESSION *revive(const struct entry *entry)
{
    SSL_SESSION *session = SSL_SESSION_new();
    if (!session || SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION) != 1 ||
        SSL_SESSION_set_cipher(session, entry->cipher) != 1 ||
        SSL_SESSION_set1_master_key(session, entry->secret, entry->secret_bytes) != 1 ||
        SSL_SESSION_set1_id(session, entry->id, ID_BYTES) != 1 ||
        mr_tls_session_scope(session) != 0 ||
        SSL_SESSION_set_timeout(session, MR_TLS_SESSION_MAX_S) != 1 ||
        SSL_SESSION_set_time(session, entry->made_s) != entry->made_s) {
        SSL_SESSION_free(session);
        return NULL;
    }
    return session;
}

/* The entry of that name, which nobody else finds from now on: it serves once, whatever comes of
 * it. NULL: there is none. */
static struct entry *claim(struct mr_tickets *sessions, const uint8_t *id, size_t bytes)
{
    struct entry *entry;
    if (bytes != ID_BYTES) {
        return NULL;
    }
    pthread_mutex_lock(&sessions->lock);
    LIST_FOREACH(entry, row_of_id(sessions, id), by_id) {
        if (memcmp(entry->id, id, ID_BYTES) == 0) {
            take_out(sessions, entry);
            break;
        }
    }
    pthread_mutex_unlock(&sessions->lock);
    return entry;
}

static SSL_SESSION *take(void *context, struct mr_tls_peer *peer, const uint8_t *id, size_t bytes)
{
    struct mr_tickets *sessions = context;
    struct entry *entry = claim(sessions, id, bytes);
    SSL_SESSION *session = NULL;
    if (!entry) {
        return NULL;
    }
    if (holds(sessions, entry)) {
        session = revive(entry);
        peer->identity = entry->identity;
        peer->serial = entry->serial;
        peer->begins_s = entry->begins_s;
        peer->ends_s = entry->ends_s;
        peer->verified_s = entry->verified_s;
    }
    wipe(entry);
    return session;
}

/* --- whole ----------------------------------------------------------------------------------- */

struct mr_tickets *mr_tickets_open(const struct mr_tickets_config *config)
{
    struct mr_tickets *sessions = calloc(1, sizeof *sessions);
    if (!sessions || RAND_bytes((uint8_t *)&sessions->salt, sizeof sessions->salt) != 1) {
        free(sessions);
        return NULL;
    }
    pthread_mutex_init(&sessions->lock, NULL);
    sessions->config = *config;
    sessions->hooks = (struct mr_tls_sessions){.context = sessions, .keep = keep, .take = take};
    TAILQ_INIT(&sessions->by_age);
    return sessions;
}

void mr_tickets_close(struct mr_tickets *sessions)
{
    if (sessions) {
        mr_tickets_forget_all(sessions);
        pthread_mutex_destroy(&sessions->lock);
        free(sessions);
    }
}

const struct mr_tls_sessions *mr_tickets_hooks(const struct mr_tickets *sessions)
{
    return &sessions->hooks;
}

void mr_tickets_supersede(struct mr_tickets *sessions, const struct mr_tls_peer *newest)
{
    struct entry *entry, *next;
    pthread_mutex_lock(&sessions->lock);
    for (entry = LIST_FIRST(row_of_identity(sessions, &newest->identity)); entry; entry = next) {
        next = LIST_NEXT(entry, by_identity);
        if (memcmp(entry->serial.bytes, newest->serial.bytes, MR_SERIAL_OWN_BYTES) != 0 &&
            entry->begins_s <= newest->begins_s && is_same(&entry->identity, &newest->identity)) {
            forget(sessions, entry);
        }
    }
    pthread_mutex_unlock(&sessions->lock);
}

void mr_tickets_forget_all(struct mr_tickets *sessions)
{
    struct entry *entry;
    pthread_mutex_lock(&sessions->lock);
    while ((entry = TAILQ_FIRST(&sessions->by_age)) != NULL) {
        forget(sessions, entry);
    }
    pthread_mutex_unlock(&sessions->lock);
}

unsigned mr_tickets_count(struct mr_tickets *sessions)
{
    pthread_mutex_lock(&sessions->lock);
    const unsigned count = sessions->count;
    pthread_mutex_unlock(&sessions->lock);
    return count;
}

size_t mr_tickets_bytes(struct mr_tickets *sessions)
{
    pthread_mutex_lock(&sessions->lock);
    const size_t bytes = sessions->bytes;
    pthread_mutex_unlock(&sessions->lock);
    return bytes;
}
