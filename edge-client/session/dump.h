/* dump.h - writes an attempt's vector before it is masked. For audits and demonstrations only: it
 * defeats the purpose of the whole system and is never on in production.
 *
 * File: <client hex>-<task>-r<round>-a<attempt>.bin, all little-endian:
 *   magic "MRDUMP01" | round u64 | attempt u32 | D u32 | L u32 | 0 u32 | client id 16 bytes |
 *   announcement_hash 32 bytes = 80 bytes; then q int8[L] | trailer u32[16 or 32] | trained delta
 * f32[D]. It appears whole (written aside, then renamed), before the attempt's first seed is sent.
 */
#ifndef MR_SESSION_DUMP_H
#define MR_SESSION_DUMP_H

#include "edge-client/session/attempt.h"

/* 0 or -1. */
int mr_dump_write(const struct mre_client *client, const struct mr_round_work *work,
                  uint32_t attempt, const int8_t *q, const uint32_t *trailer,
                  struct mr_error *error);

#endif
