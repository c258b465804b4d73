/* config_text_main.c - writes what is generated from the table of options; the files in the tree
 * are compared with it (tests/unit/appliance/config/test_config_text.py). */
#include <stdio.h>
#include <string.h>

#include "appliance/config/config_text.h"

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "sample") == 0) {
        mr_config_write_sample(stdout);
    } else if (argc == 2 && strcmp(argv[1], "table") == 0) {
        mr_config_write_table(stdout);
    } else {
        fputs("usage: config_text sample|table\n", stderr);
        return 2;
    }
    return fflush(stdout) == 0 ? 0 : 1;
}
