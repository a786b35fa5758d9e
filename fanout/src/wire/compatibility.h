// The compatibility gate: which builds, protocol versions and schema versions of clients may join. Off by default.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "wire/phoenix.h"

namespace oasync {

struct CompatibilityGate {
  bool enabled = false;
  std::string surface = "oa_sync_websocket";                            // named in refusals
  std::vector<std::string> protocol_versions = {"openagents.sync.v1"};  // accepted; the first is named in refusals
  uint32_t min_schema_version = 1;
  uint32_t max_schema_version = 1;
  std::string min_client_build_id = "00000000T000000Z";
  std::string max_client_build_id;  // empty: none
};

// YYYYMMDDTHHMMSSZ, of digits: such ids are in the order of their texts.
bool IsClientBuildId(std::string_view id);

// Judges a join's payload by its client_build_id, protocol_version and schema_version. Nothing when the client may join
// or the gate is off; else the response, whose "code" is one of invalid_client_build, unsupported_protocol_version,
// unsupported_schema_version, upgrade_required, unsupported_client_build: the first that applies, in this order.
std::optional<Json> JudgeCompatibility(const CompatibilityGate& gate, const Json& join);

}  // namespace oasync
