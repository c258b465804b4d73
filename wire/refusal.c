#include "wire/refusal.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/assert.h"

struct refusal {
    int status;
    const char *name;
};

static const struct refusal refusals[] = {
    [MR_VERDICT_OK] = {200, "ok"},
#define MR_REFUSAL(name, status, code, sentence) [MR_VERDICT_##name] = {status, code},
#include "wire/refusals.def"
#undef MR_REFUSAL
};

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

enum mr_verdict_code mr_verdict_set(struct mr_verdict *verdict, enum mr_verdict_code code,
                                    const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(verdict->text, sizeof verdict->text, format, arguments);
    va_end(arguments);
    mr_plain_text(verdict->text);
    verdict->code = code;
    verdict->retry_after_ms = code == MR_VERDICT_BUSY ? 500 : 0;
    return code;
}

int mr_verdict_status(enum mr_verdict_code code)
{
    MR_ASSERT((unsigned)code < sizeof refusals / sizeof refusals[0]);
    return refusals[code].status;
}

const char *mr_verdict_name(enum mr_verdict_code code)
{
    MR_ASSERT((unsigned)code < sizeof refusals / sizeof refusals[0]);
    return refusals[code].name;
}
