#include "token_source.h"

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <memory>

#include "auth/key_set.h"
#include "auth/strict_json.h"
#include "auth/token_issuer.h"
#include "base/base64.h"
#include "phoenix_channel.h"

namespace oasync::terminal {
namespace {

constexpr size_t kMaxTokenBytes = 16384;

TokenResult Failed(std::string error, int exit_code = kExitUsage) { return {{}, std::move(error), exit_code, {}}; }

std::string Trimmed(const std::string& text) {
  const char* space = " \t\r\n";
  const size_t begin = text.find_first_not_of(space);
  if (begin == std::string::npos) return {};
  return text.substr(begin, text.find_last_not_of(space) - begin + 1);
}

// A secret of a file or the environment, without the line end that editors add.
std::string ReadSecret(const std::string& file, const char* variable, const char* what, std::string* error) {
  std::string text;
  if (!file.empty()) {
    if (!ReadSmallFile(file, &text, error)) {
      *error = file + " " + *error;
      return {};
    }
  } else if (const char* value = getenv(variable)) {
    text = value;
  }
  text = Trimmed(text);
  const std::string where = file.empty() ? std::string(variable) : file;
  if (text.empty()) *error = where + (file.empty() ? " is not set" : " is empty");
  if (!text.empty() && !IsHeaderSafe(text)) {
    *error = where + " holds no " + what;
    return {};
  }
  return text;
}

}  // namespace

bool IsHeaderSafe(const std::string& text) {
  return text.size() <= kMaxTokenBytes && std::all_of(text.begin(), text.end(), [](char c) {
           return static_cast<unsigned char>(c) > 0x20 && static_cast<unsigned char>(c) < 0x7F;
         });
}

std::string ReadServiceKey(const std::string& file, std::string* error) {
  return ReadSecret(file, "OA_SYNC_SERVICE_KEY", "service key", error);
}

std::optional<int64_t> TokenExpiry(const std::string& token) {
  const size_t first = token.find('.');
  const size_t second = first == std::string::npos ? first : token.find('.', first + 1);
  if (second == std::string::npos) return std::nullopt;
  const auto claims = Base64Decode(std::string_view(token).substr(first + 1, second - first - 1));
  if (!claims) return std::nullopt;
  const Json json = ParseStrictJson(*claims);
  const Json& exp = Member(json, "exp");
  if (!exp.is_number_integer()) return std::nullopt;
  return exp.get<int64_t>();
}

TokenResult TokenSource::Get() const {
  if (!options_.keyring_file.empty()) return Mint();
  if (!options_.key_file.empty()) return Ask();
  return FromFile();
}

TokenResult TokenSource::FromFile() const {
  TokenResult result;
  result.token = ReadSecret(options_.token_file, "OA_SYNC_TOKEN", "token", &result.error);
  if (result.token.empty() && options_.token_file.empty()) {
    result.error = "no token: give --token-file, --keyring or --key-file, or set OA_SYNC_TOKEN";
  }
  return result;
}

TokenResult TokenSource::Mint() const {
  std::string error;
  const auto ring = Keyring::Load(options_.keyring_file, &error);
  if (!ring) return Failed("--keyring: " + options_.keyring_file + ": " + error);
  const TokenClaims& claims = options_.claims;
  TokenPolicy policy;
  policy.issuer = claims.issuer;
  policy.audience = claims.audience;
  const TokenIssuer issuer(std::make_shared<Current<KeySet>>(std::make_shared<KeySet>(*ring)), policy);
  Identity identity;
  identity.subject = claims.subject;
  identity.user_id = claims.user_id;
  identity.org_id = claims.org_id;
  identity.session_id = claims.session_id;
  const auto issued = issuer.Issue(identity, {claims.scopes, claims.ttl_s, claims.device_id}, time(nullptr));
  if (!issued) return Failed("--keyring: no token could be signed");
  return {issued->token,
          {},
          kExitOk,
          {{"token", issued->token},
           {"token_type", "Bearer"},
           {"kid", issued->kid},
           {"issued_at", issued->issued_at},
           {"expires_at", issued->expires_at},
           {"expires_in", claims.ttl_s},
           {"issuer", claims.issuer},
           {"audience", claims.audience},
           {"subject", claims.subject},
           {"scopes", claims.scopes}}};
}

TokenResult TokenSource::Ask() const {
  std::string error;
  const std::string key = ReadServiceKey(options_.key_file, &error);
  if (key.empty()) return Failed(error);
  const TokenClaims& claims = options_.claims;
  Json body = {{"ttl_seconds", claims.ttl_s}};
  if (!claims.scopes.empty()) body["scopes"] = claims.scopes;
  if (!claims.device_id.empty()) body["device_id"] = claims.device_id;
  HttpRequest request;
  request.method = "POST";
  request.path = "/api/sync/token";
  request.headers.emplace_back("Content-Type", "application/json");
  request.body = body.dump(-1, ' ', false, Json::error_handler_t::replace);
  request.Bearer(key);
  const HttpOutcome outcome = http_.Send(request);
  if (!outcome.response) {
    return Failed("asking " + http_.endpoint().HttpUrl() + " for a token: " + outcome.error, ExitCodeOf(outcome));
  }
  if (!outcome.Is(200)) {
    return Failed("no token from " + http_.endpoint().HttpUrl() + ": " + DescribeError(*outcome.response),
                  ExitCodeOf(outcome));
  }
  const Json data = Member(ParseStrictJson(outcome.response->body), "data");
  const std::string token = TextMember(data, "token");
  if (token.empty() || !IsHeaderSafe(token)) {
    return Failed("the answer to POST /api/sync/token has no token", kExitBadAnswer);
  }
  return {token, {}, kExitOk, data};
}

}  // namespace oasync::terminal
