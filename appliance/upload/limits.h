/* limits.h - what the upload plane is built for. */
#ifndef MR_UPLOAD_LIMITS_H
#define MR_UPLOAD_LIMITS_H

/* Worker threads; hub_options.def has the same number. */
#define MR_WORKERS_MAX 64
/* Rounds at once, those that only answer included. */
#define MR_PLANE_ROUNDS_MAX 128

#endif
