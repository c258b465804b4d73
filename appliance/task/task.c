#include "appliance/task/task.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "appliance/config/signing_key.h"
#include "appliance/config/watermark_parts.h"
#include "appliance/storage/files.h"
#include "base/assert.h"
#include "base/secret.h"

/* By the hub's index: a file that was read again may list the same hubs in another order. */
static void pin_hubs(struct mr_task *task, const struct mr_announced_hub *book, unsigned book_count)
{
    task->hubs_count = task->config->hubs_count;
    for (unsigned i = 0; i < task->hubs_count; i++) {
        unsigned entry = 0;
        while (entry < book_count && book[entry].index != task->config->hubs[i]) {
            entry++;
        }
        MR_ASSERT(entry < book_count);
        task->hubs[i] = book[entry];
    }
}

void mr_task_set_endpoints(struct mr_task *task, const struct mr_hub_config *config)
{
    const struct mr_config_identity *identity = &config->identity;
    for (unsigned i = 0; i < task->hubs_count; i++) {
        const struct mr_config_hub *address = mr_hub_config_address(config, task->hubs[i].index);
        task->endpoints[i] = (struct mr_h2_endpoint){
            .host = address->host,
            .port = address->port,
            .hub_index = address->index,
            .ca_file = identity->ca_file,
            .certificate_file = identity->certificate_file,
            .private_key_file = identity->private_key_file,
            .revocation_file = identity->revocation_file,
        };
    }
}

/* data_dir/tasks/{task}; the store makes what lies in it. */
static int make_folder(struct mr_task *task, const char *data_dir, struct mr_error *error)
{
    const int length = snprintf(task->data_dir, sizeof task->data_dir, "%s/tasks/%s", data_dir,
                                task->config->name);
    if (length < 0 || (size_t)length >= sizeof task->data_dir) {
        return mr_error_set(error, "data_dir: the path is too long");
    }
    char above[PATH_MAX];
    snprintf(above, sizeof above, "%.*s", length - (int)strlen(task->config->name) - 1,
             task->data_dir);
    if (mr_dir_make(data_dir, error) != 0 || mr_dir_make(above, error) != 0 ||
        mr_dir_sync(data_dir, error) != 0 || mr_dir_make(task->data_dir, error) != 0 ||
        mr_dir_sync(above, error) != 0) {
        return mr_error_prefix(error, "data_dir");
    }
    return 0;
}

/* Before the folder has an owner: it is new as long as it has none. */
static int open_age(struct mr_task *task, const struct mr_task_setting *setting,
                    struct mr_error *error)
{
    char path[PATH_MAX + 16];
    snprintf(path, sizeof path, "%s/owner.json", task->data_dir);
    const bool is_new = access(path, F_OK) != 0;
    return mr_task_age_open(&task->age, task->data_dir, setting->place, is_new, &setting->above,
                            error);
}

/* How its models are marked, and this hub's part of the key. What config/ has checked is looked at
 * again: the file may be another one by now. */
static int read_mark(struct mr_task *task, uint16_t own, struct mr_error *error)
{
    const struct mr_config_watermark *config = &task->config->watermark;
    unsigned position = 0;
    if (mr_config_watermark(&task->watermark, config, task->hubs_count, error) != 0) {
        return mr_error_prefix(error, "tasks.watermark.part_hashes");
    }
    if (task->watermark.strength == 0) {
        return 0;
    }
    while (task->hubs[position].index != own) {
        position++;
        MR_ASSERT(position < task->hubs_count);
    }
    task->mark_part = mr_secret_new(MR_WATERMARK_KEY_BYTES);
    if (!task->mark_part) {
        return mr_error_set(error, "out of memory");
    }
    if (mr_signing_key_read(task->mark_part, config->key_file, error) != 0) {
        return mr_error_prefix(error, "tasks.watermark.key_file");
    }
    return mr_watermark_part_fits(&task->watermark, position, task->mark_part)
               ? 0
               : mr_error_set(error, "tasks.watermark.key_file is not the part whose hash "
                                     "part_hashes has for this hub");
}

int mr_task_open(struct mr_task *task, const struct mr_hub_config *config,
                 const struct mr_config_task *task_config, const struct mr_task_setting *setting,
                 struct mr_error *error)
{
    *task =
        (struct mr_task){.config = task_config, .leads = mr_hub_config_leads(config, task_config)};
    pin_hubs(task, setting->book, config->hubs_count);
    mr_task_set_endpoints(task, config);
    const struct mr_task_owner owner = {.task = task_config->name,
                                        .hubs = task_config->hubs,
                                        .hubs_count = task_config->hubs_count};
    if (read_mark(task, config->identity.index, error) != 0 ||
        make_folder(task, config->data_dir, error) != 0 || open_age(task, setting, error) != 0 ||
        mr_owner_claim_task(task->data_dir, &owner, task->hubs_before, error) != 0 ||
        mr_store_open(&task->store, task->data_dir, task_config->initial_model_file, error) != 0) {
        mr_secret_free(task->mark_part);
        task->mark_part = NULL;
        return mr_error_prefix(error, "task %s", task_config->name);
    }
    return 0;
}

void mr_task_close(struct mr_task *task)
{
    mr_store_close(task->store);
    task->store = NULL;
    mr_secret_free(task->mark_part);
    task->mark_part = NULL;
}
