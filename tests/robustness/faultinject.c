/* Preloaded library that makes one file call fail: bar R2, "fail at the nth call".
 *
 * Counts calls that change files below one folder and fails calls number `at` to
 * `at + times - 1`; the test arms it through fault_arm(). It sits below SQLite and Python
 * alike, since both reach the C library's functions by name.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SHORT_WRITE = -1 };

static char folder[PATH_MAX];
static atomic_long calls, fail_from, fail_until;
static atomic_int failure;
static char last_failed[64];

void fault_arm(const char *below, long at, long times, int how) {
  atomic_store(&calls, 0);
  atomic_store(&fail_from, at);
  atomic_store(&fail_until, at + times);
  atomic_store(&failure, how);
  last_failed[0] = 0;
  snprintf(folder, sizeof folder, "%s", below);
}

void fault_disarm(void) { folder[0] = 0; }
long fault_calls(void) { return atomic_load(&calls); }
const char *fault_last(void) { return last_failed; }

static int fails(const char *name, const char *path, int writes) {
  if (!folder[0] || strncmp(path, folder, strlen(folder)) != 0) return 0;
  if (atomic_load(&failure) == SHORT_WRITE && !writes) return 0;
  long call = atomic_fetch_add(&calls, 1) + 1;
  if (call < atomic_load(&fail_from) || call >= atomic_load(&fail_until)) return 0;
  snprintf(last_failed, sizeof last_failed, "%s %s", name, strrchr(path, '/') + 1);
  errno = atomic_load(&failure);
  return 1;
}

static int fails_on(const char *name, int fd, int writes) {
  char link[40], path[PATH_MAX];
  if (!folder[0]) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length <= 0) return 0;
  path[length] = 0;
  return fails(name, path, writes);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define WRITES(name, parameters, arguments, shorter)                     \
  ssize_t name parameters {                                              \
    if (fails_on(#name, fd, 1)) {                                        \
      if (atomic_load(&failure) != SHORT_WRITE || size < 2) return -1;   \
      return REAL(name) shorter;                                         \
    }                                                                    \
    return REAL(name) arguments;                                         \
  }

WRITES(write, (int fd, const void *data, size_t size), (fd, data, size), (fd, data, size / 2))
WRITES(pwrite, (int fd, const void *data, size_t size, off_t at), (fd, data, size, at),
       (fd, data, size / 2, at))
WRITES(pwrite64, (int fd, const void *data, size_t size, off64_t at), (fd, data, size, at),
       (fd, data, size / 2, at))

#define ON_DESCRIPTOR(name, parameters, arguments) \
  int name parameters { return fails_on(#name, fd, 0) ? -1 : REAL(name) arguments; }

ON_DESCRIPTOR(fsync, (int fd), (fd))
ON_DESCRIPTOR(fdatasync, (int fd), (fd))
ON_DESCRIPTOR(ftruncate, (int fd, off_t size), (fd, size))
ON_DESCRIPTOR(ftruncate64, (int fd, off64_t size), (fd, size))
ON_DESCRIPTOR(fchmod, (int fd, mode_t mode), (fd, mode))

#define ON_PATH(name, parameters, arguments) \
  int name parameters { return fails(#name, path, 0) ? -1 : REAL(name) arguments; }

ON_PATH(rename, (const char *path, const char *to), (path, to))
ON_PATH(unlink, (const char *path), (path))
ON_PATH(mkdir, (const char *path, mode_t mode), (path, mode))

#define OPENS(name)                                                            \
  int name(const char *path, int flags, ...) {                                 \
    va_list rest;                                                              \
    va_start(rest, flags);                                                     \
    mode_t mode = va_arg(rest, mode_t);                                        \
    va_end(rest);                                                              \
    if ((flags & (O_CREAT | O_WRONLY | O_RDWR)) && fails(#name, path, 0)) return -1; \
    return REAL(name)(path, flags, mode);                                      \
  }

OPENS(open)
OPENS(open64)
