#include "appliance/upload/open.h"

#include "wire/datagram.h"

void mr_open_burst(struct mr_open_job *jobs, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct mr_open_job *job = &jobs[i];
        const uint8_t *cipher = job->datagram + MR_DATAGRAM_HEADER_BYTES;
        job->held =
            mr_aead_unseal(job->aead, job->sequence, job->datagram, MR_DATAGRAM_HEADER_BYTES,
                           cipher, job->bytes, cipher + job->bytes, job->plain) == 0;
    }
}
