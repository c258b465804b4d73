#include "appliance/control/revocation.h"

#include <stdlib.h>

void mr_admitted_init(struct mr_admitted *admitted, uint64_t salt)
{
    *admitted = (struct mr_admitted){0};
    mr_idmap_init(&admitted->map, salt);
}

void mr_admitted_fini(struct mr_admitted *admitted)
{
    mr_idmap_fini(&admitted->map);
    free(admitted->serials);
    admitted->serials = NULL;
}

static int grow(struct mr_admitted *admitted)
{
    const uint32_t capacity = admitted->capacity ? 2 * admitted->capacity : 256;
    struct mr_serial *serials = realloc(admitted->serials, capacity * sizeof *serials);
    if (!serials) {
        return -1;
    }
    admitted->serials = serials;
    admitted->capacity = capacity;
    return 0;
}

int mr_admitted_note(struct mr_admitted *admitted, uint64_t round,
                     const uint8_t client_id[MR_IDMAP_KEY_BYTES], const struct mr_serial *serial)
{
    if (round != admitted->round) {
        mr_idmap_clear(&admitted->map);
        admitted->count = 0;
        admitted->round = round;
    }
    uint32_t at = mr_idmap_find(&admitted->map, client_id);
    if (at == MR_IDMAP_NONE) {
        at = admitted->count;
        if ((at == admitted->capacity && grow(admitted) != 0) ||
            mr_idmap_add(&admitted->map, client_id, at) != 0) {
            return -1;
        }
        admitted->count++;
    }
    admitted->serials[at] = *serial;
    return 0;
}

const struct mr_serial *mr_admitted_find(const struct mr_admitted *admitted,
                                         const uint8_t client_id[MR_IDMAP_KEY_BYTES])
{
    const uint32_t at = mr_idmap_find(&admitted->map, client_id);
    return at == MR_IDMAP_NONE ? NULL : &admitted->serials[at];
}
