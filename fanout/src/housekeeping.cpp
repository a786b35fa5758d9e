#include "housekeeping.h"

#include <unistd.h>

#include <cstdint>
#include <fstream>

#include "base/log.h"
#include "net/health.h"
#include "net/tls.h"

namespace oasync {
namespace {

constexpr timespec kTurn{1, 0};

uint64_t ResidentMb() {
  std::ifstream statm("/proc/self/statm");
  uint64_t size_pages = 0;
  uint64_t resident_pages = 0;
  statm >> size_pages >> resident_pages;
  return resident_pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE)) / (1024 * 1024);
}

}  // namespace

sigset_t HandledSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, signal);
  return signals;
}

int Housekeeping::Run() {
  const sigset_t signals = HandledSignals();
  while (true) {
    revocations_.Tick();
    const int received = sigtimedwait(&signals, nullptr, &kTurn);
    if (received == SIGTERM || received == SIGINT) return received;
    CheckMemory();
    TellAlive();
    auth_.Reload(received == SIGHUP);
    // Both are looked at, whatever the first says.
    const bool certificate_changed = certificate_.Changed();
    const bool key_changed = key_.Changed();
    if (shared_.tls && (certificate_changed || key_changed || received == SIGHUP)) ReloadTls();
  }
}

void Housekeeping::TellAlive() {
  const int stalled = StalledLoops(shared_.metrics, shared_.clock.SteadyMs(), config_.loop_stall_ms);
  if (stalled == 0) service_manager_.Alive();
}

void Housekeeping::ReloadTls() {
  std::string error;
  const TlsIdentityRef identity = LoadTlsIdentity(config_.tls_certificate, config_.tls_key, &error);
  shared_.metrics.shared.tls_reloads.Add(identity ? "ok" : "failed");
  if (!identity) {
    // Maybe only one of the files is there yet: the change of the other one brings us here again.
    LogError("tls.certificate_kept", "the certificate is kept as it was: {error}", {{"error", error}});
    return;
  }
  for (const auto& loop : loops_) loop->SetTls(identity);
  shared_.metrics.tls_expires_s.store(ExpiryOf(*identity));
  LogInfo("tls.certificate_changed", "new certificate in use");
}

void Housekeeping::CheckMemory() {
  if (config_.memory_limit_mb == 0) return;
  const bool pressure = ResidentMb() >= config_.memory_limit_mb;
  if (shared_.memory_pressure.exchange(pressure) == pressure) return;
  if (pressure) {
    LogWarn("memory.over_limit", "over --memory-limit-mb {limit_mb}: new WebSockets are refused",
            {{"limit_mb", config_.memory_limit_mb}});
  } else {
    LogWarn("memory.below_limit", "below --memory-limit-mb {limit_mb} again", {{"limit_mb", config_.memory_limit_mb}});
  }
}

}  // namespace oasync
