/* standard_fds.h - descriptors 0, 1 and 2 are there. */
#ifndef MR_RUNTIME_STANDARD_FDS_H
#define MR_RUNTIME_STANDARD_FDS_H

/* Opens /dev/null for each of standard input, output and error that the process was started
 * without. Else the next file or socket would get its number, and the log would be written into
 * it. First thing in main. 0, or -1 (errno). */
int mr_standard_fds_open(void);

#endif
