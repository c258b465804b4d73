/* task.h - a task's name: 1..MR_TASK_NAME_MAX of a-z, 0-9 and hyphens, the first no hyphen. */
#ifndef MR_WIRE_TASK_H
#define MR_WIRE_TASK_H

#include <stdbool.h>

#include "wire/announcement.h"

#ifndef MR_TASK_NAME_MAX
#define MR_TASK_NAME_MAX 32
#endif

bool mr_task_name_valid(const char *name);

#endif
