#include "traceparent.h"

namespace oasync {
namespace {

// The fields: where each begins and how long it is. A dash is between them.
struct Field {
  size_t at;
  size_t length;
};
constexpr Field kVersion = {0, 2};
constexpr Field kTraceId = {3, 32};
constexpr Field kParentId = {36, 16};
constexpr Field kFlags = {53, 2};

bool IsHex(std::string_view value, Field field) {
  for (size_t i = field.at; i < field.at + field.length; ++i) {
    const char c = value[i];
    if ((c < '0' || c > '9') && (c < 'a' || c > 'f')) return false;
  }
  return true;
}

bool IsAll(std::string_view value, Field field, char c) {
  for (size_t i = field.at; i < field.at + field.length; ++i) {
    if (value[i] != c) return false;
  }
  return true;
}

}  // namespace

bool IsTraceparent(std::string_view value) {
  if (value.size() != kTraceparentBytes || value[2] != '-' || value[35] != '-' || value[52] != '-') return false;
  for (const Field field : {kVersion, kTraceId, kParentId, kFlags}) {
    if (!IsHex(value, field)) return false;
  }
  return !IsAll(value, kVersion, 'f') && !IsAll(value, kTraceId, '0') && !IsAll(value, kParentId, '0');
}

}  // namespace oasync
