/* rollout.c - the steps of a roll-out as the configuration writes them. */
#include <stdlib.h>
#include <string.h>

#include "appliance/config/hub_config.h"

bool mr_config_tag_valid(const char *tag)
{
    const size_t length = strspn(tag, "abcdefghijklmnopqrstuvwxyz0123456789-");
    return length > 0 && length <= MR_CONFIG_TAG_MAX && tag[length] == '\0' && *tag >= 'a' &&
           *tag <= 'z';
}

static bool take_percent(struct mr_config_rollout *rollout, const char *word)
{
    const size_t digits = strspn(word, "0123456789");
    const unsigned long step =
        digits >= 1 && digits <= 3 && word[digits] == '\0' ? strtoul(word, NULL, 10) : 0;
    const unsigned last = rollout->steps > 0 ? rollout->percent[rollout->steps - 1] : 0;
    if (step <= last || step > 100) {
        return false;
    }
    rollout->percent[rollout->steps++] = (uint8_t)step;
    return true;
}

/* Tags stand before any per cent, each once. */
static bool take_tag(struct mr_config_rollout *rollout, const char *word)
{
    if (!mr_config_tag_valid(word) || rollout->steps > rollout->tags ||
        rollout->tags == MR_CONFIG_ROLLOUT_TAGS_MAX) {
        return false;
    }
    for (unsigned i = 0; i < rollout->tags; i++) {
        if (strcmp(rollout->tag[i], word) == 0) {
            return false;
        }
    }
    memcpy(rollout->tag[rollout->tags++], word, strlen(word) + 1);
    rollout->percent[rollout->steps++] = 0;
    return true;
}

/* The word that begins there; *at is behind it. False: it is too long. */
static bool cut_word(char word[MR_CONFIG_TAG_MAX + 1], const char **at)
{
    const size_t length = strcspn(*at, ",");
    if (length > MR_CONFIG_TAG_MAX) {
        return false;
    }
    memcpy(word, *at, length);
    word[length] = '\0';
    *at += length;
    return true;
}

int mr_config_rollout(struct mr_config_rollout *rollout, const char *text, struct mr_error *error)
{
    const char *at = text && *text ? text : "100";
    char word[MR_CONFIG_TAG_MAX + 1];
    *rollout = (struct mr_config_rollout){.steps = 0};
    while (rollout->steps < MR_CONFIG_ROLLOUT_MAX && cut_word(word, &at) &&
           (take_percent(rollout, word) || take_tag(rollout, word))) {
        if (*at == '\0' && rollout->percent[rollout->steps - 1] == 100) {
            return 0;
        }
        if (*at++ != ',') {
            break;
        }
        at += strspn(at, " ");
    }
    return mr_error_set(error,
                        "must be rising per cents with commas between, the last of them 100, such "
                        "as \"1,10,100\", at most %d steps; the first %d may be tags of devices: "
                        "\"lab,10,100\"; not '%s'",
                        MR_CONFIG_ROLLOUT_MAX, MR_CONFIG_ROLLOUT_TAGS_MAX, text ? text : "");
}
