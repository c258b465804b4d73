/* options.c - the table of configuration keys, and what a value of each may look like. */
#include "appliance/config/options.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/config/hub_config.h"
#include "wire/acceptance.h"

#define MR_SECTION(name_, text_)
#define MR_OPTION(tag, section_, name_, kind_, change_, default_, min_, max_, choices_, sample_,   \
                  text_)                                                                           \
    {                                                                                              \
        .section = section_,                                                                       \
        .name = #name_,                                                                            \
        .kind = MR_OPTION_##kind_,                                                                 \
        .change = MR_OPTION_##change_,                                                             \
        .otherwise = default_,                                                                     \
        .min = min_,                                                                               \
        .max = max_,                                                                               \
        .choices = choices_,                                                                       \
        .sample = sample_,                                                                         \
        .text = text_,                                                                             \
        .offset = offsetof(struct tag, name_),                                                     \
        .bytes = sizeof((struct tag *)0)->name_,                                                   \
    },
static const struct mr_option options[] = {
#include "appliance/config/hub_options.def"
};

#define MR_SECTION(name_, text_) {name_, text_},
#define MR_OPTION(...)
static const struct mr_option_section sections[] = {
#include "appliance/config/hub_options.def"
};

const struct mr_option_section *mr_option_sections(size_t *count)
{
    *count = sizeof sections / sizeof *sections;
    return sections;
}

bool mr_option_in_list(const char *section)
{
    return strcmp(section, "hubs") == 0 || strncmp(section, "tasks", 5) == 0;
}

bool mr_option_is_path(const struct mr_option *option)
{
    return option->kind == MR_OPTION_FILE || option->kind == MR_OPTION_SECRET ||
           option->kind == MR_OPTION_FOLDER;
}

const struct mr_option *mr_options(size_t *count)
{
    *count = sizeof options / sizeof *options;
    return options;
}

const struct mr_option *mr_option_find(const char *section, const char *name)
{
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        if (strcmp(options[i].section, section) == 0 && strcmp(options[i].name, name) == 0) {
            return &options[i];
        }
    }
    return NULL;
}

/* Decimal digits without leading zeros, within the range. Signs, 0x, 010 and 1e3 are no numbers
 * here: YAML readers disagree on them. */
static bool is_uint(const char *text, uint64_t min, uint64_t max)
{
    const size_t length = strlen(text);
    if (length == 0 || length > 19 || strspn(text, "0123456789") != length ||
        (length > 1 && text[0] == '0')) {
        return false;
    }
    const uint64_t value = strtoull(text, NULL, 10);
    return value >= min && value <= max;
}

static bool is_positive_float(const char *text)
{
    char *end;
    const size_t length = strlen(text);
    if (length == 0 || length > 63 || strspn(text, "0123456789.eE+-") != length) {
        return false;
    }
    const float value = strtof(text, &end);
    return *end == '\0' && isnormal(value) && value > 0;
}

static bool is_choice(const char *text, const char *choices)
{
    const size_t length = strlen(text);
    for (const char *at = choices; length > 0 && at;) {
        const char *bar = strchr(at, '|');
        const size_t word = bar ? (size_t)(bar - at) : strlen(at);
        if (word == length && memcmp(at, text, length) == 0) {
            return true;
        }
        at = bar ? bar + 1 : NULL;
    }
    return false;
}

static bool is_address(const char *text)
{
    unsigned char bytes[16];
    return inet_pton(AF_INET, text, bytes) == 1 || inet_pton(AF_INET6, text, bytes) == 1;
}

static bool is_text(const char *text, uint64_t min, uint64_t max)
{
    const size_t length = strlen(text);
    for (size_t i = 0; i < length; i++) {
        if (iscntrl((unsigned char)text[i])) {
            return false;
        }
    }
    return length >= min && length <= max;
}

bool mr_option_takes_auto(const struct mr_option *option)
{
    return option->choices && option->kind != MR_OPTION_CHOICE && option->kind != MR_OPTION_RANGE;
}

static int check_range(const struct mr_option *option, const char *text, struct mr_error *error)
{
    struct mr_range range;
    if ((option->choices && strcmp(text, option->choices) == 0) ||
        mr_range_parse(&range, text) == 0) {
        return 0;
    }
    return mr_error_set(error,
                        "must be any, %s%sa number, or a range such as 2..10, 2.. or ..10, not "
                        "'%s'",
                        option->choices ? option->choices : "", option->choices ? ", " : "", text);
}

bool mr_option_is_auto(const struct mr_option *option, const char *text)
{
    return mr_option_takes_auto(option) && strcmp(text, option->choices) == 0;
}

int mr_option_check(const struct mr_option *option, const char *text, struct mr_error *error)
{
    const unsigned long long min = option->min, max = option->max;
    if (*text == '\0' && option->otherwise && *option->otherwise == '\0') {
        return 0;
    }
    if (mr_option_is_auto(option, text)) {
        return 0;
    }
    const char *or_auto = mr_option_takes_auto(option) ? "auto or " : "";
    switch (option->kind) {
    case MR_OPTION_UINT:
    case MR_OPTION_LIST:
        return is_uint(text, min, max)
                   ? 0
                   : mr_error_set(error, "must be %sa whole number from %llu to %llu, not '%s'",
                                  or_auto, min, max, text);
    case MR_OPTION_FLOAT:
        return is_positive_float(text)
                   ? 0
                   : mr_error_set(error,
                                  "must be %sa finite number above 0 (1.2e-38 to 3.4e38), not '%s'",
                                  or_auto, text);
    case MR_OPTION_BOOL:
        return is_choice(text, "true|false")
                   ? 0
                   : mr_error_set(error, "must be true or false, not '%s'", text);
    case MR_OPTION_CHOICE:
        return is_choice(text, option->choices)
                   ? 0
                   : mr_error_set(error, "must be one of %s, not '%s'", option->choices, text);
    case MR_OPTION_ADDRESS:
        return is_address(text)
                   ? 0
                   : mr_error_set(
                         error, "must be a numeric address such as 0.0.0.0 or ::, not '%s'", text);
    case MR_OPTION_RANGE:
        return check_range(option, text, error);
    case MR_OPTION_TEXT:
    case MR_OPTION_FILE:
    case MR_OPTION_SECRET:
    case MR_OPTION_FOLDER:
        break;
    }
    return is_text(text, min, max)
               ? 0
               : mr_error_set(error, "must be text of %llu to %llu bytes on one line", min, max);
}
