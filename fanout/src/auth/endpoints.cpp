#include "auth/endpoints.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "auth/revocation_list.h"
#include "auth/scope_claims.h"
#include "auth/strict_json.h"
#include "auth/token.h"
#include "base/log.h"

namespace oasync {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxScopeBytes = 256;
constexpr size_t kMaxIdBytes = 256;
constexpr size_t kMaxRevokedAtOnce = 1000;
constexpr int64_t kRevokedForS = int64_t{30} * 24 * 3600;

ApiAnswer Error(int status, const char* code, const char* message, const char* reason = nullptr) {
  Json error = {{"code", code}, {"message", message}};
  if (reason != nullptr) error["reason"] = reason;
  ApiAnswer answer{status, Json{{"error", std::move(error)}}.dump()};
  if (status == 401) answer.extra_header = "www-authenticate: Bearer\r\n";
  if (status == 405) answer.extra_header = "allow: POST\r\n";
  return answer;
}

// Counts a refusal by its code, or by its reason when it has one. Both are of fixed lists.
ApiAnswer Refuse(const EndpointEnvironment& environment, int status, const char* code, const char* message,
                 const char* reason = nullptr) {
  environment.shared.denials.Add(reason != nullptr ? reason : code);
  return Error(status, code, message, reason);
}

// What both endpoints begin with: who asks, and the body as an object.
struct Opened {
  std::shared_ptr<const Identity> identity;  // null: `refusal` is the answer
  Json body;
  ApiAnswer refusal;
};
Opened Open(const EndpointEnvironment& environment, const ApiRequest& request, int64_t now_s) {
  Opened opened;
  if (request.method != "POST") {
    opened.refusal = Error(405, "method_not_allowed", "only POST");
    return opened;
  }
  const char* reason = nullptr;
  auto identity = environment.identity.Recognize(request.authorization, now_s, &reason);
  if (!identity) {
    opened.refusal = Refuse(environment, 401, "unauthenticated",
                            "Authorization must be a service key or an identity token that is valid", reason);
    return opened;
  }
  opened.body = request.body.empty() ? Json::object() : ParseStrictJson(request.body);
  if (!opened.body.is_object()) {
    opened.refusal = Refuse(environment, 400, "bad_request", "the body must be a JSON object");
    return opened;
  }
  opened.identity = std::move(identity);
  return opened;
}

Json ClaimsOf(const Identity& identity, const std::string& device_id) {
  Json claims = {{"sub", identity.subject}};
  if (!identity.user_id.empty()) claims["oa_user_id"] = identity.user_id;
  if (!identity.org_id.empty()) claims["oa_org_id"] = identity.org_id;
  if (!identity.session_id.empty()) claims["oa_session_id"] = identity.session_id;
  if (!device_id.empty()) claims["oa_device_id"] = device_id;
  return claims;
}

// Whether everything that `asked` would open is opened by `held`. Both are taken as a verifier of tokens takes them,
// with the claims in place, so that a claim that looks like a pattern widens neither.
bool Covers(const ScopeSet::Pattern& held, const ScopeSet::Pattern& asked) {
  if (!held.is_prefix) return !asked.is_prefix && asked.text == held.text;
  return asked.text.compare(0, held.text.size(), held.text) == 0;
}

// The scopes for the token: those asked for, each of them covered, or else all that the identity has. Nothing when
// they may not be given. They stay as they are written: the token's verifier puts the claims in place.
std::optional<std::vector<std::string>> ChooseScopes(const Identity& identity, const Json& body, const Json& claims,
                                                     size_t max_scopes) {
  const auto asked = body.find("scopes");
  if (asked == body.end() || asked->is_null()) {
    return identity.scopes.empty() ? std::nullopt : std::optional(identity.scopes);
  }
  if (!asked->is_array() || asked->empty() || asked->size() > max_scopes) return std::nullopt;
  std::vector<ScopeSet::Pattern> held;
  for (const std::string& scope : identity.scopes) {
    if (auto pattern = ReadScope(claims, scope)) held.push_back(std::move(*pattern));
  }
  std::vector<std::string> scopes;
  for (const Json& scope : *asked) {
    if (!scope.is_string() || scope.get_ref<const std::string&>().size() > kMaxScopeBytes) return std::nullopt;
    const auto pattern = ReadScope(claims, scope.get_ref<const std::string&>());
    const auto covers = [&](const ScopeSet::Pattern& one) { return Covers(one, *pattern); };
    if (!pattern || (pattern->text.empty() && !pattern->is_prefix) || std::none_of(held.begin(), held.end(), covers)) {
      return std::nullopt;
    }
    scopes.push_back(scope.get<std::string>());
  }
  return scopes;
}

// False when it is there and no number of seconds a token may live.
bool ReadTtl(const Json& body, int64_t* ttl_s) {
  const auto asked = body.find("ttl_seconds");
  if (asked == body.end() || asked->is_null()) return true;
  if (!asked->is_number_integer()) return false;
  const bool too_large = asked->is_number_unsigned() && asked->get<uint64_t>() > static_cast<uint64_t>(kTokenTtlMaxS);
  *ttl_s = too_large ? kTokenTtlMaxS + 1 : asked->get<int64_t>();
  return *ttl_s >= kTokenTtlMinS && *ttl_s <= kTokenTtlMaxS;
}

// The device of the token. False when the one asked for is none, or not the identity's own.
bool ReadDevice(const Identity& identity, const Json& body, std::string* device_id) {
  *device_id = identity.device_id;
  const auto asked = body.find("device_id");
  if (asked == body.end() || asked->is_null()) return true;
  if (!asked->is_string() || asked->get_ref<const std::string&>().empty()) return false;
  *device_id = asked->get<std::string>();
  return device_id->size() <= kMaxIdBytes && (identity.device_id.empty() || *device_id == identity.device_id);
}

std::string TokenBody(const IssuedToken& issued, const TokenIssuer& issuer, const Identity& identity,
                      const std::vector<std::string>& scopes) {
  const auto or_null = [](const std::string& text) { return text.empty() ? Json() : Json(text); };
  return Json{{"data",
               {{"token", issued.token},
                {"token_type", "Bearer"},
                {"expires_in", issued.expires_at - issued.issued_at},
                {"issued_at", issued.issued_at},
                {"expires_at", issued.expires_at},
                {"issuer", issuer.policy().issuer},
                {"audience", issuer.policy().audience},
                {"subject", identity.subject},
                {"org_id", or_null(identity.org_id)},
                {"claims_version", kClaimsVersion},
                {"scopes", scopes},
                {"kid", issued.kid}}}}
      .dump();
}

// Appends what the member lists. False when it is not a list of ids.
bool ReadIds(const Json& body, const char* name, Revocation::Kind kind, std::vector<Revocation>* revocations) {
  const auto ids = body.find(name);
  if (ids == body.end() || ids->is_null()) return true;
  if (!ids->is_array()) return false;
  for (const Json& id : *ids) {
    if (!id.is_string()) return false;
    const auto& text = id.get_ref<const std::string&>();
    if (text.empty() || text.size() > kMaxIdBytes || text.find('\0') != std::string::npos) return false;
    revocations->push_back({kind, text, {}, 0});
  }
  return true;
}

// Nothing when it is there and not one of the list.
std::optional<RevocationReason> ReadReason(const Json& body) {
  const auto asked = body.find("reason");
  if (asked == body.end() || asked->is_null()) return RevocationReason::kAdminRevoked;
  if (!asked->is_string()) return std::nullopt;
  return FindRevocationReason(asked->get_ref<const std::string&>());
}

}  // namespace

