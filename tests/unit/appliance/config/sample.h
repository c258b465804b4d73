/* sample.h - a folder with the sample configuration and every file that it names. */
#ifndef MR_TEST_CONFIG_SAMPLE_H
#define MR_TEST_CONFIG_SAMPLE_H

#include <stddef.h>
#include <sys/types.h>

struct sample {
    char folder[64];
    char path[96]; /* folder/hub.yaml */
    char *yaml;    /* the sample's text, malloc'd */
};

/* Makes the folder: hub.yaml is the text of the file at `source`. Aborts when the machine fails. */
void sample_init(struct sample *sample, const char *source);
void sample_fini(struct sample *sample); /* removes all of it */

/* Writes a file of the folder anew. */
void sample_write(const struct sample *sample, const char *name, const char *text, mode_t mode);

/* Writes hub.yaml with the first `from` replaced by `to`; `from` must be there. */
void sample_edit(const struct sample *sample, const char *from, const char *to);

/* An edit that makes a wrong file. Line numbers are those of config/hub.yaml: found at run time as
 * the line that holds `line_of`. */
struct sample_wrong {
    const char *from, *to;
    const char *line_of; /* text in the edited file whose line must be named; NULL: any */
    const char *says;
};

/* Makes each of the wrong files, loads it, and fails the test unless it is refused with its line
 * and what it should say. */
void sample_expect_wrong(const struct sample *sample, const struct sample_wrong *wrong,
                         size_t count);

/* For cmocka: a new sample for each test, which sees only that. */
struct sample_fixture {
    struct sample sample; /* first */
    const char *source;
};
int sample_set_up(void **state);
int sample_tear_down(void **state);
#define WITH_SAMPLE(f)                                                                             \
    cmocka_unit_test_prestate_setup_teardown(f, sample_set_up, sample_tear_down, &fixture)

#endif
