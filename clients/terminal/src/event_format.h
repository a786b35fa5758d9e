// What is printed: updates, documents of a snapshot, and the mark that a topic begins anew; as JSON lines or as text.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "follower.h"
#include "openagents/sync/v1/sync.pb.h"
#include "terminal.h"

namespace oasync::terminal {

// "upsert", "delete", "truncate".
const char* OpName(int op);

// A document of a snapshot, its values as they were sent.
struct SnapshotDocument {
  std::string doc_key;
  std::string doc_version;   // digits
  std::string payload;       // JSON text
  std::string payload_hash;  // base64
};

class EventFormat {
 public:
  // `json`: one object a line. `for_terminal`: what a terminal would obey is escaped, also inside JSON strings, where
  // that changes nothing of their meaning; otherwise JSON is passed on byte by byte.
  EventFormat(bool json, bool for_terminal, Painter paint) : json_(json), for_terminal_(for_terminal), paint_(paint) {}

  std::string Update(const openagents::sync::v1::Update& update) const;
  std::string Document(const std::string& topic, const SnapshotDocument& document, const Cursor& cursor) const;
  // What was printed of the topic before counts no more: documents follow, or its events from the floor.
  std::string Resync(const std::string& topic, const std::string& reason, const Cursor& cursor) const;

 private:
  std::string Line(const std::string& json) const;

  const bool json_;
  const bool for_terminal_;
  const Painter paint_;
};

// "2026-11-23 05:46:04.123Z"
std::string FormatTime(int64_t unix_us);

}  // namespace oasync::terminal
