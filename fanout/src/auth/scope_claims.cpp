#include "auth/scope_claims.h"

#include <optional>
#include <string>
#include <string_view>

namespace oasync {
namespace {

std::optional<std::string> ClaimText(const nlohmann::json& claims, std::string_view name) {
  const auto it = claims.find(name);
  if (it == claims.end()) return std::nullopt;
  if (it->is_string()) return it->get<std::string>();
  if (it->is_number_integer()) return it->dump();
  return std::nullopt;
}

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

void AddScope(const nlohmann::json& claims, std::string_view scope, ScopeSet* scopes) {
  constexpr char kSpace[] = " \t\r\n";
  const size_t first = scope.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return;
  scope = scope.substr(first, scope.find_last_not_of(kSpace) - first + 1);
  const bool is_prefix = scope.back() == '*';
  if (is_prefix) scope.remove_suffix(1);
  if (auto text = Expand(claims, scope)) scopes->Add({std::move(*text), is_prefix});
}

}  // namespace

bool ReadScopes(const nlohmann::json& claims, size_t max_scopes, ScopeSet* scopes) {
  const auto it = claims.find("oa_sync_scopes");
  if (it == claims.end()) return false;
  if (it->is_array()) {
    if (it->size() > max_scopes) return false;
    for (const auto& scope : *it) {
      if (!scope.is_string()) return false;
      AddScope(claims, scope.get_ref<const std::string&>(), scopes);
    }
    return true;
  }
  if (!it->is_string()) return false;
  std::string_view text = it->get_ref<const std::string&>();
  for (size_t i = 0; !text.empty(); ++i) {
    if (i == max_scopes) return false;
    const size_t comma = text.find(',');
    AddScope(claims, text.substr(0, comma), scopes);
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
  }
  return true;
}

}  // namespace oasync
