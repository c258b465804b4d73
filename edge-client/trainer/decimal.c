#include "edge-client/trainer/decimal.h"

#include <locale.h>
#include <stdbool.h>
#include <stdlib.h>

struct span {
    const char *at, *end;
};

static struct span trimmed(const char *text, size_t length)
{
    struct span s = {text, text + length};
    while (s.at < s.end && (*s.at == ' ' || *s.at == '\t')) {
        s.at++;
    }
    while (s.at < s.end && (s.end[-1] == ' ' || s.end[-1] == '\t')) {
        s.end--;
    }
    return s;
}

static bool skip_sign(struct span *s)
{
    const bool sign = s->at < s->end && (*s->at == '+' || *s->at == '-');
    s->at += sign;
    return sign;
}

static size_t skip_digits(struct span *s)
{
    const char *from = s->at;
    while (s->at < s->end && *s->at >= '0' && *s->at <= '9') {
        s->at++;
    }
    return (size_t)(s->at - from);
}

static bool is_real(struct span s)
{
    skip_sign(&s);
    size_t digits = skip_digits(&s);
    if (s.at < s.end && *s.at == '.') {
        s.at++;
        digits += skip_digits(&s);
    }
    if (digits && s.at < s.end && (*s.at == 'e' || *s.at == 'E')) {
        s.at++;
        skip_sign(&s);
        digits = skip_digits(&s);
    }
    return digits && s.at == s.end;
}

int mr_decimal_real(double *value, const char *text, size_t length)
{
    const struct span s = trimmed(text, length);
    /* The process's own locale may have a decimal comma. The C library has this one built in: it
     * costs nothing to ask for. */
    locale_t c_locale = is_real(s) ? newlocale(LC_ALL_MASK, "C", (locale_t)0) : (locale_t)0;
    if (!c_locale) {
        return -1;
    }
    *value = strtod_l(s.at, NULL, c_locale); /* ends where the number does: at a blank or NUL */
    freelocale(c_locale);
    return 0;
}

int mr_decimal_whole(uint32_t *value, uint32_t most, const char *text, size_t length)
{
    struct span s = trimmed(text, length);
    uint64_t number = 0;
    s.at += s.at < s.end && *s.at == '+';
    if (s.at == s.end) {
        return -1;
    }
    for (; s.at < s.end; s.at++) {
        if (*s.at < '0' || *s.at > '9') {
            return -1;
        }
        number = 10 * number + (uint64_t)(*s.at - '0');
        if (number > most) {
            return -1;
        }
    }
    *value = (uint32_t)number;
    return 0;
}
