#include "appliance/privacy/audit_reading.h"

#include "base/bytes.h"

int mr_audit_cut_off(const struct audit_reading *reading)
{
    return WRONG(reading, "a record of kind %s has another length than it should",
                 mr_evidence_kind_name(reading->record->at.kind));
}

const uint8_t *mr_audit_take(struct audit_reading *reading, size_t bytes)
{
    const uint8_t *at = reading->at;
    if (reading->left < bytes) {
        return NULL;
    }
    reading->at += bytes;
    reading->left -= bytes;
    return at;
}

int mr_audit_position(const struct audit_reading *reading, uint16_t hub)
{
    const struct mr_announcement *announcement = mr_audit_terms(reading);
    for (unsigned i = 0; i < announcement->hub_count; i++) {
        if (announcement->hubs[i].index == hub) {
            return (int)i;
        }
    }
    return WRONG(reading, "hub %u is none of the round's", hub);
}

int mr_audit_signatures(struct audit_reading *reading, size_t more, audit_verify_fn verify,
                        unsigned *signed_by)
{
    const size_t each = 2 + more + MR_SIGNATURE_BYTES;
    const uint8_t *count = mr_audit_take(reading, 1);
    if (!count || reading->left != *count * each) {
        return mr_audit_cut_off(reading);
    }
    for (unsigned i = 0; i < *count; i++) {
        const uint8_t *entry = mr_audit_take(reading, each);
        const uint16_t hub = mr_be16_get(entry);
        const int position = mr_audit_position(reading, hub);
        if (position < 0) {
            return -1;
        }
        if (verify(reading, entry + 2, (unsigned)position) != 0) {
            return WRONG(reading, "a signature that hub %u has on record as hub %u's does not hold",
                         reading->chain->owner.hub, hub);
        }
        *signed_by |= 1u << position;
    }
    return 0;
}
