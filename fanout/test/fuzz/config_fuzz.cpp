// Configuration files: read, or refused in one line with exit code 2.
#include "fuzz.h"

#include <sys/mman.h>
#include <unistd.h>

#include <string>

#include "config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const int fd = memfd_create("config", 0);
  PROMISE(fd >= 0 && write(fd, data, size) == static_cast<ssize_t>(size));
  const std::string path = "/proc/self/fd/" + std::to_string(fd);
  const char* const arguments[] = {"oa-sync-fanout", "--config", path.c_str()};
  const oasync::ConfigResult result = oasync::ReadConfig(3, arguments);
  close(fd);
  if (result.config) {
    PROMISE(!result.config->database.empty() && !result.config->keyring_file.empty());
    PROMISE(result.config->hub.batch.max_batch_bytes > result.config->hub.batch.max_update_bytes);
    PROMISE(oasync::SettingsAsJson(result.config->settings).find(result.config->database + "\"") == std::string::npos ||
            result.config->database.size() < 16);
  } else if (result.exit_code != 0) {
    PROMISE(result.exit_code == 2 && !result.message.empty());
    PROMISE(result.message.find('\n') == std::string::npos);
  }
  return 0;
}
