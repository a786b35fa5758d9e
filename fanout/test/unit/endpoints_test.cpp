// Who may ask for tokens, what they are given, and who may revoke.
#include "auth/endpoints.h"

#include <gtest/gtest.h>

#include "auth/revocation_list.h"
#include "fakes.h"

namespace oasync {
namespace {

const std::string kAppKey = "app-" + std::string(32, 'a');
const std::string kAdminKey = "admin-" + std::string(32, 'b');
const std::string kIdentitySecret(32, 'i');

Json ServiceKeysJson() {
  return {{"keys",
           {{{"id", "app"},
             {"secret", kAppKey},
             {"subject", "service:app"},
             {"org_id", "org1"},
             {"scopes", {"runtime.run_summaries", "run:*", "org:{oa_org_id}:*"}}},
            {{"id", "admin"}, {"secret", kAdminKey}, {"may", {"revoke"}}}}}};
}

std::shared_ptr<Current<ServiceKeys>> MakeServiceKeys() {
  std::string error;
  auto keys = ServiceKeys::Parse(ServiceKeysJson().dump(), &error);
  EXPECT_TRUE(keys) << error;
  return std::make_shared<Current<ServiceKeys>>(std::make_shared<ServiceKeys>(std::move(*keys)));
}

class RecordingDatabase final : public Database {
 public:
  void ReadSnapshot(SnapshotQuestion, DocumentCallback) override {}
  void ReadDocument(std::string, std::string, DocumentCallback) override {}
  void ReadRevocations(RevocationsCallback) override {}
  void Revoke(std::vector<Revocation> revocations, DoneCallback done) override {
    revoked = std::move(revocations);
    done(answer);
  }
  void EmitCanary(DoneCallback) override {}
  std::vector<Revocation> revoked;
  DatabaseError answer;
};

struct Answered {
  int status;
  Json body;
  std::string Code() const { return body["error"]["code"]; }
};

struct EndpointFixture {
  FakeClock clock;
  SharedCounters shared;
  RecordingDatabase database;
  RevocationList revocations{100};
  std::shared_ptr<Current<KeySet>> keys = std::make_shared<Current<KeySet>>(std::make_shared<KeySet>(TestKeyring()));
  std::shared_ptr<Current<KeySet>> identity_keys =
      std::make_shared<Current<KeySet>>(std::make_shared<KeySet>(Keyring{"i1", {{"i1", kIdentitySecret}}}));
  TokenPolicy policy{"openagents", "oa-sync"};
  static TokenPolicy IdentityPolicy() {
    TokenPolicy identity{"app", "oa-sync"};
    identity.is_identity = true;
    return identity;
  }
  IdentityCheck identity{{MakeServiceKeys(),
                          std::make_shared<TokenVerifier>(identity_keys, IdentityPolicy(), &revocations),
                          {"default.t"}}};
  TokenIssuer issuer{keys, policy};
  TokenEndpoint token{{identity, clock, shared}, issuer, &revocations};
  RevokeEndpoint revoke{{identity, clock, shared}, database};

