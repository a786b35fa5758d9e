// Filter: which updates are shown. What is not shown is passed over, and the cursor moves on all the same. Pure.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "openagents/sync/v1/sync.pb.h"

namespace oasync::terminal {

// Whether the text fits the pattern: * is any run of characters, ? any one character (of UTF-8), a backslash takes the
// next one as it is.
bool GlobMatches(std::string_view pattern, std::string_view text);

// "path=value" or "path!=value": path leads into the payload, members and indexes of lists separated by dots.
struct FieldCondition {
  std::vector<std::string> path;
  std::string text;
  nlohmann::json value;  // the text as JSON; discarded when it is none
  bool negated = false;

  static std::optional<FieldCondition> Parse(const std::string& text);
  // Equal: a string that is the text, or a value that is the text read as JSON. A field that is not there equals
  // nothing, so `!=` is true of it.
  bool Holds(const nlohmann::json& payload) const;
};

class Filter {
 public:
  std::set<std::string> ops;           // empty: all
  std::vector<std::string> keys;       // patterns, one of which fits; empty: all
  std::vector<FieldCondition> fields;  // all hold

  bool empty() const { return ops.empty() && keys.empty() && fields.empty(); }
  bool Shows(const openagents::sync::v1::Update& update) const;
};

}  // namespace oasync::terminal
