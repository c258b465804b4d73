#include "tests/unit/appliance/storage/scratch.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/assert.h"

char *scratch_open(void)
{
    const char *base = getenv("TMPDIR");
    char *path = NULL;
    MR_ASSERT(asprintf(&path, "%s/millrace-test-XXXXXX", base ? base : "/tmp") > 0);
    MR_ASSERT(mkdtemp(path));
    return path;
}

static int take_away(const char *path, const struct stat *about, int kind, struct FTW *where)
{
    (void)about;
    (void)kind;
    (void)where;
    return remove(path);
}

void scratch_close(char *path)
{
    nftw(path, take_away, 16, FTW_DEPTH | FTW_PHYS);
    free(path);
}
