// Clocks that can be set: a library that is loaded before a program, which adds to the time what a file says.
import { execFileSync } from 'node:child_process';
import { closeSync, openSync, writeFileSync, writeSync } from 'node:fs';

const source = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
static const volatile long long* offset;
static int (*real)(clockid_t, struct timespec*);
__attribute__((constructor)) static void Begin(void) {
  const char* name = getenv("OA_SYNC_CLOCK");
  const int file = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
  void* place = file < 0 ? MAP_FAILED : mmap(0, sizeof(*offset), PROT_READ, MAP_SHARED, file, 0);
  if (place != MAP_FAILED) offset = place;
  if (file >= 0) close(file);
}
int clock_gettime(clockid_t clock, struct timespec* now) {
  if (!real) real = (int (*)(clockid_t, struct timespec*))dlsym(RTLD_NEXT, "clock_gettime");
  const int status = real(clock, now);
  if (status == 0 && offset && clock == CLOCK_REALTIME) now->tv_sec += *offset;
  return status;
}
int gettimeofday(struct timeval* restrict tv, void* restrict zone) {
  struct timespec now;
  const int status = clock_gettime(CLOCK_REALTIME, &now);
  tv->tv_sec = now.tv_sec;
  tv->tv_usec = now.tv_nsec / 1000;
  return status;
}
`;

/** A clock for one program or several. */
export class Clock {
  /** @param {string} file */
  constructor(file) {
    this.file = file;
    writeFileSync(file, Buffer.alloc(8), { mode: 0o644 });
  }

  /** How far it is ahead. @param {number} seconds */
  set(seconds) {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(BigInt(seconds));
    const file = openSync(this.file, 'r+');
    writeSync(file, bytes, 0, 8, 0);
    closeSync(file);
  }

  /** Builds the library into a directory that everybody may read; returns its path. @param {string} dir */
  static build(dir) {
    writeFileSync(`${dir}/clock.c`, source);
    execFileSync('cc', ['-O2', '-shared', '-fPIC', '-o', `${dir}/clock.so`, `${dir}/clock.c`]);
    return `${dir}/clock.so`;
  }

  /** @param {string} library @returns {Record<string, string>} the environment of a program that has this clock */
  environment(library) {
    return { LD_PRELOAD: library, OA_SYNC_CLOCK: this.file };
  }
}
