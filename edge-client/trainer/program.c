/* program.c - the external trainer: one process a round, spoken to through files.
 *
 * PROGRAM model.safetensors delta.safetensors report.json task.json; see docs/edge-client.md. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "edge-client/files/files.h"
#include "edge-client/include/millrace_edge.h"
#include "edge-client/session/number_type.h"
#include "edge-client/trainer/child.h"
#include "edge-client/trainer/trainer_lock.h"
#include "base/error.h"
#include "base/json_reader.h"
#include "base/json_text.h"
#include "wire/safetensors.h"

#define REPORT_BYTES_MAX 65536

/* In a folder of their own that nobody else may enter: the delta is the device's bare update, and
 * the program creates it with whatever umask it has. */
struct files {
    char folder[4096];
    char delta[4096 + 32];
    char report[4096 + 32];
    char task[4096 + 32];
    char *program; /* absolute, as is the data: the program runs in the folder */
    char *data;    /* NULL: none */
    bool left;     /* somebody may have outlived the trainer, and has the lock */
};

static int name_files(struct files *files, const struct mre_task *task, struct mr_error *error)
{
    const int length = snprintf(files->folder, sizeof files->folder, "%s/training", task->work_dir);
    if (length < 0 || (size_t)length >= sizeof files->folder) {
        return mr_error_set(error, "data_dir: the path is too long");
    }
    snprintf(files->delta, sizeof files->delta, "%s/train-delta.safetensors", files->folder);
    snprintf(files->report, sizeof files->report, "%s/train-report.json", files->folder);
    snprintf(files->task, sizeof files->task, "%s/train-task.json", files->folder);
    return 0;
}

static int name_inputs(struct files *files, const struct mre_program *program,
                       struct mr_error *error)
{
    files->program = mr_path_absolute(program->path);
    files->data = mr_path_absolute(program->data_file);
    return !files->program || (program->data_file && !files->data)
               ? mr_error_set(error, "out of memory, or no working directory")
               : 0;
}

/* --- the task file --------------------------------------------------------------------------- */

static int save_task(const struct files *files, const json_t *root, struct mr_error *error)
{
    FILE *file = mr_folder_private(files->folder) ? NULL : mr_file_create_stream(files->task);
    int bad = !file || json_dumpf(root, file, JSON_INDENT(1));
    if (file) {
        bad |= fclose(file);
    }
    return bad ? mr_error_set(error, "%s cannot be written: %s", files->task, strerror(errno)) : 0;
}

static const char *kind_name(enum mre_kind kind)
{
    return kind == MRE_TRAINING             ? "training"
           : kind == MRE_EVALUATED_TRAINING ? "evaluated-training"
                                            : "evaluation";
}

static json_t *metrics_json(const struct mre_task *task)
{
    json_t *object = json_object();
    for (unsigned i = 0; i < task->metric_count; i++) {
        const struct mre_metric *metric = &task->metrics[i];
        json_object_set_new(
            object, metric->name,
            json_pack("[o, o]", mr_json_real(metric->low), mr_json_real(metric->high)));
    }
    return object;
}

static int write_task(const struct files *files, const struct mre_task *task,
                      const struct mre_program *program, struct mr_error *error)
{
    json_error_t why;
    json_t *training = json_null();
    if (program->data_file && !mr_json_holds(program->data_file)) {
        return mr_error_set(error,
                            "the path of --data, %s, is not in UTF-8, which the task file has to "
                            "be: give the file another name",
                            program->data_file);
    }
    if (task->training[0] &&
        !(training = json_loads(task->training, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &why))) {
        char text[MR_JSON_WHY_BYTES];
        return mr_error_set(error, "the round's training text is no JSON: %s",
                            mr_json_why(text, &why));
    }
    /* JSON numbers are doubles to many readers: the seed is cut to what they can hold. */
    json_t *root = json_pack(
        "{s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o}", "round", (json_int_t)task->round,
        "deadline_unix_ms", (json_int_t)task->deadline_unix_ms, "seed",
        (json_int_t)(task->seed & ((UINT64_C(1) << 53) - 1)), "dimension",
        (json_int_t)task->dimension, "data", mr_json_text(files->data), "training", training,
        "kind", mr_json_text(kind_name(task->kind)), "metrics", metrics_json(task), "number_type",
        mr_json_text(mr_number_name(task->number_type)));
    const int bad = root ? save_task(files, root, error) : mr_error_set(error, "out of memory");
    json_decref(root);
    return bad;
}

