#include "appliance/http/query.h"

#include <stdbool.h>
#include <string.h>

/* Shown of a peer's words in an error. */
#define SHOWN_MAX 40

struct member {
    const char *name, *value;
    size_t name_length, value_length;
};

/* The member at `at`, and where the next one begins; NULL: it was the last. */
static const char *next_member(struct member *member, const char *at)
{
    const size_t length = strcspn(at, "&"), name_length = strcspn(at, "=&");
    *member = (struct member){.name = at, .name_length = name_length};
    if (name_length < length) {
        member->value = at + name_length + 1;
        member->value_length = length - name_length - 1;
    }
    return at[length] == '&' ? at + length + 1 : NULL;
}

static int decimal(const struct member *member, uint64_t *value)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < member->value_length; i++) {
        const unsigned digit = (unsigned)(member->value[i] - '0');
        if (digit > 9 || sum > (UINT64_MAX - digit) / 10) {
            return -1;
        }
        sum = sum * 10 + digit;
    }
    *value = sum;
    return member->value_length > 0 ? 0 : -1;
}

/* Whether one of the words of `names` is the member's name. */
static bool is_known(const struct member *member, const char *names)
{
    for (const char *word = names; word && *word != '\0';) {
        const size_t length = strcspn(word, " ");
        if (length == member->name_length && memcmp(word, member->name, length) == 0) {
            return true;
        }
        word += length + (word[length] == ' ');
    }
    return false;
}

/* Whether the query has the name already before this member. */
static bool is_doubled(const char *query, const struct member *member)
{
    struct member before;
    for (const char *at = query; at && at < member->name;) {
        at = next_member(&before, at);
        if (before.name < member->name && before.name_length == member->name_length &&
            memcmp(before.name, member->name, member->name_length) == 0) {
            return true;
        }
    }
    return false;
}

static int shown(size_t length)
{
    return length < SHOWN_MAX ? (int)length : SHOWN_MAX;
}

int mr_query_check(const char *query, const char *names, struct mr_error *error)
{
    struct member member;
    uint64_t value;
    for (const char *at = *query != '\0' ? query : NULL; at;) {
        at = next_member(&member, at);
        const int length = shown(member.name_length);
        if (!is_known(&member, names)) {
            return mr_error_set(error, "the query's member '%.*s' is unknown here: %s%s", length,
                                member.name, names ? "known are " : "this path takes no query",
                                names ? names : "");
        }
        if (is_doubled(query, &member)) {
            return mr_error_set(error, "the query's member '%.*s' stands twice", length,
                                member.name);
        }
        if (decimal(&member, &value) != 0) {
            return mr_error_set(
                error, "the query's %.*s must be a decimal number below 2^64, not '%.*s'", length,
                member.name, shown(member.value_length), member.value ? member.value : "");
        }
    }
    return 0;
}

uint64_t mr_query_number(const char *query, const char *name, uint64_t otherwise)
{
    struct member member;
    uint64_t value = otherwise;
    for (const char *at = *query != '\0' ? query : NULL; at;) {
        at = next_member(&member, at);
        if (is_known(&member, name)) {
            return decimal(&member, &value) == 0 ? value : otherwise;
        }
    }
    return otherwise;
}
