/* sandbox.h - what a hub gives up once it is set up.
 *
 *   begin   before any thread and before the first file of data_dir: no dumps, no new privileges,
 *           and the files and ports that it will ever need (Landlock, inherited by every thread)
 *   become_user  before the first file of data_dir too: root does nothing in a folder that somebody
 *           else can change, so nobody can make root follow a link there
 *   finish  everything is open: no capabilities, and only the system calls that are left to do
 *           (seccomp, all threads at once)
 *   confine_worker   on an upload worker's own thread: only what its loop does
 *
 * A system call that is not allowed is not done; a line on standard error names it and the process
 * dies by SIGSYS. What is not allowed of files and ports fails with EACCES. Rings of io_uring are
 * bounded where they are made (ingest/uring_restrict.h): their requests are not system calls. */
#ifndef MR_RUNTIME_SANDBOX_H
#define MR_RUNTIME_SANDBOX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

enum mr_sandbox_mode {
    MR_SANDBOX_OFF,
    MR_SANDBOX_AUTO,     /* what this kernel has; what it lacks is told */
    MR_SANDBOX_REQUIRED, /* all of it, or the hub does not start */
};

struct mr_sandbox_path {
    const char *path; /* a file, or a folder with all below it; "" and NULL are passed over */
    bool writes;      /* also made, written and removed there */
};

struct mr_sandbox_plan {
    enum mr_sandbox_mode mode;
    const char *user, *group;            /* "": stay; group "": the user's own */
    const char *data_dir;                /* made where missing, for the user to write in */
    const struct mr_sandbox_path *paths; /* besides data_dir and what libraries read */
    unsigned path_count;
    uint16_t listen_port;       /* TCP; may be bound after _become_user, whatever its number */
    const uint16_t *dial_ports; /* TCP; none: it never opens a connection, nor a socket */
    unsigned dial_count;
    /* The packet source is a driver (DPDK): it opens devices, maps code and makes threads at its
     * own time. Then no rules on files, and its workers have the hub's system calls and ioctl. */
    bool drives_hardware;
};

enum mr_sandbox_part {
    MR_SANDBOX_DUMPS,
    MR_SANDBOX_NO_NEW_PRIVILEGES,
    MR_SANDBOX_FILES,
    MR_SANDBOX_PORTS,
    MR_SANDBOX_USER,
    MR_SANDBOX_CAPABILITIES,
    MR_SANDBOX_SYSTEM_CALLS,
    MR_SANDBOX_WORKERS,
    MR_SANDBOX_PARTS,
};

struct mr_sandbox {
    struct mr_sandbox_plan plan;
    uid_t uid;
    gid_t gid;
    bool drops_user;
    atomic_bool user_will_change; /* between _begin and _become_user, if it drops_user */
    struct {
        bool in_force;
        char why[120]; /* how, or why not */
    } parts[MR_SANDBOX_PARTS];
};

const char *mr_sandbox_part_name(enum mr_sandbox_part part);

/* Whether there is such a user and group ("": none is asked for). 0, or -1 with an error. */
int mr_sandbox_check_user(const char *user, const char *group, struct mr_error *error);

/* Does something as that user, where this process is root and a user is named: in a process of its
 * own, so that only the answer comes back, and nothing that it does to memory. Else it is done
 * here. Not to be called once there are threads. What the deed returns, or -1 with an error. */
typedef int (*mr_sandbox_deed_fn)(void *context, struct mr_error *error);
int mr_sandbox_as_user(const char *user, const char *group, mr_sandbox_deed_fn fn, void *context,
                       struct mr_error *error);

/* Whether that user ("": none is asked for) may read the files; "" is passed over. Only root can
 * try, anybody else learns nothing. Forks: not to be called once there are threads. 0, or -1 with
 * an error. */
int mr_sandbox_check_files(const char *user, const char *group, const char *const *files,
                           unsigned count, struct mr_error *error);

/* The plan's strings and lists stay until _finish. data_dir is there afterwards, and the user may
 * write in it: root makes it, or hands over one of its own that is empty, by descriptor and only
 * where nobody else can change the way to it. 0, or -1 with an error (required, and this kernel
 * cannot; a user that is not there; a data_dir that its operator has to hand over). */
int mr_sandbox_begin(struct mr_sandbox *sandbox, const struct mr_sandbox_plan *plan,
                     struct mr_error *error);
/* All threads: the C library passes it on, and with root's number go root's capabilities, but for
 * this thread's right to bind the plan's listen_port. Needed before the first file of data_dir is
 * opened; where it was not called, _finish does it. 0, or -1 with an error. */
int mr_sandbox_become_user(struct mr_sandbox *sandbox, struct mr_error *error);
int mr_sandbox_finish(struct mr_sandbox *sandbox, struct mr_error *error);
/* First on a new thread of jobs, which need no capability (mr_loop_on_thread; context: the struct
 * mr_sandbox): takes it those that it was born with. Not while the process is about to become
 * another user: the C library makes every thread do that and aborts where one may not, and all
 * capabilities go with it. */
void mr_sandbox_confine_job(void *context);
/* On the worker's thread, after _finish has said that MR_SANDBOX_WORKERS is in force. */
void mr_sandbox_confine_worker(void);
/* This thread's; never needed after set-up. 0 or -1 (errno). */
int mr_sandbox_drop_capabilities(void);

/* What this kernel can do: Landlock's version (0: none), and whether it has seccomp filters. */
int mr_sandbox_landlock_version(void);
bool mr_sandbox_has_seccomp(void);

#endif
