/* next_keys.h - the statements of a task's next signing keys that its operators have handed to this
 * hub (wire/key_chain.h), for devices to fetch: data_dir/tasks/{task}/keys, one behind the other.
 * Nothing in it is ever taken away. Loop's thread only. */
#ifndef MR_TASK_NEXT_KEYS_H
#define MR_TASK_NEXT_KEYS_H

#include "appliance/task/task.h"
#include "wire/key_chain.h"

/* Those above `after`; malloc'd, *bytes NULL and *length 0 where there are none. 0 or -1. */
int mr_next_keys_read(const struct mr_task *task, uint32_t after, uint8_t **bytes, size_t *length,
                      struct mr_error *error);
/* The newest one's number, 0 where there is none. 0 or -1. */
int mr_next_keys_last(const struct mr_task *task, uint32_t *last, struct mr_error *error);
/* Takes the next one, synced: what its signatures say must hold with the keys of this hub's
 * configuration, before or after the change. 0; 1 with the
 * fault that stands against it; -1 with an error. */
int mr_next_keys_add(const struct mr_task *task, const uint8_t *bytes, size_t length,
                     enum mr_key_fault *fault, struct mr_error *error);

#endif
