// W3C trace context, level 1: the form of a traceparent, `00-<32 hex>-<16 hex>-<2 hex>`.
//
// Knows nothing of PostgreSQL. What an application sets goes unchanged to whoever reads its events.
#pragma once

#include <cstddef>
#include <string_view>

namespace oasync {

// Every valid one has this length.
constexpr size_t kTraceparentBytes = 55;

// Lower-case hex digits, a version that is not ff, a trace-id and a parent-id that are not all zeros.
bool IsTraceparent(std::string_view value);

}  // namespace oasync
