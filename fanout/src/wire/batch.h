// BatchBuilder: turns a run of events into one ready sync:update_batch frame.
#pragma once

#include <cstdint>
#include <string>

#include "event.h"
#include "wire/frame.h"

namespace oasync {

// The Phoenix topic that everything of OA Sync goes over.
inline constexpr char kChannel[] = "sync:v1";

enum class Encoding : uint8_t { kJson, kProto };

// What one batch may hold. Bytes are of the encoding in question.
struct BatchLimits {
  uint32_t max_events = 200;
  uint64_t max_update_bytes = 262144;  // a larger update is sent without its payload, to be fetched over HTTP
  uint64_t max_batch_bytes = 2097152;  // the whole frame
};

// Collects the events of one topic from one place on, in order, until a limit is met.
//
//   BatchBuilder builder(Encoding::kJson, limits, topic);
//   while (more && builder.Add(next)) …
//   if (builder.has_updates()) send(builder.Finish(…));
//
// Void events take part in the interval but not in the batch. A run of nothing but voids has no batch: the caller
// moves its reading position to through() and keeps the interval's start where it was.
class BatchBuilder {
 public:
  BatchBuilder(Encoding encoding, const BatchLimits& limits, const std::string& topic);

  // False if the event does not fit; the batch is complete then and the event belongs to the next one. An event that
  // comes first always fits.
  bool Add(const Event& event);

  bool has_updates() const { return frame_->updates > 0; }
  // Watermark of the last event added; 0 before the first.
  uint64_t through() const { return through_; }

  // The frame that covers (after, through()]. REQUIRES: has_updates(). The builder is used up.
  FrameRef Finish(uint64_t after, bool replay_complete, uint64_t head, uint64_t epoch);

 private:
  void FinishJson(uint64_t after, bool replay_complete, uint64_t head);
  void FinishProto(uint64_t after, bool replay_complete, uint64_t head, uint64_t epoch);

  const Encoding encoding_;
  const BatchLimits limits_;
  const std::string& topic_;
  const size_t tail_bytes_;  // upper bound of what Finish appends
  FrameRef frame_;
  uint64_t through_ = 0;
};

}  // namespace oasync
