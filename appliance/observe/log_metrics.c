#include "appliance/observe/log.h"
#include "appliance/observe/metrics.h"

void mr_log_metrics(struct mr_log *log, struct mr_metrics *metrics)
{
    struct mr_log_counts counts;
    mr_log_count(log, &counts);
    mr_metrics_family(metrics, "millrace_log_lines_lost_total", "counter",
                      "Log lines that could not be written: nobody read standard error in time, or "
                      "it was gone.");
    mr_metrics_sample(metrics, "millrace_log_lines_lost_total", "", (double)counts.lost);
    mr_metrics_family(metrics, "millrace_log_lines_suppressed_total", "counter",
                      "Log lines left out because the same event had too many.");
    mr_metrics_sample(metrics, "millrace_log_lines_suppressed_total", "",
                      (double)counts.suppressed);
}
