#include "edge-client/session/next_keys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "edge-client/files/files.h"
#include "edge-client/session/outcome.h"

#define PATH_BYTES 4200

struct mr_key_set mr_next_keys_set(const struct mre_client *client,
                                   struct mr_announced_hub hubs[MR_HUBS_MAX])
{
    memcpy(hubs, client->pinned, client->hub_count * sizeof *hubs);
    return (struct mr_key_set){.task = client->task,
                               .hubs = hubs,
                               .hub_count = client->hub_count,
                               .threshold = client->release_threshold,
                               .number = client->key_statement};
}

static void take_set(struct mre_client *client, const struct mr_key_set *set)
{
    memcpy(client->pinned, set->hubs, client->hub_count * sizeof *set->hubs);
    client->key_statement = set->number;
}

/* --- the file --------------------------------------------------------------------------------- */

/* All of it, malloc'd; NULL with *length 0: there is none, or with an error. */
static char *read_file(const char *path, size_t *length, struct mr_error *error)
{
    *length = 0;
    error->text[0] = '\0';
    return access(path, F_OK) != 0 && errno == ENOENT
               ? NULL
               : mr_file_text(path, MR_KEY_CHAIN_BYTES_MAX, length, error);
}

enum mre_result mr_next_keys_open(struct mre_client *client, struct mre_outcome *outcome)
{
    char path[PATH_BYTES];
    size_t length, taken = 0;
    struct mr_error error;
    struct mr_announced_hub hubs[MR_HUBS_MAX];
    struct mr_key_set set = mr_next_keys_set(client, hubs);
    snprintf(path, sizeof path, "%s/keys", client->data_dir);
    char *text = read_file(path, &length, &error);
    const enum mr_key_fault fault =
        text ? mr_key_chain_follow(&set, (uint8_t *)text, length, &taken) : MR_KEY_TAKEN;
    free(text);
    if (error.text[0] != '\0') {
        return mr_outcome_set(outcome, MRE_BAD_CONFIG, "%s: %s", path, error.text);
    }
    if (fault != MR_KEY_TAKEN) {
        return mr_outcome_set(outcome, MRE_BAD_CONFIG,
                              "%s does not lead on from the keys in device.json: %s. Where these "
                              "are newer, say in key_statement of which statement they are, and "
                              "remove the file",
                              path, mr_key_fault_sentence(fault));
    }
    take_set(client, &set);
    return MRE_OK;
}

/* What was here and behind it the new ones: whole old or whole new. */
static int append(const struct mre_client *client, const uint8_t *bytes, size_t length)
{
    char path[PATH_BYTES];
    size_t before;
    struct mr_error error;
    snprintf(path, sizeof path, "%s/keys", client->data_dir);
    char *old = read_file(path, &before, &error);
    const struct iovec both[] = {{old, before}, {(void *)(uintptr_t)bytes, length}};
    const int bad = error.text[0] != '\0' || mr_file_renew(path, both, 2);
    free(old);
    return bad ? -1 : 0;
}

int mr_next_keys_keep(struct mre_client *client, const struct mr_key_set *set, const uint8_t *bytes,
                      size_t length)
{
    if (append(client, bytes, length) != 0) {
        return -1;
    }
    take_set(client, set);
    return 0;
}
