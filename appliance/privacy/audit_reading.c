#include "appliance/privacy/audit_reading.h"

int mr_audit_cut_off(const struct audit_reading *reading)
{
    return WRONG(reading, "a record of kind %s has another length than it should",
                 mr_evidence_kind_name(reading->record->at.kind));
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
    const uint8_t *count = mr_rest_take(&reading->rest, 1);
    if (!count || reading->rest.left != *count * each) {
        return mr_audit_cut_off(reading);
    }
    for (unsigned i = 0; i < *count; i++) {
        const uint8_t *entry = mr_rest_take(&reading->rest, each);
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
