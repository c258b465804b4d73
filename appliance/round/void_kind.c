#include "appliance/round/void_kind.h"

#include <string.h>

static const char *const names[] = {
#define X(name, label) [MR_VOID_##name] = label,
#include "appliance/round/voids.def"
#undef X
};

const char *mr_void_kind_name(enum mr_void_kind kind)
{
    return names[kind];
}

enum mr_void_kind mr_void_kind_said(const char *reason, enum mr_void_kind otherwise)
{
    for (unsigned kind = 0; kind < MR_VOID_KINDS; kind++) {
        const size_t length = strlen(names[kind]);
        if (strncmp(reason, names[kind], length) == 0 && reason[length] == ':') {
            return (enum mr_void_kind)kind;
        }
    }
    return otherwise;
}
