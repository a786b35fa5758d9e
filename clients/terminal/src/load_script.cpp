#include "load_script.h"

#include <charconv>
#include <map>

namespace oasync::terminal {
namespace {

std::string TakeNumber(std::string_view name, const std::string& value, size_t* number) {
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), *number);
  if (error == std::errc() && end == value.data() + value.size()) return {};
  return std::string(name) + ": no number";
}

}  // namespace

std::string LoadScript::Take(std::string_view line) {
  const size_t equals = line.find('=');
  if (equals == std::string_view::npos) return "not NAME=VALUE";
  const std::string_view name = line.substr(0, equals);
  std::string value(line.substr(equals + 1));
  // The line's end of line protocols.
  for (size_t at; (at = value.find("\\r\\n")) != std::string::npos;) value.replace(at, 4, "\r\n");
  const std::map<std::string_view, size_t*> numbers = {
      {"first", &first}, {"connections", &connections}, {"sources", &sources}, {"every", &every}};
  const std::map<std::string_view, std::string*> texts = {
      {"target", &target}, {"protocol", &protocol}, {"extensions", &extensions}, {"authorization", &authorization},
      {"hello", &hello},   {"ready", &ready},       {"stamp", &stamp},           {"record", &record}};
  if (const auto number = numbers.find(name); number != numbers.end()) return TakeNumber(name, value, number->second);
  if (const auto text = texts.find(name); text != texts.end()) {
    *text->second = std::move(value);
    return {};
  }
  if (name != "count" || (value != "watermarks" && value != "frames")) return std::string(line) + ": not known";
  counts_watermarks = value == "watermarks";
  return {};
}

std::string LoadScript::For(const std::string& value, size_t connection) const {
  std::string text = value;
  for (size_t at; (at = text.find("{n}")) != std::string::npos;)
    text.replace(at, 3, std::to_string(connection + first));
  return text;
}

}  // namespace oasync::terminal
