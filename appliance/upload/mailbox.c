#include "appliance/upload/mailbox.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

int mr_mailbox_open(struct mr_mailbox *mailbox, uint32_t cells, size_t cell_bytes)
{
    uint32_t size = 2;

    MR_ASSERT(cells <= 1u << 30 && cell_bytes % 8 == 0);
    while (size < cells) {
        size *= 2;
    }
    memset(mailbox, 0, sizeof *mailbox);
    mailbox->cells = calloc(size, cell_bytes);
    mailbox->cell_bytes = cell_bytes;
    mailbox->mask = size - 1;
    atomic_init(&mailbox->tail, 0);
    atomic_init(&mailbox->head, 0);
    return mailbox->cells ? 0 : -1;
}

void mr_mailbox_close(struct mr_mailbox *mailbox)
{
    if (mailbox->cells) {
        OPENSSL_cleanse(mailbox->cells, ((size_t)mailbox->mask + 1) * mailbox->cell_bytes);
    }
    free(mailbox->cells);
    mailbox->cells = NULL;
}

static void *cell(const struct mr_mailbox *mailbox, uint32_t at)
{
    return mailbox->cells + (size_t)(at & mailbox->mask) * mailbox->cell_bytes;
}

void *mr_mailbox_reserve(struct mr_mailbox *mailbox)
{
    const uint32_t tail = atomic_load_explicit(&mailbox->tail, memory_order_relaxed);
    const uint32_t head = atomic_load_explicit(&mailbox->head, memory_order_acquire);

    return tail - head > mailbox->mask ? NULL : cell(mailbox, tail);
}

void mr_mailbox_send(struct mr_mailbox *mailbox)
{
    const uint32_t tail = atomic_load_explicit(&mailbox->tail, memory_order_relaxed);

    atomic_store_explicit(&mailbox->tail, tail + 1, memory_order_release);
}

void *mr_mailbox_peek(struct mr_mailbox *mailbox)
{
    const uint32_t head = atomic_load_explicit(&mailbox->head, memory_order_relaxed);
    const uint32_t tail = atomic_load_explicit(&mailbox->tail, memory_order_acquire);

    return head == tail ? NULL : cell(mailbox, head);
}

void mr_mailbox_consume(struct mr_mailbox *mailbox)
{
    const uint32_t head = atomic_load_explicit(&mailbox->head, memory_order_relaxed);

    atomic_store_explicit(&mailbox->head, head + 1, memory_order_release);
}
