// Follower: the place in each topic, and what a batch does to it. Pure.
//
// A batch covers every watermark in (after, through]. It is applied when it begins at the cursor or before it, what is
// known already being dropped; one that begins behind the cursor shows a gap, and the topic is subscribed to again from
// the cursor. So the cursor only ever moves over what was handed out.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "phoenix_channel.h"

namespace oasync::terminal {

struct Cursor {
  uint64_t epoch = 0;  // 0: not known
  uint64_t watermark = 0;

  bool operator==(const Cursor&) const = default;
};

class Follower {
 public:
  struct Topic {
    std::optional<Cursor> cursor;    // nothing: from the floor on
    uint64_t head = 0;               // the highest that was heard of
    std::optional<uint64_t> target;  // head at the first subscribe: there a replay ends
    uint64_t reached = 0;            // the server says that everything up to here was sent, voids included
    bool asked_again = false;        // a gap was seen; no reply yet
  };
  enum class Verdict : uint8_t {
    kApply,      // hand out the updates from `first` on, then call Advance
    kKnown,      // nothing new
    kGap,        // subscribe again from the cursor
    kIgnore,     // a topic that is not followed, or behind a gap that was seen before
    kMalformed,  // begins before anything was subscribed
  };
  struct Outcome {
    Verdict verdict = Verdict::kIgnore;
    int first = 0;  // index of the first update that is new
  };

  void Add(const std::string& topic, std::optional<Cursor> cursor) { topics_[topic].cursor = cursor; }
  // The topic begins anew, from a snapshot's cursor or (nothing) from its floor.
  void Restart(const std::string& topic, std::optional<Cursor> cursor);

  // The ok reply to a join or subscribe: places and heads.
  void Adopt(const Json& response);
  // A pushed sync:heartbeat, or the reply to one.
  void Heartbeat(const Json& payload);
  // A connection is gone: questions that were open have no answer.
  void Disconnected();

  Outcome Judge(const UpdateBatch& batch);
  // Everything up to the watermark was handed out.
  void Advance(const std::string& topic, uint64_t watermark);

  // The cursors for a join or subscribe, as resume_after.
  Json ResumeAfter() const;
  Json ResumeAfter(const std::string& topic) const;
  // Whether every topic has reached the head it had at its first subscribe.
  bool AtTargets() const;
  // Events that are still to come, up to the heads that were heard of.
  uint64_t Behind() const;

  const std::map<std::string, Topic>& topics() const { return topics_; }
  std::vector<std::string> names() const;

 private:
  std::map<std::string, Topic> topics_;
};

}  // namespace oasync::terminal
