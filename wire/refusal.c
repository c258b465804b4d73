#include "wire/refusal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"

struct refusal {
    int status;
    const char *name;
};

static const struct refusal refusals[] = {
    [MR_REFUSAL_NONE] = {200, "ok"},
#define MR_REFUSAL(name, status, code, sentence) [MR_REFUSAL_##name] = {status, code},
#include "wire/refusals.def"
#undef MR_REFUSAL
};

enum { COUNT = sizeof refusals / sizeof refusals[0] };

void mr_plain_text(char *text)
{
    for (; *text; text++) {
        if (*text == '"') {
            *text = '\'';
        } else if (*text < 0x20 || *text > 0x7e) {
            *text = '?';
        }
    }
}

enum mr_refusal_code mr_refuse(struct mr_refusal *refusal, enum mr_refusal_code code,
                               const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(refusal->text, sizeof refusal->text, format, arguments);
    va_end(arguments);
    mr_plain_text(refusal->text);
    refusal->code = code;
    refusal->retry_after_ms = code == MR_REFUSAL_BUSY ? 500 : 0;
    snprintf(refusal->name, sizeof refusal->name, "%s", mr_refusal_name(code));
    return code;
}

int mr_refusal_status(enum mr_refusal_code code)
{
    MR_ASSERT((unsigned)code < COUNT);
    return refusals[code].status;
}

const char *mr_refusal_name(enum mr_refusal_code code)
{
    MR_ASSERT((unsigned)code < COUNT);
    return refusals[code].name;
}

enum mr_refusal_code mr_refusal_code_of(const char *name)
{
    for (unsigned i = MR_REFUSAL_NONE + 1; i < COUNT; i++) {
        if (strcmp(name, refusals[i].name) == 0) {
            return (enum mr_refusal_code)i;
        }
    }
    return MR_REFUSAL_UNKNOWN;
}
