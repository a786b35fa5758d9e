#include "base/log.h"

#include <spdlog/formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>

#include "base/json_text.h"
#include "base/utf8.h"

namespace oasync {
namespace {

std::atomic<bool> as_json{false};

// The members that every line has, and then those that LogJsonMembers made.
class JsonFormatter final : public spdlog::formatter {
 public:
  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& out) override {
    const int64_t us = std::chrono::duration_cast<std::chrono::microseconds>(message.time.time_since_epoch()).count();
    const auto level = spdlog::level::to_string_view(message.level);
    std::string line = R"({"ts":)";
    AppendTimestamp(&line, us);
    line.append(R"(,"level":)");
    AppendJsonString(&line, std::string_view(level.data(), level.size()));
    line.append(R"(,"thread":)").append(std::to_string(message.thread_id)).push_back(',');
    line.append(message.payload.data(), message.payload.size());
    line.append("}\n");
    out.append(line.data(), line.data() + line.size());
  }
  std::unique_ptr<formatter> clone() const override { return std::make_unique<JsonFormatter>(); }
};

spdlog::level::level_enum LevelOf(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarn:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
    case LogLevel::kCritical:
      break;
  }
  return spdlog::level::critical;
}

// The message with its fields in it. What is not the name of one stays as it is.
std::string Fill(std::string_view message, std::initializer_list<LogField> fields) {
  std::string text;
  for (size_t at = 0; at < message.size();) {
    const size_t open = message.find('{', at);
    text.append(message.substr(at, open - at));
    if (open == std::string_view::npos) break;
    const size_t close = message.find('}', open);
    const std::string_view name =
        close == std::string_view::npos ? std::string_view() : message.substr(open + 1, close - open - 1);
    const auto* field =
        std::find_if(fields.begin(), fields.end(), [name](const LogField& f) { return f.name == name; });
    if (close == std::string_view::npos || field == fields.end()) {
      text.push_back('{');
      at = open + 1;
      continue;
    }
    text.append(field->text);
    at = close + 1;
  }
  return text;
}

void AppendText(std::string* json, std::string_view text) {
  AppendJsonString(json, IsValidUtf8(text) ? text : "(not UTF-8)");
}

}  // namespace

std::string LogText(const char* event, std::string_view message, std::initializer_list<LogField> fields) {
  std::string text = Fill(message, fields);
  // One line is one decision, whatever a server or a file had to say.
  std::replace_if(
      text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < ' '; }, ' ');
  return std::string("[") + event + "] " + text;
}

std::string LogJsonMembers(const char* event, std::string_view message, std::initializer_list<LogField> fields) {
  std::string json = R"("event":)";
  AppendJsonString(&json, event);
  json.append(R"(,"message":)");
  AppendText(&json, Fill(message, fields));
  for (const LogField& field : fields) {
    json.push_back(',');
    AppendJsonString(&json, field.name);
    json.push_back(':');
    if (field.is_number) {
      json.append(field.text);
    } else {
      AppendText(&json, field.text);
    }
  }
  return json;
}

void Log(LogLevel level, const char* event, std::string_view message, std::initializer_list<LogField> fields) {
  const auto at = LevelOf(level);
  if (!spdlog::should_log(at)) return;
  const std::string line = as_json.load(std::memory_order_relaxed) ? LogJsonMembers(event, message, fields)
                                                                   : LogText(event, message, fields);
  spdlog::log(at, spdlog::string_view_t(line.data(), line.size()));
}

void SetUpLogging(const std::string& level, bool json) {
  auto logger = std::make_shared<spdlog::logger>("oa-sync", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_level(spdlog::level::from_str(level == "warn" ? "warning" : level));
  logger->flush_on(spdlog::level::warn);
  as_json.store(json, std::memory_order_relaxed);
  if (json) {
    logger->set_formatter(std::make_unique<JsonFormatter>());
  } else {
    logger->set_pattern("%Y-%m-%dT%H:%M:%S.%f%z %l %v");
  }
  spdlog::set_default_logger(std::move(logger));
}

}  // namespace oasync
