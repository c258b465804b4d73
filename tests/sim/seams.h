/* seams.h - functions of the C library and of the tree that the linker's --wrap puts the
 * simulator's own in front of (the list is in meson.build). */
#ifndef MR_TESTS_SIM_SEAMS_H
#define MR_TESTS_SIM_SEAMS_H

#include <pthread.h>
#include <semaphore.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

#include "appliance/aggregate/shard.h"
#include "appliance/model/requantise.h"
#include "appliance/model/watermark.h"
#include "appliance/storage/journal_seal.h"
#include "appliance/task/age.h"
#include "appliance/task/released.h"
#include "appliance/upload/open.h"
#include "wire/aead.h"
#include "wire/exchange.h"
#include "wire/receipt.h"
#include "wire/sealed_seed.h"
#include "wire/transcript.h"
#include "wire/refusal.h"

#define SIM_WRAP(type, name, arguments)                                                            \
    type __wrap_##name arguments;                                                                  \
    type __real_##name arguments;

SIM_WRAP(int, clock_gettime, (clockid_t id, struct timespec *out))
SIM_WRAP(int, RAND_bytes, (unsigned char *out, int bytes))
SIM_WRAP(int, pthread_create,
         (pthread_t * out, const pthread_attr_t *attributes, void *(*fn)(void *argument),
          void *argument))
SIM_WRAP(int, pthread_join, (pthread_t id, void **result))
SIM_WRAP(int, pthread_setname_np, (pthread_t id, const char *name))
SIM_WRAP(int, sem_wait, (sem_t * semaphore))

SIM_WRAP(int, open64, (const char *path, int flags, ...))
SIM_WRAP(ssize_t, read, (int fd, void *out, size_t bytes))
SIM_WRAP(ssize_t, __read_chk, (int fd, void *out, size_t bytes, size_t room))
SIM_WRAP(ssize_t, write, (int fd, const void *bytes, size_t length))
SIM_WRAP(ssize_t, pread64, (int fd, void *out, size_t bytes, off_t at))
SIM_WRAP(ssize_t, __pread64_chk, (int fd, void *out, size_t bytes, off_t at, size_t room))
SIM_WRAP(ssize_t, pwrite64, (int fd, const void *bytes, size_t length, off_t at))
SIM_WRAP(int, ftruncate64, (int fd, off_t length))
SIM_WRAP(int, fdatasync, (int fd))
SIM_WRAP(int, fsync, (int fd))
SIM_WRAP(int, close, (int fd))
SIM_WRAP(int, rename, (const char *from, const char *to))
SIM_WRAP(int, access, (const char *path, int mode))
SIM_WRAP(int, unlink, (const char *path))
SIM_WRAP(int, mkdir, (const char *path, mode_t mode))
SIM_WRAP(int, fstat64, (int fd, struct stat *about))
SIM_WRAP(void *, mmap64, (void *at, size_t length, int protection, int flags, int fd, off_t offset))
SIM_WRAP(int, munmap, (void *at, size_t length))

SIM_WRAP(int, mr_aead_rekey, (struct mr_aead * aead, const struct mr_aead_key *key))
SIM_WRAP(int, mr_aead_seal,
         (struct mr_aead * aead, const struct mr_aead_message *message, uint8_t *cipher,
          uint8_t tag[MR_TAG_BYTES]))
SIM_WRAP(int, mr_seed_seal,
         (struct mr_seed_request * request, const uint8_t seed[MR_SEED_BYTES],
          const struct mr_key_scope *scope, const uint8_t seal_key[MR_HPKE_KEY_BYTES],
          const uint8_t ephemeral[MR_HPKE_KEY_BYTES]))
SIM_WRAP(int, mr_receipt_fill,
         (struct mr_receipt * receipt, const uint8_t seed[MR_SEED_BYTES],
          const uint8_t sealed_hash[MR_HASH_BYTES], const struct mr_key_scope *scope,
          const struct mr_layout *layout))
SIM_WRAP(int, mr_transcript_sign,
         (uint8_t signature[64], const struct mr_transcript *transcript,
          const uint8_t private_key[32]))
SIM_WRAP(int, mr_transcript_sign_pair,
         (uint8_t signature[64], const struct mr_transcript *transcript,
          const struct mr_signing_pair *pair))
SIM_WRAP(int, mr_transcript_verify,
         (const uint8_t signature[64], const struct mr_transcript *transcript,
          const uint8_t public_key[32]))
SIM_WRAP(int, mr_journal_seal,
         (uint8_t * out, const uint8_t key[MR_JOURNAL_KEY_BYTES],
          const uint8_t head[MR_JOURNAL_HEAD_BYTES], uint64_t number, const uint8_t *plain,
          size_t length))
SIM_WRAP(int, mr_opener_key,
         (struct mr_opener * opener, uint32_t place, const struct mr_aead_key *key))
SIM_WRAP(void, mr_seal_burst, (struct mr_opener * opener, struct mr_seal_job *jobs, unsigned count))
SIM_WRAP(void, mr_open_burst, (struct mr_opener * opener, struct mr_open_job *jobs, unsigned count))
SIM_WRAP(void, mr_shard_fold,
         (struct mr_shard * shard, const struct mr_layout *layout, const uint8_t *const *shares,
          const uint64_t *upload_ids, unsigned count, const struct mr_kernels *kernels))
SIM_WRAP(void, mr_sum_pack,
         (uint8_t * share, const struct mr_layout *layout, const struct mr_vector_sum *sum,
          const struct mr_kernels *kernels))

SIM_WRAP(void, mr_requantised_begin,
         (uint8_t * state, const struct mr_requantiser *requantiser, const uint8_t *before,
          size_t before_bytes))
SIM_WRAP(void, mr_requantise,
         (uint8_t * state, float *step, const struct mr_requantiser *requantiser))
SIM_WRAP(int, mr_watermark_keep_announced,
         (struct mr_watermark_kept * kept, const struct mr_safetensors *model, uint8_t *data,
          const struct mr_announcement *round, const struct mr_watermark_parts *parts,
          struct mr_error *error))
SIM_WRAP(bool, mr_watermark_part_fits,
         (const struct mr_watermark_terms *terms, unsigned position, const uint8_t *part))

SIM_WRAP(void, mr_routes_resumed, (void *context, void *token, const uint8_t *model_hash))
SIM_WRAP(void, mr_routes_recovered,
         (void *context, void *token, const struct mr_recovered *recovered, bool halted))
SIM_WRAP(void, mr_routes_refused, (void *context, void *token, const struct mr_refusal *refusal))
SIM_WRAP(int, mr_released_may_count,
         (struct mr_released * ledger, const uint8_t parent[MR_HASH_BYTES],
          const uint8_t announcement_hash[MR_HASH_BYTES],
          const uint8_t client_id[MR_CLIENT_ID_BYTES], struct mr_released_place *place,
          struct mr_error *error))
SIM_WRAP(enum mr_released_claim, mr_released_claim,
         (struct mr_released * ledger, const struct mr_released_set *set,
          struct mr_released_place *place, struct mr_error *error))

#endif
