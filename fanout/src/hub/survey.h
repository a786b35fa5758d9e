// Survey: what operators want to know of a loop's sessions. Taken on the loop's thread, bounded, and carried away as
// values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace oasync {

// What a socket knows of itself that its session does not.
struct SocketFacts {
  std::string address;          // of the client; behind a trusted proxy, the one it speaks for
  int64_t connected_at_ms = 0;  // Unix milliseconds
  uint64_t bytes_out = 0;
  int strikes = 0;
  bool is_admin = false;  // by the admin listener
};

struct SurveyedTopic {
  std::string topic;
  uint64_t watermark = 0;  // what the client was sent last
  uint64_t head = 0;
};

struct SurveyedSession {
  std::string id;  // as clients know it, "sub_…"
  std::string subject;
  std::string org_id;
  std::string session_id;
  std::string device_id;
  std::string token_id;
  int64_t token_expires_at_s = 0;
  std::string client;  // as it called itself when it joined
  std::string client_build_id;
  const char* encoding = "json";
  bool is_catching_up = false;  // a replay is under way
  size_t topics_total = 0;
  uint64_t lag_events_max = 0;        // over all its topics
  std::vector<SurveyedTopic> topics;  // at most kSurveyedTopics, those furthest behind first
  SocketFacts socket;
};

inline constexpr size_t kSurveyedTopics = 20;
// Sessions that one survey looks at, of each loop.
inline constexpr size_t kSurveyedSessions = 50000;
// Subscriptions whose lag one survey of a loop compares; sessions beyond are counted, and not described.
inline constexpr size_t kSurveyedSubscriptions = 20000;

struct SurveyQuestion {
  std::string topic;    // that follow it; empty: any
  std::string subject;  // of it; empty: of any
  size_t limit = 100;
};

struct Survey {
  std::vector<SurveyedSession> sessions;  // that have joined
  size_t total = 0;                       // that match, those beyond the limit included
  bool is_partial = false;                // there were more than could be looked at
};

}  // namespace oasync
