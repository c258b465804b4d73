/* scratch.h - a folder of its own for a test, gone afterwards. */
#ifndef MR_TEST_ROUND_SCRATCH_H
#define MR_TEST_ROUND_SCRATCH_H

/* Makes a fresh folder; the path is malloc'd. Aborts on failure. */
char *scratch_open(void);
void scratch_close(char *path); /* removes it with all that is in it */

#endif
