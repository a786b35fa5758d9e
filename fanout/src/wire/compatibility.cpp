#include "wire/compatibility.h"

#include <algorithm>
#include <charconv>

#include "wire/messages.h"

namespace oasync {
namespace {

// A member that is a string, without the space around it; empty when it is missing or anything else.
std::string_view TextMember(const Json& join, const char* name) {
  const auto it = join.find(name);
  if (it == join.end() || !it->is_string()) return {};
  constexpr char kSpace[] = " \t\r\n";
  const std::string_view text = it->get_ref<const std::string&>();
  const size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

// An integer, or a string of digits; 0, which no server accepts, when it is missing or anything else.
uint64_t SchemaVersion(const Json& join) {
  const auto it = join.find("schema_version");
  if (it != join.end() && it->is_number_unsigned()) return it->get<uint64_t>();
  if (it != join.end() && it->is_number_integer())
    return static_cast<uint64_t>(std::max<int64_t>(0, it->get<int64_t>()));
  const std::string_view text = TextMember(join, "schema_version");
  uint64_t version = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), version);
  return error == std::errc() && end == text.data() + text.size() ? version : 0;
}

Json Refusal(const CompatibilityGate& gate, const char* code, const char* message) {
  Json body = ErrorJson(code, message);
  body["retryable"] = false;
  body["upgrade_required"] = true;
  body["surface"] = gate.surface;
  body["min_client_build_id"] = gate.min_client_build_id;
  body["max_client_build_id"] = gate.max_client_build_id.empty() ? Json() : Json(gate.max_client_build_id);
  body["min_schema_version"] = gate.min_schema_version;
  body["max_schema_version"] = gate.max_schema_version;
  body["protocol_version"] = gate.protocol_versions.front();
  return body;
}

}  // namespace

bool IsClientBuildId(std::string_view id) {
  constexpr std::string_view kForm = "00000000T000000Z";
  return id.size() == kForm.size() && std::equal(id.begin(), id.end(), kForm.begin(), [](char c, char form) {
           return form == '0' ? c >= '0' && c <= '9' : c == form;
         });
}

std::optional<Json> JudgeCompatibility(const CompatibilityGate& gate, const Json& join) {
  if (!gate.enabled) return std::nullopt;
  const std::string_view build = TextMember(join, "client_build_id");
  if (!IsClientBuildId(build)) {
    return Refusal(gate, "invalid_client_build", "client_build_id must be of the form YYYYMMDDTHHMMSSZ");
  }
  const auto& protocols = gate.protocol_versions;
  if (std::find(protocols.begin(), protocols.end(), TextMember(join, "protocol_version")) == protocols.end()) {
    return Refusal(gate, "unsupported_protocol_version", "this server does not speak the client's protocol_version");
  }
  const uint64_t schema = SchemaVersion(join);
  if (schema < gate.min_schema_version || schema > gate.max_schema_version) {
    return Refusal(gate, "unsupported_schema_version", "the client's schema_version is outside of the supported range");
  }
  if (build < gate.min_client_build_id) {
    return Refusal(gate, "upgrade_required", "the client is older than the oldest supported build");
  }
  if (!gate.max_client_build_id.empty() && build > gate.max_client_build_id) {
    return Refusal(gate, "unsupported_client_build", "the client is newer than the newest supported build");
  }
  return std::nullopt;
}

}  // namespace oasync
