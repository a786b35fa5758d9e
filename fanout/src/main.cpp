// oa-sync-fanout: reads its settings, sets the process up, and serves.
#include <libwebsockets.h>
#include <malloc.h>
#include <pthread.h>
#include <sys/resource.h>

#include <csignal>
#include <cstdio>
#include <string>
#include <string_view>

#include "base/log.h"
#include "base/service_manager.h"
#include "config.h"
#include "housekeeping.h"
#include "pg/pg_source.h"
#include "server.h"

namespace oasync {
namespace {

// One descriptor per connection, and some for everything else. Not more: libwebsockets allocates a table for all.
void RaiseDescriptorLimit(const Config& config) {
  constexpr rlim_t kOthers = 256;
  const rlim_t wanted = rlim_t{config.max_connections} + config.max_handshakes + config.admin_max_connections + kOthers;
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, wanted);
  setrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur < wanted) {
    LogWarn("server.few_descriptors",
            "the descriptor limit {limit} is too low for --max-connections {connections}, --max-handshakes "
            "{handshakes} and {others} others",
            {{"limit", limit.rlim_cur},
             {"connections", config.max_connections},
             {"handshakes", config.max_handshakes},
             {"others", kOthers}});
  }
}

// A turn of the tail or of a loop takes and gives back some megabytes of events and frames. By default glibc returns
// them to the kernel at once and asks for them again, page by page, in the next turn. Here it keeps some.
void KeepFreedMemory() {
  mallopt(M_MMAP_THRESHOLD, 4 << 20);
  mallopt(M_TRIM_THRESHOLD, 16 << 20);
  mallopt(M_TOP_PAD, 1 << 20);
}

void LogFromLibrary(int, const char* line) {
  std::string_view text(line);
  while (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  LogDebug("library.message", "libwebsockets: {text}", {{"text", text}});
}

int Main(int argc, char** argv) {
  const ConfigResult result = ReadConfig(argc, argv);
  if (!result.config) {
    if (result.exit_code == 0) {
      std::fputs(result.message.c_str(), stdout);
    } else {
      std::fprintf(stderr, "oa-sync-fanout: %s\n", result.message.c_str());
    }
    return result.exit_code;
  }
  const Config& config = *result.config;
  if (const std::string error = PgSource::CheckConninfo(config.database); !error.empty()) {
    std::fprintf(stderr, "oa-sync-fanout: --database: %s\n", error.c_str());
    return kExitBadConfiguration;
  }
  const ServiceManager service_manager = ServiceManager::FromEnvironment();
  KeepFreedMemory();
  SetUpLogging(config.log_level, config.log_json);
  lws_set_log_level(LLL_ERR | LLL_WARN, &LogFromLibrary);
  // Before the first thread, so that all of them inherit it: signals are waited for by one alone.
  const sigset_t signals = HandledSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  RaiseDescriptorLimit(config);
  return Serve(config, service_manager);
}

}  // namespace
}  // namespace oasync

int main(int argc, char** argv) {
  try {
    return oasync::Main(argc, argv);
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "oa-sync-fanout: %s\n", failure.what());
    return oasync::kExitRuntimeFailure;
  }
}