/* --- the process ----------------------------------------------------------------------------- */

static int64_t clock_ms(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int run(const struct mre_program *program, const struct mre_task *task, struct files *files,
               int lock, int64_t limit_ms, struct mr_error *error)
{
    char *const arguments[] = {files->program,
                               (char *)(uintptr_t)task->model_file,
                               (char *)(uintptr_t)files->delta,
                               (char *)(uintptr_t)files->report,
                               (char *)(uintptr_t)files->task,
                               NULL};
    struct mr_child child;
    int value;
    const struct mr_child_setup setup = {.argv = arguments, .folder = files->folder, .lock = lock};
    if (mr_child_start(&child, &setup, error)) {
        return -1;
    }
    const enum mr_child_end end = mr_child_await(&child, limit_ms, task->cancel_fd, &value);
    files->left = !child.none_left;
    switch (end) {
    case MR_CHILD_EXITED:
        return value ? mr_error_set(error, "%s ended with exit code %d; its own output says why",
                                    program->path, value)
                     : 0;
    case MR_CHILD_KILLED:
        return mr_error_set(error,
                            "%s was killed by signal %d; its own output says why, or the kernel's "
                            "log where memory ran out",
                            program->path, value);
    case MR_CHILD_NOT_RUN:
        return mr_error_set(error, "%s cannot be run: %s; give the path of an executable file",
                            program->path, strerror(value));
    case MR_CHILD_LATE:
        return mr_error_set(error,
                            "%s did not end in time and was killed; train less, or ask "
                            "the operator for a later deadline",
                            program->path);
    case MR_CHILD_LOST:
        break;
    }
    return mr_error_set(error, "%s: the process that watched it was killed", program->path);
}

/* --- its answers ----------------------------------------------------------------------------- */

/* {"name": number, …} into `values`; what is missing stays unreported. */
static int take_metrics(const struct mre_task *task, double values[MRE_METRICS_MAX],
                        const json_t *object, struct mr_error *error)
{
    const char *name;
    json_t *value;
    if (object && !json_is_object(object)) {
        return mr_error_set(error, "metrics of a trainer's report must be {\"name\": number, ...}");
    }
    json_object_foreach((json_t *)(uintptr_t)object, name, value) {
        if (!json_is_number(value) ||
            mre_metric_report(task, values, name, json_number_value(value)) != 0) {
            return mr_error_set(error,
                                "the trainer's report has the metric \"%.40s\", which is no "
                                "number or which the round does not ask for (task.json)",
                                name);
        }
    }
    return 0;
}

/* Of an evaluation without a loss; metrics where the round has some, or may have. */
static int take_report(json_t *root, const struct mre_task *task, struct mre_report *report,
                       struct mr_error *error)
{
    const bool trains = task->kind != MRE_EVALUATION;
    const json_t *examples = json_object_get(root, "examples");
    const json_t *loss = json_object_get(root, "loss");
    const json_t *after = json_object_get(root, "metrics");
    const json_t *before = json_object_get(root, "metrics_before");
    const json_int_t n = json_integer_value(examples);
    const size_t members = 1u + !!loss + !!after + !!before;
    if (json_object_size(root) != members || !json_is_integer(examples) || n < 1 ||
        n > UINT32_MAX || (trains ? !json_is_number(loss) : !!loss)) {
        return mr_error_set(error, "the trainer's report must be {\"examples\": whole number >= 1, "
                                   "\"loss\": number, \"metrics\": {...}}, without \"loss\" where "
                                   "the round is an evaluation");
    }
    report->examples = (uint32_t)n;
    report->loss = (float)json_number_value(loss);
    return take_metrics(task, report->metrics, after, error) != 0 ||
                   take_metrics(task, report->metrics_before, before, error) != 0
               ? -1
               : 0;
}

static int read_report(const char *path, const struct mre_task *task, struct mre_report *report,
                       struct mr_error *error)
{
    json_error_t why;
    char cause[MR_JSON_WHY_BYTES];
    size_t length;
    char *text = mr_file_text(path, REPORT_BYTES_MAX, &length, error);
    if (!text) {
        return mr_error_prefix(error, "the trainer's report %s", path);
    }
    json_t *root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &why);
    free(text);
    if (!root) {
        return mr_error_set(error, "the trainer's report %s: %s", path, mr_json_why(cause, &why));
    }
    const int result = take_report(root, task, report, error);
    json_decref(root);
    return result;
}

