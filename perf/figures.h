/* figures.h - what a bench program hands over: named figures, each with all its samples, and the
 * circumstances they hold under, printed as a table and written as one JSON document.
 *
 *   {"bench": NAME, "checked": true, "context": {KEY: text or number, ...},
 *    "figures": [{"name", "unit", "better", "target", "of", "samples": [...]}, ...]}
 *
 * `target` and `of` are left out where there is none. The median and the spread are not in the
 * document: perf/bench.py makes them from the samples. A program is called with `--quick` (fewer
 * samples, smaller sizes; never a shorter check) and `--json FILE`; it ends with 0, with 77 and the
 * reason on its standard error where the machine lacks what it needs, with anything else on
 * failure.
 *
 * Every function ends the program with a message when memory is short. One thread. */
#ifndef MR_PERF_FIGURES_H
#define MR_PERF_FIGURES_H

#include <stdbool.h>

struct mr_figures;

enum mr_better {
    MR_BETTER_HIGHER,
    MR_BETTER_LOWER,
    MR_BETTER_NEITHER, /* it describes (a share, a size): never judged */
};

/* The strings must live as long as the figures. */
struct mr_figure {
    const char *name; /* GROUP.FIGURE in lower case, unique in all benches: "ingest.beyond.ratio" */
    const char *unit; /* "ratio", "share", "GB/s", "packets/s", "ms", "us", "bytes", ... */
    enum mr_better better;
    double target;  /* what the median has to reach; 0: nothing is asked of it */
    const char *of; /* what it is a ratio of or is measured against; NULL: absolute */
};

/* `name` is the bench's, as in perf/benches.py. */
struct mr_figures *mr_figures_open(const char *name);
void mr_figures_close(struct mr_figures *figures);

/* What the figures hold for: sizes, sessions, the opener's name. */
void mr_figures_context(struct mr_figures *figures, const char *key, const char *text);
void mr_figures_context_number(struct mr_figures *figures, const char *key, double number);

/* One sample more of that figure, told apart by its name; the order of first samples is the order
 * of the table. */
void mr_figures_sample(struct mr_figures *figures, const struct mr_figure *figure, double value);

/* The results of every sample so far were compared with what they must be, and were right (for a
 * bench of ingest: the sums). A document without it is refused by the harness. */
void mr_figures_checked(struct mr_figures *figures);

/* Prints the table and, unless `path` is NULL, writes the document there. 0 or -1 with a message
 * on standard error. */
int mr_figures_write(const struct mr_figures *figures, const char *path);

#endif
