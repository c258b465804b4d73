/* replay.c - a fuzz target's main where no fuzzer drives it: runs every file of the folders (or
 * the files) that it is given, in the order of their names. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "tests/fuzz/fuzz.h"

#define INPUT_MAX ((size_t)1 << 20)

static int run_file(const char *path)
{
    FILE *file = fopen(path, "rbe");
    uint8_t *bytes = malloc(INPUT_MAX);
    if (!file || !bytes) {
        fprintf(stderr, "cannot read %s: %s\n", path, strerror(errno));
        exit(1);
    }
    const size_t length = fread(bytes, 1, INPUT_MAX, file);
    fclose(file);
    /* Exactly as long as it is, so that the address sanitizer sees a step beyond. */
    uint8_t *exact = malloc(length > 0 ? length : 1);
    MR_ASSERT(exact);
    memcpy(exact, bytes, length);
    free(bytes);
    fprintf(stderr, "%s\n", path); /* the last line names the one that fails */
    LLVMFuzzerTestOneInput(exact, length);
    free(exact);
    return 1;
}

static int run_folder(const char *folder)
{
    struct dirent **entries;
    int ran = 0;
    const int count = scandir(folder, &entries, NULL, alphasort);
    if (count < 0) {
        fprintf(stderr, "cannot read %s: %s\n", folder, strerror(errno));
        exit(1);
    }
    for (int i = 0; i < count; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.') {
            ran += run_file(path);
        }
        free(entries[i]);
    }
    free(entries);
    return ran;
}

int main(int argc, char **argv)
{
    int ran = 0;
    for (int i = 1; i < argc; i++) {
        struct stat status;
        const int is_folder = stat(argv[i], &status) == 0 && S_ISDIR(status.st_mode);
        ran += is_folder ? run_folder(argv[i]) : run_file(argv[i]);
    }
    printf("%d inputs\n", ran);
    return ran > 0 ? 0 : 1; /* an empty corpus tests nothing */
}
