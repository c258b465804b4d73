#include "wire/task.h"

#include <string.h>

static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz0123456789-";

bool mr_task_name_valid(const char *name)
{
    if (!name) {
        return false;
    }
    const size_t length = strnlen(name, MR_TASK_NAME_MAX + 1);
    return length >= 1 && length <= MR_TASK_NAME_MAX && name[0] != '-' &&
           strspn(name, alphabet) == length;
}
