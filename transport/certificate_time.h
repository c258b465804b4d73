/* certificate_time.h - from when on a certificate holds. A clock that says less was not set yet, or
 * the certificate is for later: either is mended by time. */
#ifndef MR_TRANSPORT_CERTIFICATE_TIME_H
#define MR_TRANSPORT_CERTIFICATE_TIME_H

#include <stdint.h>

/* Seconds until the first certificate of a PEM file holds, by the wall clock; 0: it does already,
 * or the file has none that can be read (whoever uses it says so). */
int64_t mr_certificate_begins_in_s(const char *path);

#endif
