#include "appliance/observe/heap.h"

#include <stdint.h>

#ifdef MR_HAVE_JEMALLOC
#include <jemalloc/jemalloc.h>

const char *mr_heap_name(void)
{
    return "jemalloc";
}

static double statistic(const char *name)
{
    size_t value = 0;
    size_t bytes = sizeof value;
    return mallctl(name, &value, &bytes, NULL, 0) == 0 ? (double)value : 0;
}

static void read_heap(double *allocated, double *mapped)
{
    uint64_t epoch = 1; /* writing it refreshes what the others read */
    size_t bytes = sizeof epoch;
    mallctl("epoch", &epoch, &bytes, &epoch, sizeof epoch);
    *allocated = statistic("stats.allocated");
    *mapped = statistic("stats.mapped");
}
#else
#include <malloc.h>

const char *mr_heap_name(void)
{
    return "system";
}

static void read_heap(double *allocated, double *mapped)
{
    const struct mallinfo2 info = mallinfo2();
    *allocated = (double)(info.uordblks + info.hblkhd);
    *mapped = (double)(info.arena + info.hblkhd);
}
#endif

void mr_heap_metrics(struct mr_metrics *metrics)
{
    double allocated, mapped;
    read_heap(&allocated, &mapped);
    mr_metrics_family(metrics, "millrace_heap_allocated_bytes", "gauge",
                      "Bytes in use on the heap; staging and shards are mapped apart from it.");
    mr_metrics_sample(metrics, "millrace_heap_allocated_bytes", "", allocated);
    mr_metrics_family(metrics, "millrace_heap_mapped_bytes", "gauge",
                      "Bytes that the allocator has from the system.");
    mr_metrics_sample(metrics, "millrace_heap_mapped_bytes", "", mapped);
}
