#include "appliance/round/drive/round_context.h"

#include <stdio.h>

void mr_round_fatal(const struct mr_round_context *context, const char *what,
                    const struct mr_error *error)
{
    char text[sizeof error->text + 80];
    snprintf(text, sizeof text, "%s: %s", what, error->text);
    context->fatal(context->fatal_context, text);
}
