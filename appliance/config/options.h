/* options.h - the table of configuration keys (hub_options.def), as data.
 *
 * One row tells the loader where a value goes, what it may be and what it is when absent, and
 * whether SIGHUP may change it; the sample file, the documentation and the error texts come from
 * the same rows. Immutable, any thread. */
#ifndef MR_CONFIG_OPTIONS_H
#define MR_CONFIG_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum mr_option_kind {
    MR_OPTION_UINT,    /* decimal; "auto", where it may be, is the largest value of the type */
    MR_OPTION_FLOAT,   /* finite, normal, > 0; "auto" is 0 */
    MR_OPTION_BOOL,    /* true or false */
    MR_OPTION_TEXT,    /* any text of min..max bytes */
    MR_OPTION_CHOICE,  /* one of `choices` */
    MR_OPTION_ADDRESS, /* numeric IPv4 or IPv6 */
    MR_OPTION_FILE,    /* a path, relative to the configuration file; must be readable */
    MR_OPTION_SECRET,  /* likewise, and neither group nor others may read it */
    MR_OPTION_FOLDER,  /* a path; made by the hub if its parent is there */
    MR_OPTION_RANGE,   /* any, A, A..B, A.., ..B (wire/acceptance.h), or the word in `choices` */
    MR_OPTION_LIST,    /* [1, 2]: decimals. In the struct: uint16_t *, then its count (unsigned) */
};

enum mr_option_change {
    MR_OPTION_LIVE,    /* SIGHUP brings a new value into force */
    MR_OPTION_RESTART, /* a new value needs a restart */
};

struct mr_option {
    const char *section; /* "" top of the file; "tasks.round": inside the entries of "tasks" */
    const char *name;
    enum mr_option_kind kind;
    enum mr_option_change change;
    const char *otherwise; /* default as text; NULL = required */
    uint64_t min, max;     /* of the number, of each number of a LIST, or of the text's length */
    const char *choices; /* "a|b" of a CHOICE; "auto": a number that may be left to the hub; a word
                            that may stand for a RANGE */
    const char *sample;  /* what config/hub.yaml shows, "a|b" for a list's entries; NULL: default */
    const char *text;    /* one sentence for people */
    size_t offset, bytes; /* where, in the section's struct */
};

struct mr_option_section {
    const char *name;
    const char *text; /* for people */
};

/* All rows, in the order of the file; *count set. */
const struct mr_option *mr_options(size_t *count);
const struct mr_option_section *mr_option_sections(size_t *count);

/* The row, or NULL. */
const struct mr_option *mr_option_find(const char *section, const char *name);

/* "tasks" and "hubs": the section's keys stand in the entries of a list. "tasks.round" is inside
 * such an entry, so it has as many. */
bool mr_option_in_list(const char *section);
/* A number that may be left to the hub ("auto"); and whether this text does so. */
bool mr_option_takes_auto(const struct mr_option *option);
bool mr_option_is_auto(const struct mr_option *option, const char *text);
/* A path of a file, a secret or a folder. */
bool mr_option_is_path(const struct mr_option *option);

/* Is `text` a value of this option (syntax and range; files are not touched)? 0, or -1 with an
 * error of the form "must be …, not …". An empty text is fine where the default is empty. Of a LIST
 * it is one of the numbers. */
int mr_option_check(const struct mr_option *option, const char *text, struct mr_error *error);

#endif