  int64_t NowS() const { return clock.wall_ms / 1000; }
  Answered Ask(const std::string& authorization, const std::string& body, const std::string& method = "POST") const {
    const ApiAnswer answer = token.Answer({method, std::string(kTokenPath), authorization, body});
    return {answer.status, Json::parse(answer.body)};
  }
  Answered AskRevoke(const std::string& authorization, const std::string& body) const {
    Answered answered{0, {}};
    revoke.Answer({"POST", std::string(kRevokePath), authorization, body}, [&](const ApiAnswer& answer) {
      answered = {answer.status, Json::parse(answer.body)};
    });
    return answered;
  }
  // The claims of a token that was issued.
  GrantRef Verified(const Answered& answered) const {
    const TokenVerifier verifier(keys, policy, &revocations);
    return verifier.Verify(answered.body["data"]["token"].get<std::string>(), NowS()).grant;
  }
  std::string IdentityToken(const Json& more = Json::object()) const {
    Json claims = {{"iss", "app"}, {"aud", "oa-sync"}, {"sub", "user:7"}, {"iat", NowS()}, {"exp", NowS() + 60}};
    claims.update(more);
    return "Bearer " + SignToken(claims, {{"alg", "HS256"}, {"kid", "i1"}}, kIdentitySecret);
  }
};

TEST(TokenEndpoint, AServiceKeyIsGivenATokenThatVerifies) {
  EndpointFixture f;
  const Answered answered =
      f.Ask("Bearer " + kAppKey, R"({"scopes":["run:42:events"],"ttl_seconds":60,"device_id":"d1"})");
  ASSERT_EQ(answered.status, 200) << answered.body;
  Json data = answered.body["data"];
  const GrantRef grant = f.Verified(answered);
  ASSERT_TRUE(grant);
  EXPECT_EQ(grant->subject, "service:app");
  EXPECT_EQ(grant->org_id, "org1");
  EXPECT_EQ(grant->device_id, "d1");
  EXPECT_EQ(grant->expires_at, f.NowS() + 60);
  EXPECT_EQ(grant->scopes.Names(), std::vector<std::string>{"run:42:events"});
  data.erase("token");
  EXPECT_EQ(data, (Json{{"token_type", "Bearer"},
                        {"expires_in", 60},
                        {"issued_at", f.NowS()},
                        {"expires_at", f.NowS() + 60},
                        {"issuer", "openagents"},
                        {"audience", "oa-sync"},
                        {"subject", "service:app"},
                        {"org_id", "org1"},
                        {"claims_version", "oa_sync_claims_v1"},
                        {"scopes", {"run:42:events"}},
                        {"kid", "k1"}}));
}

TEST(TokenEndpoint, WithoutABodyAllScopesForFiveMinutes) {
  EndpointFixture f;
  const Answered answered = f.Ask("bearer " + kAppKey, "");
  ASSERT_EQ(answered.status, 200);
  EXPECT_EQ(answered.body["data"]["expires_in"], 300);
  const GrantRef grant = f.Verified(answered);
  EXPECT_TRUE(grant->scopes.Allows("org:org1:x"));
  EXPECT_FALSE(grant->scopes.Allows("org:org2:x"));
  EXPECT_NE(f.Verified(f.Ask("Bearer " + kAppKey, ""))->token_id, grant->token_id);
}

TEST(TokenEndpoint, ScopesBeyondTheIdentitysOwnAreInvalid) {
  EndpointFixture f;
  for (const char* good : {R"(["run:1"])", R"(["run:*"])", R"(["run:4*"])", R"(["runtime.run_summaries"])",
                           R"(["org:org1:x"])", R"(["org:{oa_org_id}:*"])", R"(["org:org1:*"])"}) {
    EXPECT_EQ(f.Ask("Bearer " + kAppKey, std::string(R"({"scopes":)") + good + "}").status, 200) << good;
  }
  for (const char* bad : {R"(["*"])", R"(["ru*"])", R"(["run"])", R"(["runtime.run_summaries*"])", R"(["org:org2:x"])",
                          R"(["org:{sub}:x"])", R"(["org:{nope}:x"])", R"([""])", R"([])", R"([5])", R"("run:1")",
                          R"(["run:1","other"])", R"(["{"])"}) {
    const Answered answered = f.Ask("Bearer " + kAppKey, std::string(R"({"scopes":)") + bad + "}");
    EXPECT_EQ(answered.status, 422) << bad;
    EXPECT_EQ(answered.Code(), "invalid_scope") << bad;
  }
}

TEST(TokenEndpoint, AClaimThatLooksLikeAPatternWidensNothing) {
  EndpointFixture f;
  const std::string identity = f.IdentityToken({{"oa_org_id", "*"}, {"oa_sync_scopes", {"org:{oa_org_id}"}}});
  EXPECT_EQ(f.Ask(identity, R"({"scopes":["org:*"]})").Code(), "invalid_scope");
  EXPECT_EQ(f.Ask(identity, R"({"scopes":["org:other"]})").Code(), "invalid_scope");
  const GrantRef grant = f.Verified(f.Ask(identity, ""));
  EXPECT_FALSE(grant->scopes.Allows("org:other"));
  EXPECT_TRUE(grant->scopes.Allows("org:*"));
}

TEST(TokenEndpoint, AnIdentityThatSaysNoScopesHasNone) {
  EndpointFixture f;
  EXPECT_TRUE(f.Verified(f.Ask(f.IdentityToken(), ""))->scopes.Allows("default.t"));
  for (const Json& none : {Json::array(), Json(""), Json(" , ")}) {
    const std::string identity = f.IdentityToken({{"oa_sync_scopes", none}});
    EXPECT_EQ(f.Ask(identity, "").Code(), "invalid_scope") << none;
    EXPECT_EQ(f.Ask(identity, R"({"scopes":["default.t"]})").Code(), "invalid_scope") << none;
  }
}

TEST(TokenEndpoint, TimesAndDevices) {
  EndpointFixture f;
  for (const char* bad : {"59", "901", "-1", "1.5", "\"300\"", "18446744073709551615", "1e30"}) {
    EXPECT_EQ(f.Ask("Bearer " + kAppKey, std::string(R"({"ttl_seconds":)") + bad + "}").Code(), "invalid_ttl") << bad;
  }
  EXPECT_EQ(f.Ask("Bearer " + kAppKey, R"({"ttl_seconds":900})").status, 200);
  const std::string bound = f.IdentityToken({{"oa_device_id", "d1"}});
  EXPECT_EQ(f.Verified(f.Ask(bound, ""))->device_id, "d1");
  EXPECT_EQ(f.Ask(bound, R"({"device_id":"d2"})").Code(), "invalid_device");
  EXPECT_EQ(f.Ask(bound, R"({"device_id":""})").Code(), "invalid_device");
}

TEST(TokenEndpoint, IdentityTokens) {
  EndpointFixture f;
  const GrantRef grant = f.Verified(f.Ask(f.IdentityToken({{"oa_session_id", "s1"}, {"oa_org_id", "o"}}), ""));
  ASSERT_TRUE(grant);
  EXPECT_EQ(grant->subject, "user:7");
  EXPECT_EQ(grant->session_id, "s1");
  EXPECT_EQ(grant->org_id, "o");
  EXPECT_EQ(grant->scopes.Names(), std::vector<std::string>{"default.t"});
  const auto reason = [&](const std::string& authorization) {
    const Answered answered = f.Ask(authorization, "");
    EXPECT_EQ(answered.status, 401);
    return answered.body["error"]["reason"].get<std::string>();
  };
  EXPECT_EQ(reason(f.IdentityToken({{"exp", f.NowS()}})), "token_expired");
  EXPECT_EQ(reason(f.IdentityToken({{"iss", "openagents"}})), "claim_mismatch");
  EXPECT_EQ(reason("Bearer " + SignToken(TestClaims(f.NowS()))), "unknown_kid") << "a token for streams is no identity";
  EXPECT_EQ(reason(""), "missing_credentials");
  EXPECT_EQ(reason("Basic abc"), "missing_credentials");
  EXPECT_EQ(reason("Bearer nonsense"), "unknown_service_key");
  EXPECT_EQ(reason("Bearer " + kAdminKey), "key_may_not");
  f.revocations.Add({Revocation::Kind::kSession, "s1", "admin_revoked", 0}, f.NowS());
  EXPECT_EQ(reason(f.IdentityToken({{"oa_session_id", "s1"}})), "token_revoked");
  EXPECT_EQ(f.shared.denials.Read().at("token_revoked"), 1u);
}

TEST(TokenEndpoint, ARevokedDeviceIsGivenNone) {
  EndpointFixture f;
  f.revocations.Add({Revocation::Kind::kDevice, "d9", "device_replaced", 0}, f.NowS());
  const Answered answered = f.Ask("Bearer " + kAppKey, R"({"device_id":"d9"})");
  EXPECT_EQ(answered.status, 401);
  EXPECT_EQ(answered.body["error"]["reason"], "token_revoked");
}

TEST(TokenEndpoint, OtherRefusals) {
  EndpointFixture f;
  EXPECT_EQ(f.Ask("Bearer " + kAppKey, "", "GET").status, 405);
  EXPECT_EQ(f.Ask("Bearer " + kAppKey, "[]").status, 400);
  EXPECT_EQ(f.Ask("Bearer " + kAppKey, R"({"ttl_seconds":60,"ttl_seconds":900})").status, 400);
  f.keys->Set(std::make_shared<KeySet>());
  EXPECT_EQ(f.Ask("Bearer " + kAppKey, "").Code(), "sync_token_unavailable");
  const IdentityCheck nobody({nullptr, nullptr, {}});
  EndpointFixture g;
  const TokenEndpoint none({nobody, g.clock, g.shared}, g.issuer, nullptr);
  EXPECT_EQ(none.Answer({"POST", "", "Bearer " + kAppKey, ""}).status, 503);
}

TEST(RevokeEndpoint, GoesToTheDatabase) {
  EndpointFixture f;
  const Answered answered = f.AskRevoke(
      "Bearer " + kAdminKey, R"({"session_ids":["s"],"device_ids":["d"],"jtis":["j"],"reason":"token_replay"})");
  ASSERT_EQ(answered.status, 200) << answered.body;
  EXPECT_EQ(answered.body["data"]["revoked"], 3);
  ASSERT_EQ(f.database.revoked.size(), 3u);
  EXPECT_EQ(f.database.revoked[1].kind, Revocation::Kind::kDevice);
  EXPECT_EQ(f.database.revoked[1].value, "d");
  EXPECT_EQ(f.database.revoked[1].reason, "token_replay");
  EXPECT_GT(f.database.revoked[1].expires_at_s, f.NowS() + 29 * 86400);
}

TEST(RevokeEndpoint, Refusals) {
  EndpointFixture f;
  EXPECT_EQ(f.AskRevoke("", R"({"jtis":["j"]})").status, 401);
  EXPECT_EQ(f.AskRevoke("Bearer " + kAppKey, R"({"jtis":["j"]})").status, 403);
  EXPECT_EQ(f.AskRevoke(f.IdentityToken(), R"({"jtis":["j"]})").status, 403);
  for (const char* bad : {"{}", R"({"jtis":[]})", R"({"jtis":[""]})", R"({"jtis":"j"})", R"({"jtis":[5]})"}) {
    EXPECT_EQ(f.AskRevoke("Bearer " + kAdminKey, bad).Code(), "invalid_value") << bad;
  }
  EXPECT_EQ(f.AskRevoke("Bearer " + kAdminKey, R"({"jtis":["j"],"reason":"because"})").Code(), "invalid_reason");
  EXPECT_TRUE(f.database.revoked.empty());
  f.database.answer = {"25006", "read only"};
  EXPECT_EQ(f.AskRevoke("Bearer " + kAdminKey, R"({"jtis":["j"]})").status, 503);
}

TEST(ServiceKeys, BadFilesAreRefusedWithoutNamingAKey) {
  const auto with = [](const char* name, const Json& value) {
    Json file = ServiceKeysJson();
    file["keys"][0][name] = value;
    return file.dump();
  };
  const std::vector<std::string> bad = {
      "",
      "[]",
      "{}",
      with("secret", "short"),
      with("sha256", std::string(64, 'a')),  // beside the secret
      with("id", "admin"),
      with("id", ""),
      with("secret", kAdminKey),
      with("subject", ""),
      with("scopes", "run:*"),
      with("may", {"everything"}),
      with("scope", {"run:1"}),
  };
  for (const std::string& text : bad) {
    std::string error;
    EXPECT_FALSE(ServiceKeys::Parse(text, &error)) << text;
    EXPECT_FALSE(error.empty());
    EXPECT_EQ(error.find(kAppKey), std::string::npos);
  }
}

}  // namespace
}  // namespace oasync
