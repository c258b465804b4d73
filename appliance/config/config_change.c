#include "appliance/config/config_change.h"

#include <stdio.h>
#include <string.h>

#include "appliance/config/fill.h"
#include "appliance/config/option_value.h"

struct comparison {
    const struct mr_hub_config *before, *after;
    mr_config_change_fn tell;
    void *context;
};

/* "tasks.NAME" or "hubs.INDEX" of an entry; the section's own name where it is in no list. */
static void name_entry(char name[64], const struct mr_hub_config *config, const char *section,
                       unsigned entry)
{
    if (strcmp(section, "hubs") == 0) {
        snprintf(name, 64, "hubs.%u", config->hubs[entry].index);
    } else if (mr_option_in_list(section)) {
        snprintf(name, 64, "tasks.%.32s%s", config->tasks[entry].name, section + strlen("tasks"));
    } else {
        snprintf(name, 64, "%s", section);
    }
}

/* The same entry's place in the other configuration, or -1. */
static int place_of(const struct mr_hub_config *config, const char *name, const char *section)
{
    const unsigned entries = mr_config_entries(config, section);
    for (unsigned i = 0; i < entries; i++) {
        char other[64];
        name_entry(other, config, section, i);
        if (strcmp(other, name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

static void compare_option(const struct comparison *all, const struct mr_option *option,
                           unsigned entry)
{
    char before[MR_OPTION_VALUE_MAX], after[MR_OPTION_VALUE_MAX], name[64], key[160];
    name_entry(name, all->before, option->section, entry);
    const int other = place_of(all->after, name, option->section);
    if (other < 0) {
        return; /* the entry is gone, and told as such */
    }
    mr_option_value_text(before, option, mr_config_option_at(all->before, option, entry));
    mr_option_value_text(after, option, mr_config_option_at(all->after, option, (unsigned)other));
    if (strcmp(before, after) != 0) {
        snprintf(key, sizeof key, "%s%s%s", name, *name != '\0' ? "." : "", option->name);
        const struct mr_config_change change = {key, before, after, option->change};
        all->tell(all->context, &change);
    }
}

/* Entries that only one of the two has. */
static void compare_entries(const struct comparison *all, const char *section)
{
    for (int gone = 0; gone < 2; gone++) {
        const struct mr_hub_config *one = gone ? all->before : all->after;
        const struct mr_hub_config *other = gone ? all->after : all->before;
        const unsigned entries = mr_config_entries(one, section);
        for (unsigned i = 0; i < entries; i++) {
            char name[64];
            name_entry(name, one, section, i);
            if (place_of(other, name, section) < 0) {
                const struct mr_config_change change = {name, gone ? "there" : "",
                                                        gone ? "" : "there", MR_OPTION_LIVE};
                all->tell(all->context, &change);
            }
        }
    }
}

void mr_config_compare(const struct mr_hub_config *before, const struct mr_hub_config *after,
                       mr_config_change_fn tell, void *context)
{
    const struct comparison all = {before, after, tell, context};
    size_t count;
    const struct mr_option *rows = mr_options(&count);
    compare_entries(&all, "tasks");
    compare_entries(&all, "hubs");
    for (size_t i = 0; i < count; i++) {
        const unsigned entries = mr_config_entries(before, rows[i].section);
        for (unsigned entry = 0; entry < entries; entry++) {
            compare_option(&all, &rows[i], entry);
        }
    }
}
