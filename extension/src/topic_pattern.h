// Patterns of topics: `run:*:events`. A star stands for any run of characters, also for none.
//
// Knows nothing of PostgreSQL.
#pragma once

#include <string_view>

namespace oasync {

// A pattern is 1 to 160 bytes of a topic's characters and stars, no two stars side by side.
bool IsValidPattern(std::string_view pattern);

// REQUIRES a valid pattern. Costs at most the product of the two lengths.
bool MatchesPattern(std::string_view pattern, std::string_view topic);

// The order in which patterns decide: more characters that are not stars, then fewer stars, then the lower bytes.
// A total order: of two different patterns one decides before the other. A topic itself decides before every pattern.
bool DecidesBefore(std::string_view a, std::string_view b);

}  // namespace oasync
