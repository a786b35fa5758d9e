// The JSON bodies of replies, errors and notices, exactly as clients expect them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "source.h"
#include "wire/phoenix.h"

namespace oasync {

enum class StaleReason : uint8_t { kRetentionFloorBreach, kReplayBudgetExceeded, kCursorAheadOfHead, kEpochDiverged };
inline constexpr size_t kStaleReasons = 4;
const char* StaleReasonName(StaleReason reason);

// A cursor that cannot be resumed, and what the journal has instead.
struct StaleTopic {
  std::string topic;
  StaleReason reason = StaleReason::kRetentionFloorBreach;
  uint64_t resume_after = 0;
  uint64_t floor = 0;
  uint64_t head = 0;
  uint64_t epoch = 0;
  TopicPolicy policy;
};

// One topic of a subscription: where the client stands and where the topic ends.
struct TopicPosition {
  std::string topic;
  uint64_t watermark = 0;
  uint64_t epoch = 0;
  uint64_t head = 0;
};

// A watermark as JSON: a number, or a decimal string above 2^53.
Json WatermarkJson(uint64_t watermark);

// [{"topic","watermark","epoch"}]
Json CursorsJson(const std::vector<TopicPosition>& positions);
// [{"topic","watermark"}] of the heads
Json HeadsJson(const std::vector<TopicPosition>& positions);
// [{"topic","watermark","epoch","head_watermark"}]
Json HeartbeatJson(const std::vector<TopicPosition>& positions);

// {"code","message"} and whatever the caller adds.
Json ErrorJson(std::string_view code, std::string_view message);
// The stale_cursor object. REQUIRES: stale is not empty.
Json StaleCursorJson(const std::vector<StaleTopic>& stale);

}  // namespace oasync
