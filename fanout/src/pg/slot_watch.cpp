#include "slot_watch.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "base/log.h"
#include "pg_binary.h"

namespace oasync::pg {

namespace {

constexpr Millis kLookInterval{2000};
constexpr size_t kMaxNoted = 3600;

constexpr char kLookSql[] =
    "SELECT (c.wal - '0/0')::bigint, coalesce(s.restart_lsn - '0/0', 0)::bigint"
    " FROM pg_catalog.pg_replication_slots s,"
    " (SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END) c(wal)"
    " WHERE s.slot_name = $1::text";
// Megabytes that a slot may hold, -1 for any number; and the WAL position now.
constexpr char kLimitSql[] =
    "SELECT (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END"
    " - '0/0')::bigint, setting::bigint FROM pg_catalog.pg_settings WHERE name = 'max_slot_wal_keep_size'";
constexpr int kMegabyteShift = 20;

}  // namespace

void WalLag::Note(TimePoint now, uint64_t server_position) {
  if (!noted_.empty() && server_position <= noted_.back().wal) return;
  if (noted_.size() < kMaxNoted) noted_.push_back({now, server_position});
}

Millis WalLag::Behind(TimePoint now, uint64_t received) {
  while (!noted_.empty() && noted_.front().wal <= received) noted_.pop_front();
  if (noted_.empty()) return Millis(0);
  return std::chrono::duration_cast<Millis>(now - noted_.front().when);
}

SlotWatch::SlotWatch(JournalReader* reader, std::function<void(Task)> post, PgSourceStats* stats)
    : reader_(*reader), post_(std::move(post)), stats_(*stats) {}

void SlotWatch::Tick(TimePoint now, const std::string& slot, uint64_t received) {
  if (slot != slot_) {
    slot_ = slot;
    lag_.Clear();
    server_position_ = restart_position_ = retained_bytes_ = 0;
    next_look_ = now;
    stats_.slot_retained_bytes.store(0, std::memory_order_relaxed);
  }
  const uint64_t behind = received == 0 || server_position_ < received ? 0 : server_position_ - received;
  stats_.slot_lag_bytes.store(behind, std::memory_order_relaxed);
  stats_.slot_lag_ms.store(received == 0 ? 0 : static_cast<uint64_t>(lag_.Behind(now, received).count()),
                           std::memory_order_relaxed);
  if (slot_.empty() || under_way_ || now < next_look_) return;
  next_look_ = now + kLookInterval;
  Look();
}

void SlotWatch::Look() {
  under_way_ = true;
  reader_.Ask({}, {"slot", kLookSql, {slot_}}, [this, slot = slot_](ReadResult<PgResultRef> result) {
    post_([this, slot, result = std::move(result)] { OnLook(slot, Clock::now(), result); });
  });
}

void SlotWatch::OnLook(const std::string& slot, TimePoint asked, const ReadResult<PgResultRef>& result) {
  under_way_ = false;
  if (slot != slot_ || !result.ok() || PQntuples(result.value.get()) != 1) return;
  const auto server = UnsignedField(result.value.get(), 0, 0);
  const auto restart = UnsignedField(result.value.get(), 0, 1);
  if (!server || !restart) return;
  server_position_ = *server;
  restart_position_ = *restart;
  retained_bytes_ = *restart == 0 || *restart > *server ? 0 : *server - *restart;
  lag_.Note(asked, *server);
  stats_.slot_retained_bytes.store(retained_bytes_, std::memory_order_relaxed);
}

void SlotWatch::Inquire() {
  if (restart_position_ == 0) return;
  reader_.Ask(
      {}, {"slot limit", kLimitSql, {}},
      [this, slot = slot_, restart = restart_position_](const ReadResult<PgResultRef>& result) {
        if (!result.ok() || PQntuples(result.value.get()) != 1) return;
        const auto position = UnsignedField(result.value.get(), 0, 0);
        const auto limit = UnsignedField(result.value.get(), 0, 1);  // null for -1
        if (!position || !limit || *position < restart) return;
        if (*position - restart <= *limit << kMegabyteShift) return;
        stats_.slot_invalidations.fetch_add(1, std::memory_order_relaxed);
        LogWarn("tail.slot_invalidated",
                "tail: slot {slot} held {bytes} bytes of WAL and was ended for max_slot_wal_keep_size ({limit_mb} MB)",
                {{"slot", slot}, {"bytes", *position - restart}, {"limit_mb", *limit}});
      });
}

}  // namespace oasync::pg
