#include "wire/task.h"

#include <string.h>

bool mr_task_name_valid(const char *name)
{
    const size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");
    return length >= 1 && length <= MR_TASK_NAME_MAX && name[length] == '\0' && name[0] != '-';
}
