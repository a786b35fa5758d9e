#include "base/log.h"

#include <spdlog/formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <memory>

#include "base/json_text.h"
#include "base/utf8.h"

namespace oasync {
namespace {

class JsonFormatter final : public spdlog::formatter {
 public:
  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& out) override {
    const int64_t us = std::chrono::duration_cast<std::chrono::microseconds>(message.time.time_since_epoch()).count();
    const std::string_view text(message.payload.data(), message.payload.size());
    const auto level = spdlog::level::to_string_view(message.level);
    std::string line = R"({"time":)";
    AppendTimestamp(&line, us);
    line.append(R"(,"level":)");
    AppendJsonString(&line, std::string_view(level.data(), level.size()));
    line.append(R"(,"thread":)").append(std::to_string(message.thread_id)).append(R"(,"message":)");
    AppendJsonString(&line, IsValidUtf8(text) ? text : "(message is not UTF-8)");
    line.append("}\n");
    out.append(line.data(), line.data() + line.size());
  }
  std::unique_ptr<formatter> clone() const override { return std::make_unique<JsonFormatter>(); }
};

}  // namespace

void SetUpLogging(const std::string& level, bool json) {
  auto logger = std::make_shared<spdlog::logger>("oa-sync", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_level(spdlog::level::from_str(level == "warn" ? "warning" : level));
  logger->flush_on(spdlog::level::warn);
  if (json) {
    logger->set_formatter(std::make_unique<JsonFormatter>());
  } else {
    logger->set_pattern("%Y-%m-%dT%H:%M:%S.%f%z %l %v");
  }
  spdlog::set_default_logger(std::move(logger));
}

}  // namespace oasync
