#include "auth/scope_claims.h"

namespace oasync {
namespace {

// Replaces every {claim}; nothing if a brace is left open or a claim has no usable value.
std::optional<std::string> Expand(const nlohmann::json& claims, std::string_view scope) {
  std::string out;
  while (true) {
    const size_t open = scope.find('{');
    out.append(scope.substr(0, open));
    if (open == std::string_view::npos) return out;
    const size_t close = scope.find('}', open);
    if (close == std::string_view::npos) return std::nullopt;
    const auto value = ClaimText(claims, scope.substr(open + 1, close - open - 1));
    if (!value || value->empty()) return std::nullopt;
    out.append(*value);
    scope.remove_prefix(close + 1);
  }
}

void AddTrimmed(std::string_view scope, std::vector<std::string>* texts) {
  constexpr char kSpace[] = " \t\r\n";
  const size_t first = scope.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return;
  texts->emplace_back(scope.substr(first, scope.find_last_not_of(kSpace) - first + 1));
}

}  // namespace

std::optional<std::string> ClaimText(const nlohmann::json& claims, std::string_view name) {
  const auto it = claims.find(name);
  if (it == claims.end()) return std::nullopt;
  if (it->is_string()) return it->get<std::string>();
  if (it->is_number_integer()) return it->dump();
  return std::nullopt;
}

bool ReadScopeTexts(const nlohmann::json& claims, size_t max_scopes, std::vector<std::string>* texts) {
  const auto it = claims.find("oa_sync_scopes");
  if (it == claims.end()) return false;
  if (it->is_array()) {
    if (it->size() > max_scopes) return false;
    for (const auto& scope : *it) {
      if (!scope.is_string()) return false;
      AddTrimmed(scope.get_ref<const std::string&>(), texts);
    }
    return true;
  }
  if (!it->is_string()) return false;
  std::string_view text = it->get_ref<const std::string&>();
  for (size_t i = 0; !text.empty(); ++i) {
    if (i == max_scopes) return false;
    const size_t comma = text.find(',');
    AddTrimmed(text.substr(0, comma), texts);
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
  }
  return true;
}

std::optional<ScopeSet::Pattern> ReadScope(const nlohmann::json& claims, std::string_view text) {
  const bool is_prefix = !text.empty() && text.back() == '*';
  if (is_prefix) text.remove_suffix(1);
  auto expanded = Expand(claims, text);
  if (!expanded) return std::nullopt;
  return ScopeSet::Pattern{std::move(*expanded), is_prefix};
}

bool ReadScopes(const nlohmann::json& claims, size_t max_scopes, ScopeSet* scopes) {
  std::vector<std::string> texts;
  if (!ReadScopeTexts(claims, max_scopes, &texts)) return false;
  for (const std::string& text : texts) {
    if (auto pattern = ReadScope(claims, text)) scopes->Add(std::move(*pattern));
  }
  return true;
}

}  // namespace oasync
