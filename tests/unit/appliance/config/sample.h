/* sample.h - a folder with the sample configuration and every file that it names. */
#ifndef MR_TEST_CONFIG_SAMPLE_H
#define MR_TEST_CONFIG_SAMPLE_H

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

#endif
