#include "appliance/config/option_value.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"

static uint64_t uint_at(const void *at, size_t bytes)
{
    switch (bytes) {
    case 1:
        return *(const uint8_t *)at;
    case 2:
        return *(const uint16_t *)at;
    case 4:
        return *(const uint32_t *)at;
    default:
        MR_ASSERT(bytes == 8);
        return *(const uint64_t *)at;
    }
}

static double float_at(const void *at, size_t bytes)
{
    return bytes == sizeof(double) ? *(const double *)at : (double)*(const float *)at;
}

/* A LIST: the numbers, and how many there are right behind the pointer. */
static void list_text(char text[MR_OPTION_VALUE_MAX], const void *at)
{
    const uint16_t *const *numbers = at;
    const unsigned count = *(const unsigned *)(numbers + 1);
    size_t used = (size_t)snprintf(text, MR_OPTION_VALUE_MAX, "[");
    for (unsigned i = 0; i < count; i++) {
        used += (size_t)snprintf(text + used, MR_OPTION_VALUE_MAX - used, "%s%u",
                                 i == 0 ? "" : ", ", (*numbers)[i]);
    }
    snprintf(text + used, MR_OPTION_VALUE_MAX - used, "]");
}

/* As fill.c sets it. */
static bool is_auto(const struct mr_option *option, const void *at)
{
    if (!mr_option_takes_auto(option)) {
        return false;
    }
    return option->kind == MR_OPTION_FLOAT
               ? float_at(at, option->bytes) == 0
               : uint_at(at, option->bytes) == UINT64_MAX >> (64 - 8 * option->bytes);
}

void mr_option_value_text(char text[MR_OPTION_VALUE_MAX], const struct mr_option *option,
                          const void *at)
{
    if (is_auto(option, at)) {
        snprintf(text, MR_OPTION_VALUE_MAX, "auto");
        return;
    }
    switch (option->kind) {
    case MR_OPTION_UINT:
        snprintf(text, MR_OPTION_VALUE_MAX, "%" PRIu64, uint_at(at, option->bytes));
        break;
    case MR_OPTION_FLOAT:
        snprintf(text, MR_OPTION_VALUE_MAX, option->bytes == sizeof(double) ? "%.15g" : "%.9g",
                 float_at(at, option->bytes));
        break;
    case MR_OPTION_BOOL:
        snprintf(text, MR_OPTION_VALUE_MAX, "%s", *(const bool *)at ? "true" : "false");
        break;
    case MR_OPTION_LIST:
        list_text(text, at);
        break;
    default:
        snprintf(text, MR_OPTION_VALUE_MAX, "%s", *(char *const *)at);
    }
}

bool mr_option_value_equal(const struct mr_option *option, const void *a, const void *b)
{
    char one[MR_OPTION_VALUE_MAX], other[MR_OPTION_VALUE_MAX];
    mr_option_value_text(one, option, a);
    mr_option_value_text(other, option, b);
    return strcmp(one, other) == 0;
}

/* Whether any YAML reader takes it for this text without quotes. */
static bool is_plain(const char *text)
{
    static const char *const words[] = {"true", "false", "yes", "no", "on", "off", "null"};
    if (!isalpha((unsigned char)*text) && *text != '/') {
        return false;
    }
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcasecmp(text, words[i]) == 0) {
            return false;
        }
    }
    for (; *text != '\0'; text++) {
        if (!isalnum((unsigned char)*text) && !strchr("/._-", *text)) {
            return false;
        }
    }
    return true;
}

/* An IPv4 address: more dots than a number has. */
static bool is_dotted(const char *text)
{
    const char *dot = strchr(text, '.');
    return dot && strchr(dot + 1, '.') && text[strspn(text, "0123456789.")] == '\0';
}

static bool is_number(enum mr_option_kind kind)
{
    return kind == MR_OPTION_UINT || kind == MR_OPTION_FLOAT || kind == MR_OPTION_BOOL ||
           kind == MR_OPTION_LIST;
}

void mr_option_value_yaml(char yaml[2 * MR_OPTION_VALUE_MAX], const struct mr_option *option,
                          const char *text)
{
    if (is_number(option->kind) || is_plain(text) || is_dotted(text)) {
        snprintf(yaml, 2 * MR_OPTION_VALUE_MAX, "%s", text);
        return;
    }
    if (*text == '\0') {
        snprintf(yaml, 2 * MR_OPTION_VALUE_MAX, "\"\"");
        return;
    }
    size_t used = 0;
    yaml[used++] = '\'';
    for (; *text != '\0'; text++) {
        if (*text == '\'') {
            yaml[used++] = '\'';
        }
        yaml[used++] = *text;
    }
    yaml[used++] = '\'';
    yaml[used] = '\0';
}
