/* test_file_over.c - a file is written over only where nobody sees it. */
#include <fcntl.h>
#include <linux/magic.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/assert.h"
#include "edge-client/files/files.h"

#define OLD_BYTES 9000
#define NEW_BYTES 7000

/* Who has the file that is there; or what else is wrong with it. */
enum holder { NOBODY, MAPPED, OPENED, LINKED, READABLE, HOLDERS };

struct scene {
    char folder[64], path[80], other[80];
    int fd; /* -1: none */
    const char *mapped;
};

static void fill(int fd, char letter, size_t length)
{
    char bytes[OLD_BYTES];
    memset(bytes, letter, length);
    assert_int_equal(mr_fd_write_all(fd, bytes, length), 0);
    assert_int_equal(fdatasync(fd), 0);
    close(fd);
}

static bool is_all(const char *bytes, char letter, size_t length)
{
    size_t i = 0;
    while (i < length && bytes[i] == letter) {
        i++;
    }
    return i == length;
}

static bool holds(const char *path, char letter, size_t length)
{
    char bytes[OLD_BYTES + 1];
    const int fd = open(path, O_RDONLY);
    MR_ASSERT(fd >= 0);
    const ssize_t got = read(fd, bytes, sizeof bytes);
    close(fd);
    return got == (ssize_t)length && is_all(bytes, letter, length);
}

static void set(struct scene *scene, const char *folder, enum holder holder)
{
    snprintf(scene->folder, sizeof scene->folder, "%s/millrace-over-XXXXXX", folder);
    MR_ASSERT(mkdtemp(scene->folder));
    snprintf(scene->path, sizeof scene->path, "%s/file", scene->folder);
    snprintf(scene->other, sizeof scene->other, "%s/other", scene->folder);
    fill(mr_file_create(scene->path), 'a', OLD_BYTES);
    scene->fd = holder == MAPPED || holder == OPENED ? open(scene->path, O_RDONLY) : -1;
    scene->mapped = NULL;
    if (holder == MAPPED) { /* and its descriptor closed, as a program does */
        scene->mapped = mmap(NULL, OLD_BYTES, PROT_READ, MAP_SHARED, scene->fd, 0);
        MR_ASSERT(scene->mapped != MAP_FAILED);
        close(scene->fd);
    }
    MR_ASSERT(holder != LINKED || link(scene->path, scene->other) == 0);
    MR_ASSERT(holder != READABLE || chmod(scene->path, 0644) == 0);
}

/* Who has the file finds in it what was there. */
static void check_holder(const struct scene *scene, enum holder holder)
{
    char bytes[OLD_BYTES];
    if (holder == MAPPED) {
        assert_true(is_all(scene->mapped, 'a', OLD_BYTES));
        munmap((void *)(uintptr_t)scene->mapped, OLD_BYTES);
    } else if (holder == OPENED) {
        assert_int_equal(pread(scene->fd, bytes, OLD_BYTES, 0), OLD_BYTES);
        assert_true(is_all(bytes, 'a', OLD_BYTES));
        close(scene->fd);
    } else if (holder == LINKED) {
        assert_true(holds(scene->other, 'a', OLD_BYTES));
        assert_int_equal(unlink(scene->other), 0);
    }
}

/* `knows`: the filesystem is one whose leases tell. */
static void check(const char *folder, enum holder holder, bool knows)
{
    struct scene scene;
    struct stat about;
    bool made;
    set(&scene, folder, holder);
    fill(mr_file_create_over(scene.path, NEW_BYTES, &made), 'b', NEW_BYTES);
    assert_true(holds(scene.path, 'b', NEW_BYTES));
    assert_int_equal(stat(scene.path, &about), 0);
    assert_int_equal(about.st_mode & 07777, 0600);
    if (knows || holder != NOBODY) {
        assert_int_equal(made, holder != NOBODY);
    }
    check_holder(&scene, holder);
    assert_int_equal(unlink(scene.path), 0);
    fill(mr_file_create_over(scene.path, NEW_BYTES, &made), 'c', NEW_BYTES);
    assert_true(made && holds(scene.path, 'c', NEW_BYTES)); /* where there is none */
    assert_int_equal(unlink(scene.path), 0);
    assert_int_equal(rmdir(scene.folder), 0);
}

static void test_over(void **state)
{
    struct statfs about;
    const bool memory = statfs("/dev/shm", &about) == 0 && about.f_type == TMPFS_MAGIC &&
                        access("/dev/shm", W_OK) == 0;
    (void)state;
    for (enum holder holder = NOBODY; holder < HOLDERS; holder++) {
        check(memory ? "/dev/shm" : "/tmp", holder, memory);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_over)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
