#include "appliance/config/fill.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/config/schema_internal.h"
#include "base/assert.h"

static void set_uint(void *at, size_t bytes, uint64_t value)
{
    switch (bytes) {
    case 1:
        *(uint8_t *)at = (uint8_t)value;
        break;
    case 2:
        *(uint16_t *)at = (uint16_t)value;
        break;
    case 4:
        *(uint32_t *)at = (uint32_t)value;
        break;
    default:
        MR_ASSERT(bytes == 8);
        *(uint64_t *)at = value;
    }
}

static void set_float(void *at, size_t bytes, const char *text)
{
    if (bytes == sizeof(double)) {
        *(double *)at = strtod(text, NULL);
    } else {
        *(float *)at = strtof(text, NULL);
    }
}

/* What stands for "auto" in the struct. */
static void set_auto(void *at, const struct mr_option *option)
{
    if (option->kind == MR_OPTION_FLOAT) {
        set_float(at, option->bytes, "0");
    } else {
        set_uint(at, option->bytes, UINT64_MAX);
    }
}

/* A value as text, checked before. 0, or -1 when out of memory. */
static int set_text(void *at, const struct mr_option *option, const char *text)
{
    if (mr_option_is_auto(option, text)) {
        set_auto(at, option);
        return 0;
    }
    switch (option->kind) {
    case MR_OPTION_UINT:
        set_uint(at, option->bytes, strtoull(text, NULL, 10));
        return 0;
    case MR_OPTION_FLOAT:
        set_float(at, option->bytes, text);
        return 0;
    case MR_OPTION_BOOL:
        *(bool *)at = strcmp(text, "true") == 0;
        return 0;
    default:
        *(char **)at = strdup(text);
        return *(char **)at ? 0 : -1;
    }
}

static int make_absolute(char **path, const char *folder)
{
    if (**path == '\0' || **path == '/') {
        return 0;
    }
    char *whole;
    if (asprintf(&whole, "%s/%s", folder, *path) < 0) {
        return -1;
    }
    free(*path); /* NOLINT(clang-analyzer-unix.Malloc): always from strdup, above */
    *path = whole;
    return 0;
}

void *mr_config_option_at(const struct mr_hub_config *config, const struct mr_option *option,
                          unsigned entry)
{
    const struct {
        const char *section;
        const void *at;
    } sections[] = {
        {"", config},
        {"identity", &config->identity},
        {"sandbox", &config->sandbox},
        {"control", &config->control},
        {"upload", &config->upload},
        {"tasks", config->tasks + entry},
        {"tasks.round", &config->tasks[entry].round},
        {"tasks.accept", &config->tasks[entry].accept},
        {"tasks.privacy", &config->tasks[entry].privacy},
        {"tasks.keep", &config->tasks[entry].keep},
        {"tasks.releases", &config->tasks[entry].releases},
        {"tasks.watermark", &config->tasks[entry].watermark},
        {"hubs", config->hubs + entry},
    };
    size_t i = 0;
    while (strcmp(sections[i].section, option->section) != 0) {
        i++;
        MR_ASSERT(i < sizeof sections / sizeof *sections);
    }
    return (uint8_t *)sections[i].at + option->offset;
}

unsigned mr_config_entries(const struct mr_hub_config *config, const char *section)
{
    return !mr_option_in_list(section)    ? 1
           : strcmp(section, "hubs") == 0 ? config->hubs_count
                                          : config->tasks_count;
}

/* What the struct has not got from libcyaml: the default of a key that is absent, and a number that
 * may be "auto". NULL: it has it. */
static const char *text_of(struct mr_document *document, const struct mr_option *option,
                           unsigned entry)
{
    if (!mr_document_has(document, option->section, entry, option->name)) {
        return option->otherwise;
    }
    return mr_option_takes_auto(option)
               ? mr_document_text(document, option->section, entry, option->name)
               : NULL;
}

/* Defaults and paths of every option; 0, or -1 when out of memory. */
static int complete(struct mr_hub_config *config, struct mr_document *document, const char *folder)
{
    size_t count;
    const struct mr_option *rows = mr_options(&count);
    for (size_t i = 0; i < count; i++) {
        const unsigned entries = mr_config_entries(config, rows[i].section);
        for (unsigned entry = 0; entry < entries; entry++) {
            void *at = mr_config_option_at(config, &rows[i], entry);
            const char *text = text_of(document, &rows[i], entry);
            if (text && set_text(at, &rows[i], text) != 0) {
                return -1;
            }
            if (mr_option_is_path(&rows[i]) && make_absolute(at, folder) != 0) {
                return -1;
            }
        }
    }
    if (*config->upload.advertise_host == '\0') {
        free(config->upload.advertise_host);
        config->upload.advertise_host = strdup(config->upload.listen_host);
    }
    return config->upload.advertise_host ? 0 : -1;
}

/* The absolute folder of the file, malloc'd, or NULL. */
static char *folder_of(const char *path)
{
    char *absolute = realpath(path, NULL);
    if (absolute) {
        char *slash = strrchr(absolute, '/');
        slash[slash == absolute ? 1 : 0] = '\0';
    }
    return absolute;
}

int mr_config_fill(struct mr_hub_config **config, struct mr_document *document,
                   struct mr_error *error)
{
    *config = NULL;
    if (mr_config_parse(config, document, error) != 0) {
        return -1;
    }
    char *folder = folder_of(document->path);
    const int bad = !folder ? -1 : complete(*config, document, folder);
    free(folder);
    if (bad != 0) {
        mr_config_release(*config);
        *config = NULL;
        return mr_error_set(error, "cannot read %s: out of memory, or its folder went away",
                            document->path);
    }
    return 0;
}
