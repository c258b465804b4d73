/* check_watermark.c - the rules of tasks.watermark. */
#include <openssl/crypto.h>
#include <string.h>

#include "appliance/config/hub_check_internal.h"
#include "appliance/config/signing_key.h"
#include "appliance/config/watermark_parts.h"

static int at(const struct mr_place *place, unsigned entry, const char *name)
{
    return mr_document_blame(place->document, "tasks.watermark", entry, name, place->error);
}

int mr_config_check_watermark(const struct mr_hub_config *config, unsigned entry,
                              const struct mr_place *place)
{
    const struct mr_config_task *task = &config->tasks[entry];
    struct mr_watermark_terms terms;
    if (*task->watermark.key_file == '\0' && *task->watermark.part_hashes != '\0') {
        mr_error_set(place->error, "is for marked models: give this hub's part in key_file");
        return at(place, entry, "part_hashes");
    }
    return mr_config_watermark(&terms, &task->watermark, task->hubs_count, place->error) == 0
               ? 0
               : at(place, entry, "part_hashes");
}

/* The file holds the part whose hash the list has for this hub. */
int mr_config_check_mark_part(const struct mr_hub_config *config, unsigned entry,
                              const struct mr_place *place)
{
    const struct mr_config_task *task = &config->tasks[entry];
    struct mr_watermark_terms terms;
    uint8_t part[MR_WATERMARK_KEY_BYTES];
    unsigned position = 0;
    if (*task->watermark.key_file == '\0') {
        return 0;
    }
    while (task->hubs[position] != config->identity.index) { /* it is among them, by the rules */
        position++;
    }
    if (mr_config_watermark(&terms, &task->watermark, task->hubs_count, place->error) != 0 ||
        mr_signing_key_read(part, task->watermark.key_file, place->error) != 0) {
        return at(place, entry, "key_file");
    }
    const bool fits = mr_watermark_part_fits(&terms, position, part);
    OPENSSL_cleanse(part, sizeof part);
    if (!fits) {
        mr_error_set(place->error,
                     "is not the part whose hash part_hashes has for this hub, in place %u",
                     position + 1);
        return at(place, entry, "key_file");
    }
    return 0;
}
