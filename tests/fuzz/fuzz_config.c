/* fuzz_config.c - hub.yaml, from bytes to a struct whose values obey every rule; the files that it
 * names are not looked at. The text comes through a file in memory, since the loader takes a path.
 */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "appliance/config/fill.h"
#include "appliance/config/hub_check.h"
#include "tests/fuzz/fuzz.h"
#include "wire/task.h"

static void check_values(const struct mr_hub_config *config)
{
    MR_ASSERT(config->data_dir && config->hubs_count >= 2);
    MR_ASSERT(config->tasks_count >= 1);
    for (unsigned i = 0; i < config->tasks_count; i++) {
        const struct mr_config_task *task = &config->tasks[i];
        const struct mr_config_round *round = &task->round;
        MR_ASSERT(task->hubs_count >= 2 && mr_task_name_valid(task->name));
        MR_ASSERT(mr_hub_config_task(config, task->name) == task);
        MR_ASSERT(round->cohort_min >= 2);
        MR_ASSERT(round->cohort_max >= round->cohort_min);
        MR_ASSERT(round->quorum >= round->cohort_min);
        MR_ASSERT((uint64_t)round->cohort_max * round->weight_max < UINT64_C(1) << 32);
    }
}

static void load(const char *path)
{
    struct mr_document document;
    struct mr_hub_config *config = NULL;
    struct mr_error error = {.text = ""};
    if (mr_document_open(&document, path, &error) != 0) {
        MR_ASSERT(error.text[0] != '\0');
        return;
    }
    int bad = mr_config_fill(&config, &document, &error);
    if (bad == 0) {
        bad = mr_config_check_rules(config, &document, &error);
    }
    if (bad == 0) {
        check_values(config);
    } else {
        MR_ASSERT(error.text[0] != '\0');
    }
    mr_document_close(&document);
    mr_hub_config_free(config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    static char path[64];
    if (fd < 0) {
        fd = memfd_create("hub.yaml", MFD_CLOEXEC);
        MR_ASSERT(fd >= 0);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    MR_ASSERT(ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
    load(path);
    return 0;
}
