#include "auth/strict_json.h"

#include <set>
#include <string>
#include <vector>

namespace oasync {
namespace {
constexpr int kMaxDepth = 16;
}  // namespace

nlohmann::json ParseStrictJson(std::string_view text) {
  using Json = nlohmann::json;
  bool refused = false;
  std::vector<std::set<std::string>> names;  // of the objects that are open
  const auto check = [&](int depth, Json::parse_event_t event, Json& value) {
    switch (event) {
      case Json::parse_event_t::object_start:
        names.emplace_back();
        [[fallthrough]];
      case Json::parse_event_t::array_start:
        refused = refused || depth >= kMaxDepth;
        break;
      case Json::parse_event_t::key:
        refused = refused || !names.back().insert(value.get<std::string>()).second;
        break;
      case Json::parse_event_t::object_end:
        names.pop_back();
        break;
      default:
        break;
    }
    return true;
  };
  Json value = Json::parse(text, check, /*allow_exceptions=*/false);
  return refused ? Json(Json::value_t::discarded) : value;
}

const std::string* FindText(const nlohmann::json& object, const char* name) {
  if (!object.is_object()) return nullptr;
  const auto it = object.find(name);
  return it != object.end() && it->is_string() ? &it->get_ref<const std::string&>() : nullptr;
}

}  // namespace oasync
