// Scopes: which topics a token opens.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace oasync {

// A list of topic patterns: exact topics, and prefixes (granted as "run:*"). Immutable once built; any thread.
class ScopeSet {
 public:
  struct Pattern {
    std::string text;  // without the '*'
    bool is_prefix;
  };

  void Add(Pattern pattern) { patterns_.push_back(std::move(pattern)); }
  bool Allows(std::string_view topic) const;
  // The patterns as they were granted, in their order.
  std::vector<std::string> Names() const;

 private:
  std::vector<Pattern> patterns_;
};

}  // namespace oasync
