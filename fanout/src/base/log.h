// Logging to stderr, as text or as one JSON object a line.
//
// Every decision that is worth a line has an event id of its own, which stays the same when the words change:
//   LogWarn("tail.slot_lost", "tail: slot {slot} lost: {why}", {{"slot", name}, {"why", error}});
// In text the fields stand in the message; in JSON they are members beside it too. docs/operations/logs.md lists every
// event, and a test compares it with the source. No token, key or payload is ever given to it.
#pragma once

#include <concepts>
#include <initializer_list>
#include <string>
#include <string_view>

namespace oasync {

enum class LogLevel { kDebug, kInfo, kWarn, kError, kCritical };

// A named value: a text or a number.
struct LogField {
  LogField(const char* field_name, std::string_view value) : name(field_name), text(value), is_number(false) {}
  LogField(const char* field_name, const char* value) : LogField(field_name, std::string_view(value)) {}
  LogField(const char* field_name, const std::string& value) : LogField(field_name, std::string_view(value)) {}
  template <std::integral Number>
  LogField(const char* field_name, Number value) : name(field_name), text(std::to_string(value)), is_number(true) {}

  const char* name;
  std::string text;
  bool is_number;
};

// Sets up the log. `level` is one of spdlog's names. Call once, before any thread logs.
void SetUpLogging(const std::string& level, bool json);

// `message` has {name} where a field's value is to stand. Any thread.
void Log(LogLevel level, const char* event, std::string_view message, std::initializer_list<LogField> fields = {});

inline void LogDebug(const char* event, std::string_view message, std::initializer_list<LogField> fields = {}) {
  Log(LogLevel::kDebug, event, message, fields);
}
inline void LogInfo(const char* event, std::string_view message, std::initializer_list<LogField> fields = {}) {
  Log(LogLevel::kInfo, event, message, fields);
}
inline void LogWarn(const char* event, std::string_view message, std::initializer_list<LogField> fields = {}) {
  Log(LogLevel::kWarn, event, message, fields);
}
inline void LogError(const char* event, std::string_view message, std::initializer_list<LogField> fields = {}) {
  Log(LogLevel::kError, event, message, fields);
}
inline void LogCritical(const char* event, std::string_view message, std::initializer_list<LogField> fields = {}) {
  Log(LogLevel::kCritical, event, message, fields);
}

// The line's content without its time and level. For Log, and for tests of it.
std::string LogText(const char* event, std::string_view message, std::initializer_list<LogField> fields);
std::string LogJsonMembers(const char* event, std::string_view message, std::initializer_list<LogField> fields);

}  // namespace oasync
