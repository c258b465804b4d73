/* sqlite_vfs.h - SQLite's way to files, over the calls that the simulator stands in front of: the
 * library's own go to the machine, since no linker wraps what is in a shared object. */
#ifndef MR_TESTS_SIM_SQLITE_VFS_H
#define MR_TESTS_SIM_SQLITE_VFS_H

/* From now on the default one of this process. */
void sim_sqlite_register(void);

#endif
