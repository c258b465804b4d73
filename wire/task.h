/* task.h - the name of a task, as it stands in announcements, paths, files and metrics. */
#ifndef MR_WIRE_TASK_H
#define MR_WIRE_TASK_H

#include <stdbool.h>

#define MR_TASK_NAME_MAX 32 /* without NUL */

/* 1 to MR_TASK_NAME_MAX of [a-z0-9-], the first of [a-z0-9]: it can stand in a path, a file name
 * and a metric's label as it is. NULL is no name. */
bool mr_task_name_valid(const char *name);

#endif
