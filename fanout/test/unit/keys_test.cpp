// Keys: the signatures of the RFCs' examples, and keys and key sets that must not be used.
#include <gtest/gtest.h>

#include "auth/key_set.h"
#include "auth/strict_json.h"
#include "base/base64.h"
#include "fakes.h"

namespace oasync {
namespace {

constexpr int64_t kNow = 1700000000;
// RFC 7515, A.2 and A.3; RFC 8037, A.2 and A.4.
constexpr char kModulus[] =
    "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-"
    "pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg"
    "665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRW"
    "yuXpoQ";
constexpr char kPayload[] =
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
constexpr char kRsaSignature[] =
    "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1"
    "dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzD"
    "wusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77"
    "Rw";
constexpr char kX[] = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
constexpr char kY[] = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
constexpr char kEcSignature[] =
    "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
constexpr char kEdX[] = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
constexpr char kEdText[] = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
constexpr char kEdSignature[] =
    "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

std::string Bytes(std::string_view text) { return Base64Decode(text).value(); }

Json RsaJwk() { return {{"kty", "RSA"}, {"kid", "r"}, {"n", kModulus}, {"e", "AQAB"}}; }
Json EcJwk() { return {{"kty", "EC"}, {"kid", "e"}, {"crv", "P-256"}, {"x", kX}, {"y", kY}}; }
Json EdJwk() { return {{"kty", "OKP"}, {"kid", "d"}, {"crv", "Ed25519"}, {"x", kEdX}}; }

struct Added {
  bool ok = false;
  KeySet keys;
  std::vector<std::string> warnings;
  std::string error;
};
Added AddKeys(const Json& keys) {
  Added added;
  added.ok = added.keys.AddJwks(Json{{"keys", keys}}.dump(), &added.warnings, &added.error);
  return added;
}

TEST(VerifyKey, TheExamplesOfTheRfcs) {
  const Added added = AddKeys({RsaJwk(), EcJwk(), EdJwk()});
  ASSERT_TRUE(added.ok) << added.error;
  EXPECT_TRUE(added.warnings.empty());
  const std::string rsa_text = Base64Url(R"({"alg":"RS256"})") + "." + kPayload;
  const std::string ec_text = Base64Url(R"({"alg":"ES256"})") + "." + kPayload;
  EXPECT_TRUE(added.keys.Find("r")->Verify(rsa_text, Bytes(kRsaSignature)));
  EXPECT_TRUE(added.keys.Find("e")->Verify(ec_text, Bytes(kEcSignature)));
  EXPECT_TRUE(added.keys.Find("d")->Verify(kEdText, Bytes(kEdSignature)));
  EXPECT_FALSE(added.keys.Find("r")->Verify(ec_text, Bytes(kRsaSignature)));
  EXPECT_FALSE(added.keys.Find("e")->Verify(rsa_text, Bytes(kEcSignature)));
  EXPECT_FALSE(added.keys.Find("d")->Verify(rsa_text, Bytes(kEdSignature)));
}

TEST(VerifyKey, NoOtherFormOfASignatureCounts) {
  const Added added = AddKeys({RsaJwk(), EcJwk(), EdJwk()});
  const std::string ec_text = Base64Url(R"({"alg":"ES256"})") + "." + kPayload;
  const VerifyKey& ec = *added.keys.Find("e");
  const std::string raw = Bytes(kEcSignature);
  EXPECT_FALSE(ec.Verify(ec_text, raw + std::string(1, '\0')));
  EXPECT_FALSE(ec.Verify(ec_text, std::string(1, '\0') + raw));
  EXPECT_FALSE(ec.Verify(ec_text, raw.substr(0, 63)));
  EXPECT_FALSE(ec.Verify(ec_text, ""));
  EXPECT_FALSE(ec.Verify(ec_text, std::string(64, '\0'))) << "r and s of 0 (CVE-2022-21449)";
  EXPECT_FALSE(ec.Verify(ec_text, std::string(64, '\xff'))) << "r and s beyond the order";
  EXPECT_FALSE(ec.Verify(ec_text, raw.substr(32) + raw.substr(0, 32)));
  for (const char* kid : {"r", "e", "d"}) {
    const VerifyKey& key = *added.keys.Find(kid);
    for (const size_t size : {0u, 1u, 32u, 64u, 256u, 512u}) {
      EXPECT_FALSE(key.Verify(ec_text, std::string(size, 'x'))) << kid << size;
    }
    EXPECT_EQ(key.Sign("x"), "") << "a public key signs nothing";
  }
}

TEST(KeySet, WhatIsNotForTokensIsLeftOutWithAWarning) {
  Json for_encryption = RsaJwk();
  for_encryption["use"] = "enc";
  Json other_algorithm = EcJwk();
  other_algorithm["alg"] = "ES384";
  Json signing = EdJwk();
  signing["key_ops"] = {"sign"};
  Json no_kid = RsaJwk();
  no_kid.erase("kid");
  const Json other_curve = {{"kty", "EC"}, {"kid", "p"}, {"crv", "P-384"}, {"x", kX}, {"y", kY}};
  const Json unknown = {{"kty", "AKP"}, {"kid", "u"}};
  Json good = EcJwk();
  good.update({{"kid", "good"}, {"use", "sig"}, {"alg", "ES256"}, {"key_ops", {"verify"}}});
  const Added added = AddKeys({for_encryption, other_algorithm, signing, no_kid, other_curve, unknown, good});
  EXPECT_TRUE(added.ok) << added.error;
  EXPECT_EQ(added.warnings.size(), 6u);
  EXPECT_EQ(added.keys.size(), 1u);
  EXPECT_NE(added.keys.Find("good"), nullptr);
}

TEST(KeySet, WeakBrokenPrivateAndDoubleKeysRefuseTheFile) {
  const auto with = [](Json jwk, const char* name, const Json& value) {
    jwk[name] = value;
    return jwk;
  };
  const std::string short_modulus = Base64Url(Bytes(kModulus).substr(0, 128));
  const std::vector<Json> bad = {
      with(RsaJwk(), "n", short_modulus),
      with(RsaJwk(), "e", "AQ"),  // 1
      with(RsaJwk(), "e", "Ag"),  // 2
      with(RsaJwk(), "n", Base64Url(std::string(2048, 'x'))),
      with(RsaJwk(), "d", "c2VjcmV0"),
      with(EcJwk(), "d", "c2VjcmV0"),
      with(EcJwk(), "y", kX),  // no point of the curve
      with(EcJwk(), "x", "AAAA"),
      with(EdJwk(), "x", "AAAA"),
      with(EdJwk(), "x", "not base64!"),
      Json{{"kty", "oct"}, {"kid", "s"}, {"k", Base64Url(kTestSecret)}},
      Json{{"kid", "s"}},
      Json(5),
  };
  for (const Json& jwk : bad) {
    const Added added = AddKeys(Json::array({jwk}));
    EXPECT_FALSE(added.ok) << jwk;
    EXPECT_FALSE(added.error.empty());
    EXPECT_EQ(added.error.find("c2VjcmV0"), std::string::npos) << "an error names no key";
  }
  EXPECT_FALSE(AddKeys({EcJwk(), EcJwk()}).ok) << "the same kid twice";
  KeySet ring(Keyring{"e", {{"e", kTestSecret}}});
  std::vector<std::string> warnings;
  std::string error;
  EXPECT_FALSE(ring.AddJwks(Json{{"keys", {EcJwk()}}}.dump(), &warnings, &error)) << "a kid of both files";
  for (const char* text : {"", "[]", "{}", R"({"keys":5})", R"({"keys":[],"keys":[]})"}) {
    EXPECT_FALSE(ring.AddJwks(text, &warnings, &error)) << text;
  }
}

// A verifier with a secret "k1", an RSA key "r" and a P-256 key "e".
const char* Fault(const std::string& token, AlgorithmSet algorithms = AlgorithmSet::All()) {
  auto keys = std::make_shared<KeySet>(TestKeyring());
  std::vector<std::string> warnings;
  std::string error;
  EXPECT_TRUE(keys->AddJwks(Json{{"keys", {RsaJwk(), EcJwk()}}}.dump(), &warnings, &error));
  TokenPolicy policy{"openagents", "oa-sync"};
  policy.algorithms = algorithms;
  const TokenVerifier verifier(std::make_shared<Current<KeySet>>(keys), policy);
  return TokenFaultName(verifier.Verify(token, kNow).fault);
}

TEST(TokenVerifier, ThePublicKeyIsNoSecret) {
  for (const char* kid : {"r", "e"}) {
    const Json header = {{"alg", "HS256"}, {"kid", kid}};
    for (const std::string& secret : {Bytes(kModulus), std::string(kModulus), RsaJwk().dump(), Bytes(kX)}) {
      EXPECT_STREQ(Fault(SignToken(TestClaims(kNow), header, secret)), "unsupported_alg");
    }
  }
  EXPECT_STREQ(Fault(SignToken(TestClaims(kNow), {{"alg", "ES256"}, {"kid", "r"}})), "unsupported_alg");
  EXPECT_STREQ(Fault(SignToken(TestClaims(kNow), {{"alg", "RS256"}, {"kid", "k1"}})), "unsupported_alg");
  EXPECT_STREQ(Fault(SignToken(TestClaims(kNow), {{"alg", "RS256"}, {"kid", "r"}})), "invalid_signature");
}

TEST(TokenVerifier, AlgorithmsAreConfigured) {
  AlgorithmSet only_rsa;
  only_rsa.Add(Algorithm::kRs256);
  EXPECT_STREQ(Fault(SignToken(TestClaims(kNow))), "none");
  EXPECT_STREQ(Fault(SignToken(TestClaims(kNow)), only_rsa), "unsupported_alg");
}

std::string SignTexts(const std::string& header, const std::string& claims) {
  const std::string text = Base64Url(header) + "." + Base64Url(claims);
  std::string error;
  return text + "." + Base64Url(VerifyKey::Secret(kTestSecret, &error)->Sign(text));
}

TEST(TokenVerifier, MembersThatAreThereTwiceAreRefused) {
  const std::string claims = TestClaims(kNow).dump();
  const std::string header = R"({"alg":"HS256","kid":"k1"})";
  EXPECT_STREQ(Fault(SignTexts(header, claims)), "none");
  EXPECT_STREQ(Fault(SignTexts(R"({"alg":"none","alg":"HS256","kid":"k1"})", claims)), "invalid_header");
  EXPECT_STREQ(Fault(SignTexts(R"({"alg":"HS256","kid":"k9","kid":"k1"})", claims)), "invalid_header");
  EXPECT_STREQ(Fault(SignTexts(header, R"({"sub":"root",)" + claims.substr(1))), "invalid_claims");
  EXPECT_STREQ(Fault(SignTexts(header, std::string(2000, '['))), "invalid_claims");
}

TEST(TokenVerifier, OneTextForOneToken) {
  const std::string token = SignToken(TestClaims(kNow));
  EXPECT_STREQ(Fault(token + "="), "invalid_token_encoding");
  std::string other = token;
  for (char& c : other) c = c == '-' ? '+' : c == '_' ? '/' : c;
  if (other == token) other[token.size() - 10] = '+';
  EXPECT_STREQ(Fault(other), "invalid_token_encoding");
}

TEST(StrictJson, RefusesDoublesAndDepth) {
  EXPECT_TRUE(ParseStrictJson(R"({"a":{"b":1},"b":[{"a":1},{"a":2}]})").is_object());
  for (const char* text : {R"({"a":1,"a":1})", R"([{"b":{"a":1,"a":2}}])", R"({"a":1)", "", "{}x"}) {
    EXPECT_TRUE(ParseStrictJson(text).is_discarded()) << text;
  }
  EXPECT_TRUE(ParseStrictJson(std::string(17, '[') + std::string(17, ']')).is_discarded());
  EXPECT_FALSE(ParseStrictJson(std::string(16, '[') + std::string(16, ']')).is_discarded());
}

}  // namespace
}  // namespace oasync
