#include "filter.h"

#include <algorithm>
#include <charconv>

#include "event_format.h"

namespace oasync::terminal {
namespace {

// Bytes of the character at the front.
size_t CharacterSize(std::string_view text) {
  size_t size = 1;
  while (size < text.size() && (static_cast<unsigned char>(text[size]) & 0xC0) == 0x80) ++size;
  return size;
}

const nlohmann::json* Find(const nlohmann::json& payload, const std::vector<std::string>& path) {
  const nlohmann::json* at = &payload;
  for (const std::string& step : path) {
    if (at->is_object()) {
      const auto found = at->find(step);
      if (found == at->end()) return nullptr;
      at = &*found;
    } else if (at->is_array()) {
      size_t index = 0;
      const auto [end, error] = std::from_chars(step.data(), step.data() + step.size(), index);
      if (error != std::errc() || end != step.data() + step.size() || index >= at->size()) return nullptr;
      at = &(*at)[index];
    } else {
      return nullptr;
    }
  }
  return at;
}

}  // namespace

// The usual two pointers: at a mismatch the last star takes one character more. Linear in both for one star, and never
// worse than their product.
bool GlobMatches(std::string_view pattern, std::string_view text) {
  size_t p = 0;
  size_t t = 0;
  size_t star = std::string_view::npos;
  size_t resume = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
      continue;
    }
    if (p < pattern.size() && pattern[p] == '?') {
      ++p;
      t += CharacterSize(text.substr(t));
      continue;
    }
    const bool escaped = p + 1 < pattern.size() && pattern[p] == '\\';
    if (p < pattern.size() && pattern[escaped ? p + 1 : p] == text[t]) {
      p += escaped ? 2 : 1;
      ++t;
      continue;
    }
    if (star == std::string_view::npos) return false;
    p = star + 1;
    t = ++resume;
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

std::optional<FieldCondition> FieldCondition::Parse(const std::string& text) {
  FieldCondition condition;
  const size_t equals = text.find('=');
  if (equals == std::string::npos) return std::nullopt;
  condition.negated = equals > 0 && text[equals - 1] == '!';
  std::string_view path = std::string_view(text).substr(0, condition.negated ? equals - 1 : equals);
  if (path.empty()) return std::nullopt;
  for (;;) {
    const size_t dot = path.find('.');
    condition.path.emplace_back(path.substr(0, dot));
    if (dot == std::string_view::npos) break;
    path.remove_prefix(dot + 1);
  }
  condition.text = text.substr(equals + 1);
  condition.value = nlohmann::json::parse(condition.text, nullptr, /*allow_exceptions=*/false);
  return condition;
}

bool FieldCondition::Holds(const nlohmann::json& payload) const {
  const nlohmann::json* found = Find(payload, path);
  const bool equal = found != nullptr && ((found->is_string() && found->get_ref<const std::string&>() == text) ||
                                          (!value.is_discarded() && *found == value));
  return equal != negated;
}

bool Filter::Shows(const openagents::sync::v1::Update& update) const {
  if (!ops.empty() && ops.count(OpName(update.op())) == 0) return false;
  if (!keys.empty() && std::none_of(keys.begin(), keys.end(), [&update](const std::string& pattern) {
        return GlobMatches(pattern, update.doc_key());
      })) {
    return false;
  }
  if (fields.empty()) return true;
  const auto payload = nlohmann::json::parse(update.payload(), nullptr, /*allow_exceptions=*/false);
  return std::all_of(fields.begin(), fields.end(),
                     [&payload](const FieldCondition& field) { return field.Holds(payload); });
}

}  // namespace oasync::terminal
