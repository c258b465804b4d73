/* keeper_metrics.c - what the keepers of this hub's tasks saw and did, as metrics. */
#include "appliance/round/drive/keeper_internal.h"
#include "appliance/round/drive/round_sample.h"

/* A number of each kind. */
static void by_kind(const struct mr_keeper *keeper, const char *name, const uint64_t *values,
                    unsigned kinds, struct mr_metrics *metrics)
{
    for (unsigned kind = 0; kind < kinds; kind++) {
        const struct mr_round_label label = {keeper->config.context->task, "kind",
                                             mr_stored_kind_name(kind)};
        mr_round_sample(metrics, name, &label, (double)values[kind]);
    }
}

static void of_task(const struct mr_keeper *keeper, const char *name, double value,
                    struct mr_metrics *metrics)
{
    const struct mr_round_label label = {.task = keeper->config.context->task};
    mr_round_sample(metrics, name, &label, value);
}

void mr_keeper_metrics(struct mr_keeper *const *keepers, unsigned count, struct mr_metrics *metrics)
{
    mr_metrics_family(metrics, "millrace_stored_bytes", "gauge",
                      "Bytes of a task's files in data_dir, by kind, when it was last looked.");
    for (unsigned i = 0; i < count; i++) {
        by_kind(keepers[i], "millrace_stored_bytes", keepers[i]->survey.bytes, MR_STORED_KINDS,
                metrics);
    }
    mr_metrics_family(metrics, "millrace_stored_files", "gauge", "Files, likewise.");
    for (unsigned i = 0; i < count; i++) {
        by_kind(keepers[i], "millrace_stored_files", keepers[i]->survey.files, MR_STORED_KINDS,
                metrics);
    }
    mr_metrics_family(metrics, "millrace_audit_kept_bytes", "gauge",
                      "Bytes that a task keeps of its rounds for audits, when it was last looked.");
    for (unsigned i = 0; i < count; i++) {
        of_task(keepers[i], "millrace_audit_kept_bytes", (double)keepers[i]->audits.bytes, metrics);
    }
    mr_metrics_family(metrics, "millrace_audit_kept_files", "gauge", "Files, likewise.");
    for (unsigned i = 0; i < count; i++) {
        of_task(keepers[i], "millrace_audit_kept_files", (double)keepers[i]->audits.files, metrics);
    }
    mr_metrics_family(metrics, "millrace_retention_removed_total", "counter",
                      "Files removed because tasks.keep says so, by kind.");
    for (unsigned i = 0; i < count; i++) {
        by_kind(keepers[i], "millrace_retention_removed_total", keepers[i]->removed, MR_STORED_LOGS,
                metrics);
    }
    mr_metrics_family(metrics, "millrace_disk_rounds_left", "gauge",
                      "Rounds of the task that the free space would hold if nothing were removed.");
    for (unsigned i = 0; i < count; i++) {
        const uint64_t rounds = keepers[i]->free_bytes / mr_keeper_next_round_bytes(keepers[i]);
        of_task(keepers[i], "millrace_disk_rounds_left", (double)rounds, metrics);
    }
    mr_metrics_family(metrics, "millrace_records_kept_total", "counter",
                      "Ends of rounds that were not written because the round has another on "
                      "record.");
    for (unsigned i = 0; i < count; i++) {
        of_task(keepers[i], "millrace_records_kept_total", (double)keepers[i]->records_kept,
                metrics);
    }
}