ApiAnswer TokenEndpoint::Answer(const ApiRequest& request) const {
  const auto refuse = [this](int status, const char* code, const char* message, const char* reason = nullptr) {
    return Refuse(environment_, status, code, message, reason);
  };
  if (request.method == "POST" && (!environment_.identity.IsConfigured() || !issuer_.CanSign())) {
    return refuse(503, "sync_token_unavailable", "this server issues no tokens");
  }
  const int64_t now_s = environment_.clock.WallMs() / 1000;
  const Opened opened = Open(environment_, request, now_s);
  if (!opened.identity) return opened.refusal;
  const Identity& identity = *opened.identity;
  if (!identity.may_mint) return refuse(401, "unauthenticated", "this key is not for tokens", "key_may_not");
  TokenRequest wanted;
  wanted.ttl_s = issuer_.default_ttl_s();
  if (!ReadTtl(opened.body, &wanted.ttl_s)) return refuse(422, "invalid_ttl", "ttl_seconds must be from 60 to 900");
  if (!ReadDevice(identity, opened.body, &wanted.device_id)) {
    return refuse(422, "invalid_device", "device_id must be 1 to 256 bytes, and the identity's own if it has one");
  }
  // A token that no server would take is not worth handing out.
  if (revocations_ != nullptr &&
      revocations_->Find(identity.session_id, wanted.device_id, identity.token_id, now_s).has_value()) {
    return refuse(401, "unauthenticated", "the session or the device is revoked", "token_revoked");
  }
  auto scopes = ChooseScopes(identity, opened.body, ClaimsOf(identity, wanted.device_id), issuer_.policy().max_scopes);
  if (!scopes) return refuse(422, "invalid_scope", "a list of scopes that the identity has");
  wanted.scopes = std::move(*scopes);
  const auto issued = issuer_.Issue(identity, wanted, now_s);
  if (!issued) return refuse(503, "sync_token_unavailable", "there is no key to sign with");
  if (issued->token.size() > issuer_.policy().max_token_bytes) {
    return refuse(422, "invalid_scope", "more scopes than one token holds");
  }
  return {200, TokenBody(*issued, issuer_, identity, wanted.scopes)};
}

