// Tokens, scopes and origins.
#include <gtest/gtest.h>

#include "auth/origin.h"
#include "fakes.h"
#include "net/upgrade.h"

namespace oasync {
namespace {

constexpr int64_t kNow = 1700000000;

TokenResult Verify(const std::string& token) {
  return TokenVerifier(TestKeyring(), {"openagents", "oa-sync"}).Verify(token, kNow);
}
const char* Fault(const std::string& token) { return TokenFaultName(Verify(token).fault); }
const char* FaultWith(const char* claim, const Json& value) {
  Json claims = TestClaims(kNow);
  claims[claim] = value;
  return Fault(SignToken(claims));
}
const char* FaultWithout(const char* claim) {
  Json claims = TestClaims(kNow);
  claims.erase(claim);
  return Fault(SignToken(claims));
}

TEST(Token, AGoodOneGrantsItsScopes) {
  const TokenResult result = Verify(SignToken(TestClaims(kNow)));
  ASSERT_TRUE(result.grant);
  EXPECT_EQ(result.grant->subject, "user-1");
  EXPECT_EQ(result.grant->expires_at, kNow + 300);
  EXPECT_EQ(result.grant->scopes.Names(), (std::vector<std::string>{"t", "run:*", "org:org1"}));
}

TEST(Token, ThePreviousKeyStillCounts) {
  const std::string token = SignToken(TestClaims(kNow), {{"alg", "HS256"}, {"kid", "k0"}}, std::string(40, 'o'));
  EXPECT_STREQ(Fault(token), "none");
}

TEST(Token, Form) {
  EXPECT_STREQ(Fault(""), "missing_token");
  for (const char* bad : {"a", "a.b", "a.b.c.d", "..", ".b.c", "a..c", "a.b."}) {
    EXPECT_STREQ(Fault(bad), "invalid_token_format") << bad;
  }
  EXPECT_STREQ(Fault(std::string(9000, 'a') + ".b.c"), "invalid_token_format");
  EXPECT_STREQ(Fault("!!.bb.cc"), "invalid_token_encoding");
  EXPECT_STREQ(Fault(Base64Url("[1]") + ".bb.cc"), "invalid_token_encoding");  // "bb" leaves bits over
  EXPECT_STREQ(Fault(Base64Url("[1]") + "." + Base64Url("{}") + "." + Base64Url("x")), "invalid_header");
}

TEST(Token, Header) {
  const Json claims = TestClaims(kNow);
  EXPECT_STREQ(Fault(SignToken(claims, Json{{"kid", "k1"}})), "invalid_header");
  EXPECT_STREQ(Fault(SignToken(claims, {{"alg", "none"}, {"kid", "k1"}})), "unsupported_alg");
  EXPECT_STREQ(Fault(SignToken(claims, {{"alg", "hs256"}, {"kid", "k1"}})), "unsupported_alg");
  EXPECT_STREQ(Fault(SignToken(claims, {{"alg", "RS256"}, {"kid", "k1"}})), "unsupported_alg");
  EXPECT_STREQ(Fault(SignToken(claims, Json{{"alg", "HS256"}})), "missing_kid");
  EXPECT_STREQ(Fault(SignToken(claims, {{"alg", "HS256"}, {"kid", "k1"}, {"crit", {"exp"}}})), "invalid_header");
  EXPECT_STREQ(Fault(SignToken(claims, {{"alg", "HS256"}, {"kid", "k9"}})), "unknown_kid");
}

TEST(Token, SignatureGoesBeforeClaims) {
  Json claims = TestClaims(kNow);
  claims["exp"] = kNow - 1000;
  EXPECT_STREQ(Fault(SignToken(claims, {{"alg", "HS256"}, {"kid", "k1"}}, std::string(32, 'z'))), "invalid_signature");
  std::string token = SignToken(TestClaims(kNow));
  const size_t dot = token.rfind('.');
  EXPECT_STREQ(Fault(token.substr(0, dot + 1) + Base64Url("short")), "invalid_signature");
  EXPECT_STREQ(Fault(SignToken(Json::array())), "invalid_claims");
}

TEST(Token, Claims) {
  EXPECT_STREQ(FaultWithout("exp"), "invalid_claims");
  EXPECT_STREQ(FaultWithout("iat"), "invalid_claims");
  EXPECT_STREQ(FaultWithout("sub"), "invalid_claims");
  EXPECT_STREQ(FaultWithout("oa_sync_scopes"), "invalid_claims");
  EXPECT_STREQ(FaultWith("exp", "soon"), "invalid_claims");
  EXPECT_STREQ(FaultWith("nbf", "soon"), "invalid_claims");
  EXPECT_STREQ(FaultWith("oa_sync_scopes", 5), "invalid_claims");
  EXPECT_STREQ(FaultWith("oa_sync_scopes", Json::array({5})), "invalid_claims");
  EXPECT_STREQ(FaultWithout("nbf"), "none");
  EXPECT_STREQ(FaultWith("aud", Json::array({"x", "oa-sync"})), "none");
}

TEST(Token, Times) {
  EXPECT_STREQ(FaultWith("exp", kNow), "token_expired");
  EXPECT_STREQ(FaultWith("exp", kNow + 1), "none");
  EXPECT_STREQ(FaultWith("iat", kNow + 30), "none");
  EXPECT_STREQ(FaultWith("iat", kNow + 31), "token_not_yet_valid");
  EXPECT_STREQ(FaultWith("nbf", kNow + 31), "token_not_yet_valid");
  EXPECT_STREQ(FaultWith("iat", kNow - 900), "none");
  EXPECT_STREQ(FaultWith("iat", kNow - 901), "token_too_old");
}

TEST(Token, LastsNoLongerThanItsMaximumAge) {
  Json claims = TestClaims(kNow);
  claims["exp"] = kNow + 86400;
  EXPECT_EQ(Verify(SignToken(claims)).grant->expires_at, kNow + 900);
}

TEST(Token, ExpectedValues) {
  EXPECT_STREQ(FaultWith("iss", "else"), "claim_mismatch");
  EXPECT_STREQ(FaultWithout("iss"), "claim_mismatch");
  EXPECT_STREQ(FaultWith("aud", "else"), "claim_mismatch");
  EXPECT_STREQ(FaultWith("aud", Json::array({"else"})), "claim_mismatch");
  EXPECT_STREQ(FaultWith("oa_claims_version", "v0"), "claim_mismatch");
  EXPECT_STREQ(FaultWithout("jti"), "missing_jti");
  EXPECT_STREQ(FaultWith("jti", ""), "missing_jti");
}

TEST(Keyring, ReadsKeysAndRefusesBadOnes) {
  std::string error;
  const std::string good = R"({"current":"a","keys":{"a":")" + Base64Url(std::string(32, 'x')) + R"("}})";
  const auto keyring = Keyring::Parse(good, &error);
  ASSERT_TRUE(keyring) << error;
  EXPECT_EQ(keyring->keys.at("a"), std::string(32, 'x'));
  for (const char* bad : {"", "[]", "{}", R"({"current":"a","keys":{}})", R"({"current":"a","keys":{"a":"c2hvcnQ"}})",
                          R"({"current":"a","keys":{"a":5}})", R"({"current":1,"keys":{}})"}) {
    EXPECT_FALSE(Keyring::Parse(bad, &error)) << bad;
    EXPECT_FALSE(error.empty());
    EXPECT_EQ(error.find("c2hvcnQ"), std::string::npos);
  }
  EXPECT_FALSE(Keyring::Load("/nonexistent", &error));
}

ScopeSet Scopes(const Json& scopes, const Json& more = Json::object()) {
  Json claims = TestClaims(kNow);
  claims.update(more);
  claims["oa_sync_scopes"] = scopes;
  const TokenResult result = Verify(SignToken(claims));
  EXPECT_TRUE(result.grant);
  return result.grant ? result.grant->scopes : ScopeSet();
}

TEST(Scopes, ExactAndPrefix) {
  const ScopeSet scopes = Scopes(" a , run:* ");
  EXPECT_TRUE(scopes.Allows("a"));
  EXPECT_FALSE(scopes.Allows("ab"));
  EXPECT_TRUE(scopes.Allows("run:1"));
  EXPECT_TRUE(scopes.Allows("run:"));
  EXPECT_FALSE(scopes.Allows("run"));
  EXPECT_FALSE(Scopes(Json::array()).Allows("a"));
  EXPECT_FALSE(Scopes("").Allows(""));
}

TEST(Scopes, TheirNumberIsLimitedInEitherForm) {
  std::string text = "s0";
  Json list = {"s0"};
  for (int i = 1; i < 256; ++i) {
    list.push_back("s" + std::to_string(i));
    text += ",s" + std::to_string(i);
  }
  EXPECT_EQ(Scopes(text).Names().size(), 256u);
  EXPECT_EQ(Scopes(list).Names().size(), 256u);
  list.push_back("s256");
  EXPECT_STREQ(FaultWith("oa_sync_scopes", text + ",s256"), "invalid_claims");
  EXPECT_STREQ(FaultWith("oa_sync_scopes", list), "invalid_claims");
}

TEST(Scopes, ClaimsCannotWidenThem) {
  EXPECT_TRUE(Scopes({"x:{oa_org_id}"}).Allows("x:org1"));
  EXPECT_FALSE(Scopes({"x:{oa_org_id}"}, {{"oa_org_id", "*"}}).Allows("x:other"));
  EXPECT_TRUE(Scopes({"x:{oa_org_id}:*"}).Allows("x:org1:y"));
  EXPECT_TRUE(Scopes({"x:{nope}", "x:{oa_org_id", "x:{oa_org_id}"}, {{"oa_org_id", ""}}).Names().empty());
  EXPECT_TRUE(Scopes({"x:{n}"}, {{"n", 5}}).Allows("x:5"));
  EXPECT_TRUE(Scopes({"x:{n}"}, {{"n", Json::array({5})}}).Names().empty());
}

TEST(Origin, MissingOnesAndListedOnesPass) {
  const std::vector<std::string> allowed = {NormalizeOrigin("https://App.Example/")};
  EXPECT_TRUE(IsOriginAllowed(allowed, ""));
  EXPECT_TRUE(IsOriginAllowed(allowed, "https://app.example"));
  EXPECT_TRUE(IsOriginAllowed(allowed, "HTTPS://APP.example/"));
  EXPECT_FALSE(IsOriginAllowed(allowed, "http://app.example"));
  EXPECT_FALSE(IsOriginAllowed(allowed, "https://app.example.evil"));
  EXPECT_FALSE(IsOriginAllowed({}, "null"));
}

TEST(Upgrade, FindsTheTokenWhereverItIs) {
  UpgradeRequest request;
  EXPECT_EQ(FindToken(request), "");
  request.query_token = "q";
  EXPECT_EQ(FindToken(request), "q");
  request.authorization = "bearer h";
  EXPECT_EQ(FindToken(request), "h");
  request.protocols = "phoenix, base64url.bearer.phx." + Base64Url("p.a.b");
  EXPECT_EQ(FindToken(request), "p.a.b");
  request.protocols = "base64url.bearer.phx.!!!";
  EXPECT_EQ(FindToken(request), "?");
  request.protocols = "phoenix";
  request.authorization = "Basic x";
  EXPECT_EQ(FindToken(request), "q");
}

}  // namespace
}  // namespace oasync
