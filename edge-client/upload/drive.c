#include "edge-client/upload/drive.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define RECEIVE_BYTES 2048 /* an ACK is 96 */

static void halt_if_asked(const struct mr_sender *sender, unsigned stop_after_chunks)
{
    if (!stop_after_chunks || mr_sender_counts(sender)->datagrams < stop_after_chunks) {
        return;
    }
    fprintf(stderr, "millrace-edge: stopped after %u chunks, as asked (test hook)\n",
            stop_after_chunks);
    for (;;) {
        pause();
    }
}

static void send_due(const struct mr_device_env *env, void *udp, struct mr_sender *sender,
                     uint8_t *buffer, size_t stride, unsigned stop_after_chunks)
{
    struct mr_device_env_datagrams batch;
    do {
        batch.count = 0;
        while (batch.count < MR_WORLD_BATCH) {
            if (stop_after_chunks && mr_sender_counts(sender)->datagrams >= stop_after_chunks) {
                break;
            }
            uint8_t *out = buffer + batch.count * stride;
            size_t length = mr_sender_next(sender, env->now_us(env->context), out);
            if (!length) {
                break;
            }
            batch.bytes[batch.count] = out;
            batch.lengths[batch.count++] = length;
        }
        if (batch.count) {
            env->udp_send(env->context, udp, &batch);
        }
        halt_if_asked(sender, stop_after_chunks);
    } while (batch.count == MR_WORLD_BATCH);
}

static void hear(const struct mr_device_env *env, void *udp, struct mr_sender *sender)
{
    uint8_t bytes[RECEIVE_BYTES];
    uint64_t now = env->now_us(env->context);
    uint64_t wake = mr_sender_wake_us(sender, now);
    if (wake == UINT64_MAX) {
        return;
    }
    uint64_t wait = wake > now ? wake - now : 0;
    size_t length = env->udp_receive(env->context, udp, bytes, sizeof bytes, wait);
    for (unsigned i = 0; length && i < MR_WORLD_BATCH; i++) {
        mr_sender_receive(sender, env->now_us(env->context), bytes, length);
        length = env->udp_receive(env->context, udp, bytes, sizeof bytes, 0);
    }
    if (length) {
        mr_sender_receive(sender, env->now_us(env->context), bytes, length);
    }
}

/* What is lost here is asked for over the control connection. */
static void hear_end(const struct mr_device_env *env, void *udp, struct mr_sender *sender,
                     uint64_t listen_us)
{
    uint8_t bytes[RECEIVE_BYTES];
    const uint64_t until_us = env->now_us(env->context) + listen_us;
    for (;;) {
        const uint64_t now_us = env->now_us(env->context);
        if (mr_sender_phase(sender) != MR_SENDER_STAGED || now_us >= until_us ||
            mr_cancel_asked(env->cancel)) {
            return;
        }
        const size_t length =
            env->udp_receive(env->context, udp, bytes, sizeof bytes, until_us - now_us);
        if (length) {
            mr_sender_receive(sender, env->now_us(env->context), bytes, length);
        }
    }
}

int mr_drive(const struct mr_device_env *env, void *udp, struct mr_sender *sender,
             const struct mr_drive_plan *plan)
{
    const size_t stride = plan->datagram_bytes_max;
    uint8_t *buffer = malloc(MR_WORLD_BATCH * stride);
    if (!buffer) {
        return -1;
    }
    while (mr_sender_phase(sender) == MR_SENDER_SENDING &&
           env->now_us(env->context) < plan->until_us && !mr_cancel_asked(env->cancel)) {
        send_due(env, udp, sender, buffer, stride, plan->stop_after_chunks);
        if (mr_sender_phase(sender) == MR_SENDER_SENDING) {
            hear(env, udp, sender);
        }
        if (plan->moved) {
            plan->moved(plan->context, sender);
        }
    }
    free(buffer);
    hear_end(env, udp, sender, plan->listen_us);
    return 0;
}
