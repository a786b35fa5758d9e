// The compatibility gate: its order of checks, its refusals, and that a session asks it first.
#include "wire/compatibility.h"

#include <gtest/gtest.h>

#include "fakes.h"

namespace oasync {
namespace {

CompatibilityGate Gate() {
  CompatibilityGate gate;
  gate.enabled = true;
  gate.surface = "test";
  gate.protocol_versions = {"v2", "v1"};
  gate.min_schema_version = 3;
  gate.max_schema_version = 5;
  gate.min_client_build_id = "20260101T000000Z";
  gate.max_client_build_id = "20261231T235959Z";
  return gate;
}

Json Fine() { return {{"client_build_id", "20260601T120000Z"}, {"protocol_version", "v1"}, {"schema_version", 4}}; }

std::string CodeOf(const CompatibilityGate& gate, const Json& join) {
  const auto refusal = JudgeCompatibility(gate, join);
  return refusal ? (*refusal)["code"].get<std::string>() : "";
}

std::string CodeWith(const char* name, const Json& value) {
  Json join = Fine();
  join[name] = value;
  return CodeOf(Gate(), join);
}

TEST(Compatibility, OffByDefault) { EXPECT_EQ(CodeOf(CompatibilityGate(), Json::object()), ""); }

TEST(Compatibility, LetsInWhatIsInRange) {
  EXPECT_EQ(CodeOf(Gate(), Fine()), "");
  EXPECT_EQ(CodeWith("client_build_id", "20260101T000000Z"), "");
  EXPECT_EQ(CodeWith("client_build_id", " 20261231T235959Z "), "");
  EXPECT_EQ(CodeWith("protocol_version", "v2"), "");
  EXPECT_EQ(CodeWith("schema_version", 3), "");
  EXPECT_EQ(CodeWith("schema_version", 5), "");
  EXPECT_EQ(CodeWith("schema_version", "5"), "");
}

TEST(Compatibility, RefusesByReason) {
  for (const Json& bad : {Json(), Json(""), Json("  "), Json(20260601), Json("20260601"), Json("20260601T120000"),
                          Json("2026-06-01T12:00:00Z"), Json("20260601t120000z"), Json("20260601T12000xZ")}) {
    EXPECT_EQ(CodeWith("client_build_id", bad), "invalid_client_build") << bad;
  }
  for (const Json& bad : {Json(), Json("v3"), Json("V1"), Json(1), Json(""), Json::array({"v1"})}) {
    EXPECT_EQ(CodeWith("protocol_version", bad), "unsupported_protocol_version") << bad;
  }
  for (const Json& bad :
       {Json(), Json(2), Json(6), Json(-4), Json(4.0), Json("four"), Json("4x"), Json(""), Json(UINT64_MAX)}) {
    EXPECT_EQ(CodeWith("schema_version", bad), "unsupported_schema_version") << bad;
  }
  EXPECT_EQ(CodeWith("client_build_id", "20251231T235959Z"), "upgrade_required");
  EXPECT_EQ(CodeWith("client_build_id", "20270101T000000Z"), "unsupported_client_build");
}

TEST(Compatibility, ChecksInAFixedOrder) {
  Json join = Json::object();
  EXPECT_EQ(CodeOf(Gate(), join), "invalid_client_build");
  join["client_build_id"] = "20250101T000000Z";
  EXPECT_EQ(CodeOf(Gate(), join), "unsupported_protocol_version");
  join["protocol_version"] = "v1";
  EXPECT_EQ(CodeOf(Gate(), join), "unsupported_schema_version");
  join["schema_version"] = 4;
  EXPECT_EQ(CodeOf(Gate(), join), "upgrade_required");
}

TEST(Compatibility, RefusalSaysWhatIsSupported) {
  Json refusal = *JudgeCompatibility(Gate(), Json::object());
  EXPECT_TRUE(refusal["message"].is_string());
  refusal.erase("message");
  EXPECT_EQ(refusal, Json::parse(R"({"code":"invalid_client_build","retryable":false,"upgrade_required":true,
      "surface":"test","min_client_build_id":"20260101T000000Z","max_client_build_id":"20261231T235959Z",
      "min_schema_version":3,"max_schema_version":5,"protocol_version":"v2"})"));
  CompatibilityGate open = Gate();
  open.max_client_build_id.clear();
  EXPECT_TRUE((*JudgeCompatibility(open, Json::object()))["max_client_build_id"].is_null());
}

TEST(Compatibility, ASessionIsRefusedBeforeAnythingElseIsLookedAt) {
  HubOptions options;
  options.gate = Gate();
  HubFixture hub(options);
  const auto client = hub.Connect();
  const Json reply = hub.Join(*client, {{"topics", 5}});
  EXPECT_EQ(reply["status"], "error");
  EXPECT_EQ(reply["response"]["code"], "invalid_client_build");
  EXPECT_EQ(hub.shared.denials.Read().at("invalid_client_build"), 1u);
  EXPECT_EQ(hub.counters.joins.Get(), 0);
  EXPECT_EQ(hub.Join(*client, Fine())["status"], "ok");
  // A later join that is refused leaves the channel as it is.
  EXPECT_EQ(hub.Join(*client, {{"client_build_id", "x"}})["status"], "error");
  hub.Send(*client, "9", "sync:heartbeat", Json::object());
  EXPECT_EQ((*hub.Next(*client))[4]["status"], "ok");
}

}  // namespace
}  // namespace oasync
