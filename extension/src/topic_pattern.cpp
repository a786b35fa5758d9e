#include "topic_pattern.h"

#include "bytes.h"
#include "text_template.h"

namespace oasync {
namespace {

size_t Stars(std::string_view pattern) {
  size_t stars = 0;
  for (const char c : pattern) stars += c == '*';
  return stars;
}

}  // namespace

bool IsValidPattern(std::string_view pattern) {
  if (pattern.empty() || pattern.size() > kMaxTopicBytes) return false;
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] != '*') {
      if (!IsValidTopic(Part(pattern, i, 1))) return false;
    } else if (i > 0 && pattern[i - 1] == '*') {
      return false;
    }
  }
  return true;
}

bool MatchesPattern(std::string_view pattern, std::string_view topic) {
  size_t p = 0;
  size_t t = 0;
  bool starred = false;
  size_t after_star = 0;  // where the pattern goes on behind the last star
  size_t star_end = 0;    // where in the topic that star ends for now
  while (t < topic.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      starred = true;
      after_star = ++p;
      star_end = t;
    } else if (p < pattern.size() && pattern[p] == topic[t]) {
      ++p;
      ++t;
    } else if (starred) {
      // Only the last star has to take more: what is before it has matched as early as it can.
      p = after_star;
      t = ++star_end;
    } else {
      return false;
    }
  }
  if (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

bool DecidesBefore(std::string_view a, std::string_view b) {
  const size_t stars_a = Stars(a);
  const size_t stars_b = Stars(b);
  if (a.size() - stars_a != b.size() - stars_b) return a.size() - stars_a > b.size() - stars_b;
  if (stars_a != stars_b) return stars_a < stars_b;
  return a < b;
}

}  // namespace oasync
