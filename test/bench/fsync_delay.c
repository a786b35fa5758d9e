/* Preloaded into PostgreSQL by the benches: makes every fdatasync() take longer by the number of microseconds that
 * the file OA_BENCH_FSYNC_DELAY_FILE holds (a native 32-bit integer), read at each call, so that a slow disk can be
 * switched on and off while the server runs. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static const volatile uint32_t *delay_us;
static int (*real_fdatasync)(int);

__attribute__((constructor)) static void Start(void) {
  *(void **)&real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
  const char *path = getenv("OA_BENCH_FSYNC_DELAY_FILE");
  const int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  void *map = mmap(NULL, sizeof(uint32_t), PROT_READ, MAP_SHARED, fd, 0);
  close(fd);
  if (map != MAP_FAILED) delay_us = map;
}

int fdatasync(int fd) {
  const int result = real_fdatasync(fd);
  const uint32_t us = delay_us == NULL ? 0 : *delay_us;
  if (us == 0) return result;
  const int saved = errno;
  struct timespec rest = {us / 1000000, (long)(us % 1000000) * 1000};
  while (nanosleep(&rest, &rest) != 0 && errno == EINTR) {
  }
  errno = saved;
  return result;
}