static bool same_tensor(const struct mr_tensor *got, const struct mre_tensor *wanted)
{
    bool same = strcmp(got->name, wanted->name) == 0 && got->rank == wanted->rank &&
                got->count == wanted->count;
    for (unsigned d = 0; same && d < got->rank; d++) {
        same = got->dims[d] == wanted->dims[d];
    }
    return same;
}

/* The delta may list its tensors in any order: each is put where the model has it. */
static int place(float *vector, const uint8_t *data, const struct mr_safetensors *delta,
                 const struct mre_task *task, struct mr_error *error)
{
    if (delta->tensor_count != task->tensor_count) {
        return mr_error_set(error, "the trainer's delta has %u tensors, the model %u",
                            delta->tensor_count, task->tensor_count);
    }
    for (unsigned i = 0; i < task->tensor_count; i++) {
        const struct mre_tensor *wanted = &task->tensors[i];
        const struct mr_tensor *got = NULL;
        for (unsigned k = 0; !got && k < delta->tensor_count; k++) {
            if (same_tensor(&delta->tensors[k], wanted)) {
                got = &delta->tensors[k];
            }
        }
        if (!got) {
            return mr_error_set(error, "the trainer's delta has no tensor %s of the model's shape",
                                wanted->name);
        }
        memcpy(vector + wanted->offset, data + got->offset * sizeof(float),
               wanted->count * sizeof(float));
    }
    return 0;
}

static int read_delta(const char *path, const struct mre_task *task, float *vector,
                      struct mr_error *error)
{
    struct stat st;
    struct mr_safetensors delta;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe would hold us */
    if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size <= 0) {
        if (fd >= 0) {
            close(fd);
        }
        return mr_error_set(error, "the trainer wrote no delta to %s", path);
    }
    void *bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (bytes == MAP_FAILED) {
        return mr_error_set(error, "%s: %s", path, strerror(errno));
    }
    int bad = mr_safetensors_parse(&delta, bytes, (size_t)st.st_size, error);
    if (bad) {
        mr_error_prefix(error, "the trainer's delta");
    } else {
        bad = place(vector, (const uint8_t *)bytes + delta.data_offset, &delta, task, error);
        mr_safetensors_fini(&delta);
    }
    munmap(bytes, (size_t)st.st_size);
    return bad;
}

/* Under the lock: nobody else's files are in the folder. */
static int train_in_folder(const struct mre_program *program, const struct mre_task *task,
                           struct files *files, int lock, float *vector, struct mre_report *report,
                           struct mr_error *error)
{
    const int64_t left_ms = (int64_t)task->deadline_unix_ms - clock_ms(CLOCK_REALTIME);
    const int64_t limit_ms =
        clock_ms(CLOCK_MONOTONIC) + (program->timeout_ms ? (int64_t)program->timeout_ms : left_ms);
    if (mr_folder_remove(files->folder)) { /* of a run that was cut off */
        return mr_error_set(error, "%s cannot be removed: %s", files->folder, strerror(errno));
    }
    const int bad = write_task(files, task, program, error) ||
                    run(program, task, files, lock, limit_ms, error) ||
                    read_report(files->report, task, report, error) ||
                    (task->kind != MRE_EVALUATION && read_delta(files->delta, task, vector, error));
    (void)mr_folder_remove(
        files->folder); /* what is left is removed by the next run, or it fails */
    return bad;
}

enum mre_trained mre_program_train(void *context, const struct mre_task *task, float *vector,
                                   struct mre_report *report)
{
    const struct mre_program *program = context;
    struct files files = {.program = NULL};
    struct mr_error error = {.text = ""};
    int lock = -1;
    int bad = name_files(&files, task, &error) || name_inputs(&files, program, &error) ||
              (lock = mr_trainer_lock(task->work_dir, &error)) < 0 ||
              train_in_folder(program, task, &files, lock, vector, report, &error);
    if (lock >= 0 && files.left) {
        close(lock);
    } else if (lock >= 0) {
        mr_lock_release(lock);
    }
    free(files.program);
    free(files.data);
    if (bad) {
        snprintf(report->why, sizeof report->why, "%s", error.text);
    }
    return bad                            ? MRE_TRAINED_NOT
           : task->kind == MRE_EVALUATION ? MRE_TRAINED_EVALUATED
                                          : MRE_TRAINED_DELTA;
}