void RevokeEndpoint::Answer(const ApiRequest& request, ApiCallback done) const {
  const auto refuse = [&](int status, const char* code, const char* message, const char* reason = nullptr) {
    done(Refuse(environment_, status, code, message, reason));
  };
  const int64_t now_s = environment_.clock.WallMs() / 1000;
  const Opened opened = Open(environment_, request, now_s);
  if (!opened.identity) return done(opened.refusal);
  if (!opened.identity->may_revoke) return refuse(403, "forbidden", "this key may not revoke", "key_may_not");
  const auto reason = ReadReason(opened.body);
  if (!reason) return refuse(422, "invalid_reason", "the reason is not one of the list");
  std::vector<Revocation> revocations;
  if (!ReadIds(opened.body, "session_ids", Revocation::Kind::kSession, &revocations) ||
      !ReadIds(opened.body, "device_ids", Revocation::Kind::kDevice, &revocations) ||
      !ReadIds(opened.body, "jtis", Revocation::Kind::kToken, &revocations) || revocations.empty()) {
    return refuse(422, "invalid_value", "session_ids, device_ids or jtis must list strings of 1 to 256 bytes");
  }
  if (revocations.size() > kMaxRevokedAtOnce) return refuse(422, "too_many_values", "at most 1000 at a time");
  const int64_t expires_at_s = now_s + kRevokedForS;
  for (Revocation& revocation : revocations) {
    revocation.reason = RevocationReasonName(*reason);
    revocation.expires_at_s = expires_at_s;
  }
  const Json data = {
      {"revoked", revocations.size()}, {"reason", RevocationReasonName(*reason)}, {"expires_at", expires_at_s}};
  database_.Revoke(std::move(revocations), [data, done = std::move(done)](const DatabaseError& result) {
    if (result.ok()) return done({200, Json{{"data", data}}.dump()});
    LogWarn("revocation.failed", "revoking failed: {error}", {{"error", result.error}});
    done(Error(503, "revocation_unavailable", "the database did not take it; try again"));
  });
}

}  // namespace oasync
