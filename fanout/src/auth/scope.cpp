#include "auth/scope.h"

#include <algorithm>

namespace oasync {

bool ScopeSet::Allows(std::string_view topic) const {
  return std::any_of(patterns_.begin(), patterns_.end(), [&](const Pattern& pattern) {
    return pattern.is_prefix ? topic.substr(0, pattern.text.size()) == pattern.text : topic == pattern.text;
  });
}

std::vector<std::string> ScopeSet::Names() const {
  std::vector<std::string> names;
  names.reserve(patterns_.size());
  for (const Pattern& pattern : patterns_) names.push_back(pattern.is_prefix ? pattern.text + '*' : pattern.text);
  return names;
}

}  // namespace oasync
