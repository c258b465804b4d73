#include "appliance/ingest/uring_restrict.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/assert.h"

#define OPCODES_MAX 16

int mr_uring_restrict(struct io_uring *ring, const uint8_t *opcodes, unsigned count,
                      uint8_t sqe_flags, struct mr_error *error)
{
    struct io_uring_restriction rules[OPCODES_MAX + 2];
    unsigned n = 0;

    MR_ASSERT(count <= OPCODES_MAX);
    memset(rules, 0, sizeof rules); /* the reserved fields too */
    for (unsigned i = 0; i < count; i++) {
        rules[n].opcode = IORING_RESTRICTION_SQE_OP;
        rules[n++].sqe_op = opcodes[i];
    }
    rules[n].opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
    rules[n++].sqe_flags = sqe_flags;
    rules[n].opcode = IORING_RESTRICTION_REGISTER_OP;
    rules[n++].register_op = IORING_UNREGISTER_PBUF_RING;
    /* liburing 2.3 declares calls for both and exports neither. */
    if (syscall(SYS_io_uring_register, ring->ring_fd, IORING_REGISTER_RESTRICTIONS, rules, n) !=
            0 ||
        syscall(SYS_io_uring_register, ring->ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0) != 0) {
        return mr_error_set(error, "io_uring refused its restrictions: %s", strerror(errno));
    }
    return 0;
}
