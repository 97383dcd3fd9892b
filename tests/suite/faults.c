// Put in front of the system's library by LD_PRELOAD: makes the calls of a program on files below a folder fail, and
// counts them. See campaign.rs.
//
//   FAULT_ROOT    the folder
//   FAULT_AT      which call fails, from 1; 0 for none
//   FAULT_ERRNO   the number of its error
//   FAULT_STAYS   1: every later call that needs room on the disk fails, too, and the first write does half its work
//   FAULT_TELL    a file that is told how many calls there were and which one failed
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static int calls;
static const char *failed = "none";
static char below[1024]; // which descriptors are of files below the folder

static const char *setting(const char *name) {
    const char *text = getenv(name);
    return text ? text : "";
}

static int is_below(const char *path) {
    const char *root = setting("FAULT_ROOT");
    return path && *root && strncmp(path, root, strlen(root)) == 0;
}

static int is_open(int fd) {
    return fd >= 0 && fd < (int)sizeof below && below[fd];
}

// Counts one call; whether it is to fail, with errno set.
static int fails(const char *name, int needs_room) {
    int n = __atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST), at = atoi(setting("FAULT_AT"));
    int now = at && (n == at || (n > at && needs_room && atoi(setting("FAULT_STAYS"))));
    if (now) {
        if (n == at) failed = name;
        errno = atoi(setting("FAULT_ERRNO"));
    }
    return now;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int opened(int fd, const char *path) {
    if (fd >= 0 && fd < (int)sizeof below) below[fd] = is_below(path);
    return fd;
}

#define OPEN(name)                                                              \
    int name(const char *path, int flags, ...) {                                \
        va_list rest;                                                           \
        va_start(rest, flags);                                                  \
        int mode = va_arg(rest, int);                                           \
        va_end(rest);                                                           \
        if (is_below(path) && fails(#name, flags & O_CREAT)) return -1;         \
        return opened(REAL(name)(path, flags, mode), path);                     \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                            \
    int name(int at, const char *path, int flags, ...) {                        \
        va_list rest;                                                           \
        va_start(rest, flags);                                                  \
        int mode = va_arg(rest, int);                                           \
        va_end(rest);                                                           \
        if (is_below(path) && fails(#name, flags & O_CREAT)) return -1;         \
        return opened(REAL(name)(at, path, flags, mode), path);                 \
    }
OPENAT(openat)
OPENAT(openat64)

int close(int fd) {
    if (fd >= 0 && fd < (int)sizeof below) below[fd] = 0;
    return REAL(close)(fd);
}

ssize_t write(int fd, const void *bytes, size_t count) {
    if (is_open(fd) && fails("write", 1)) {
        if (failed[0] == 'w' && atoi(setting("FAULT_STAYS")) && calls == atoi(setting("FAULT_AT")) && count > 1) {
            return REAL(write)(fd, bytes, count / 2);
        }
        return -1;
    }
    return REAL(write)(fd, bytes, count);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    return is_open(fd) && fails("writev", 1) ? -1 : REAL(writev)(fd, parts, count);
}

int fsync(int fd) {
    return is_open(fd) && fails("fsync", 1) ? -1 : REAL(fsync)(fd);
}

int fdatasync(int fd) {
    return is_open(fd) && fails("fdatasync", 1) ? -1 : REAL(fdatasync)(fd);
}

int ftruncate64(int fd, off64_t length) {
    return is_open(fd) && fails("ftruncate", 1) ? -1 : REAL(ftruncate64)(fd, length);
}

int rename(const char *from, const char *to) {
    return is_below(to) && fails("rename", 1) ? -1 : REAL(rename)(from, to);
}

int mkdir(const char *path, mode_t mode) {
    return is_below(path) && fails("mkdir", 1) ? -1 : REAL(mkdir)(path, mode);
}

__attribute__((destructor)) static void tell(void) {
    FILE *out = fopen(setting("FAULT_TELL"), "w");
    if (out) {
        fprintf(out, "%d %s\n", calls, failed);
        fclose(out);
    }
}
