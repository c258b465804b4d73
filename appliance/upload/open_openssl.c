/* Opening by OpenSSL: one cipher context a key, made at start-up. Works everywhere. */
#include <stdlib.h>

#include "appliance/upload/open_internal.h"
#include "base/assert.h"
#include "wire/datagram.h"

struct openssl_opener {
    struct mr_opener base;
    struct mr_aead *aeads[];
};

static struct openssl_opener *self_of(struct mr_opener *opener)
{
    return (struct openssl_opener *)opener;
}

static int openssl_key(struct mr_opener *opener, uint32_t place, const struct mr_aead_key *key)
{
    return mr_aead_rekey(self_of(opener)->aeads[place], key);
}

static void openssl_forget(struct mr_opener *opener, uint32_t place)
{
    static const struct mr_aead_key none;

    (void)mr_aead_rekey(self_of(opener)->aeads[place], &none);
}

static void openssl_burst(struct mr_opener *opener, struct mr_open_job *jobs, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct mr_open_job *job = &jobs[i];
        const uint8_t *cipher = job->datagram + MR_DATAGRAM_HEADER_BYTES;
        MR_ASSERT(job->key < opener->keys);
        job->held = mr_aead_unseal(self_of(opener)->aeads[job->key],
                                   &(struct mr_aead_message){.sequence = job->sequence,
                                                             .aad = job->datagram,
                                                             .aad_bytes = MR_DATAGRAM_HEADER_BYTES,
                                                             .text = cipher,
                                                             .bytes = job->bytes},
                                   cipher + job->bytes, job->plain) == 0;
    }
}

static void openssl_seal(struct mr_opener *opener, struct mr_seal_job *jobs, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct mr_seal_job *job = &jobs[i];
        uint8_t *text = job->datagram + MR_DATAGRAM_HEADER_BYTES;
        MR_ASSERT(job->key < opener->keys);
        job->sealed = mr_aead_seal(self_of(opener)->aeads[job->key],
                                   &(struct mr_aead_message){.sequence = job->sequence,
                                                             .aad = job->datagram,
                                                             .aad_bytes = MR_DATAGRAM_HEADER_BYTES,
                                                             .text = text,
                                                             .bytes = job->bytes},
                                   text, text + job->bytes) == 0;
    }
}

static void openssl_close(struct mr_opener *opener)
{
    for (uint32_t i = 0; i < opener->keys; i++) {
        mr_aead_close(self_of(opener)->aeads[i]);
    }
    free(opener);
}

static const struct mr_opener_ops openssl_ops = {
    .name = "openssl",
    .key = openssl_key,
    .forget = openssl_forget,
    .burst = openssl_burst,
    .seal = openssl_seal,
    .close = openssl_close,
};

struct mr_opener *mr_opener_openssl(uint32_t keys, struct mr_error *error)
{
    struct openssl_opener *self = calloc(1, sizeof *self + keys * sizeof *self->aeads);

    if (!self) {
        mr_error_set(error, "out of memory for %u upload keys: lower slots_per_worker", keys);
        return NULL;
    }
    self->base.ops = &openssl_ops;
    self->base.keys = keys;
    for (uint32_t i = 0; i < keys; i++) {
        self->aeads[i] = mr_aead_open();
        if (!self->aeads[i]) {
            openssl_close(&self->base);
            mr_error_set(error, "out of memory for %u upload keys: lower slots_per_worker", keys);
            return NULL;
        }
    }
    return &self->base;
}
