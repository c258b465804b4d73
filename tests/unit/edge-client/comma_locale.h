/* comma_locale.h - gives the process a locale with a decimal comma, as German or French ones have.
 * None needs to be installed: one is compiled, of this alone. */
#ifndef MRE_TEST_COMMA_LOCALE_H
#define MRE_TEST_COMMA_LOCALE_H

#include <locale.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In an empty or old folder. False where there is no localedef: the test is skipped. */
static inline bool comma_locale_set(const char *folder)
{
    char text[256];
    snprintf(text, sizeof text, "%s/comma", folder);
    FILE *file = fopen(text, "w");
    if (!file) {
        return false;
    }
    fputs("comment_char %\nescape_char /\nLC_NUMERIC\ndecimal_point \"<U002C>\"\n"
          "thousands_sep \"<U002E>\"\ngrouping 3;3\nEND LC_NUMERIC\n",
          file);
    fclose(file);
    snprintf(text, sizeof text,
             "cd %s && localedef -c -f ANSI_X3.4-1968 -i ./comma ./comma_XX >log 2>&1", folder);
    const int made = system(text); /* ends with 1 for what the locale leaves out */
    (void)made;
    setenv("LOCPATH", folder, 1);
    return setlocale(LC_NUMERIC, "comma_XX") && strcmp(localeconv()->decimal_point, ",") == 0;
}

#endif
