/* wall_clock.h - the wall clock, for what outlives a process: deadlines and records of rounds. */
#ifndef MR_ROUND_DRIVE_WALL_CLOCK_H
#define MR_ROUND_DRIVE_WALL_CLOCK_H

#include <stdint.h>

uint64_t mr_round_unix_ms(void);

#endif
