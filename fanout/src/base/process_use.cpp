#include "base/process_use.h"

#include <dirent.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

namespace oasync {
namespace {

constexpr char kDescriptors[] = "/proc/self/fd";
constexpr int64_t kEveryMs = 1000;
constexpr int64_t kTimesWhatItTakes = 100;

// `limit` where none is left to look with.
int64_t CountDescriptors(int64_t limit) {
  struct stat about {};
  if (stat(kDescriptors, &about) == 0 && about.st_size > 0) return about.st_size;
  DIR* directory = opendir(kDescriptors);
  if (directory == nullptr) return errno == EMFILE ? limit : -1;
  int64_t count = 0;
  while (const dirent* entry = readdir(directory)) count += entry->d_name[0] != '.';
  closedir(directory);
  return count - 1;  // the directory itself was one of them
}

int64_t ResidentBytes() {
  FILE* file = std::fopen("/proc/self/statm", "re");
  if (file == nullptr) return -1;
  long all = 0;
  long resident = 0;
  const int read = std::fscanf(file, "%ld %ld", &all, &resident);
  std::fclose(file);
  return read == 2 ? int64_t{resident} * sysconf(_SC_PAGESIZE) : -1;
}

}  // namespace

ProcessUse ReadProcessUse() {
  ProcessUse use;
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) use.descriptor_limit = static_cast<int64_t>(limit.rlim_cur);
  use.open_descriptors = CountDescriptors(use.descriptor_limit);
  use.resident_bytes = ResidentBytes();
  return use;
}

void ProcessWatch::Tick() {
  const int64_t begun = clock_.SteadyMs();
  if (begun < next_ms_) return;
  const ProcessUse use = ReadProcessUse();
  const int64_t ended = clock_.SteadyMs();
  next_ms_ = ended + std::max(kEveryMs, kTimesWhatItTakes * (ended - begun));
  const std::lock_guard lock(mutex_);
  use_ = use;
}

ProcessUse ProcessWatch::Read() const {
  const std::lock_guard lock(mutex_);
  return use_;
}

}  // namespace oasync
