#include <algorithm>
#include <cctype>
#include <limits>

#include "auth/strict_json.h"
#include "base/clock.h"
#include "base/percent.h"
#include "base/utf8.h"
#include "canonical_text.h"
#include "json_slice.h"
#include "parity_earlier.h"
#include "phoenix_channel.h"
#include "stop.h"
#include "token_source.h"

namespace oasync::terminal {
namespace {

constexpr size_t kMaxKeyBytes = 1024;
// So many requests in a row without an answer: the rest of the audit's are not sent.
constexpr int kGiveUpAfter = 5;

int64_t NowMs() { return SystemClock().SteadyMs(); }

EarlierAnswer Nonsense(std::string why) { return {false, {}, std::move(why)}; }

class HttpLane final : public EarlierLane {
 public:
  HttpLane(HttpClient http, std::string path, std::string token, int64_t budget_ms)
      : http_(std::move(http)), path_(std::move(path)), token_(std::move(token)), budget_(budget_ms) {}

  std::vector<std::string> Sample(const std::string& topic, int64_t seed, int64_t wanted, std::string* error) override;
  std::map<std::string, EarlierAnswer> Read(const std::string& topic, const std::vector<std::string>& keys, bool again,
                                            std::string* error) override;
  std::string HashAt(const std::string&, const std::string&, int64_t) override { return {}; }

 private:
  EarlierAnswer Ask(const std::string& topic, const std::string& key, std::string* refusal) const;

  const HttpClient http_;
  const std::string path_;
  const std::string token_;
  AskBudget budget_;
};

std::vector<std::string> HttpLane::Sample(const std::string& topic, int64_t seed, int64_t wanted, std::string*) {
  const HttpOutcome outcome = http_.Get(
      path_ + "?topic=" + PercentEncode(topic) + "&limit=" + std::to_string(wanted) + "&seed=" + std::to_string(seed),
      token_);
  if (!outcome.Is(200)) return {};
  return ParseEarlierList(outcome.response->body, static_cast<size_t>(wanted)).value_or(std::vector<std::string>());
}

EarlierAnswer HttpLane::Ask(const std::string& topic, const std::string& key, std::string* refusal) const {
  const HttpOutcome outcome =
      http_.Get(path_ + "?topic=" + PercentEncode(topic) + "&doc_key=" + PercentEncode(key), token_);
  if (!outcome.response) return Nonsense(outcome.error);
  const int status = outcome.response->status;
  if (status == 401 || status == 403) *refusal = "the earlier lane refuses with HTTP " + std::to_string(status);
  if (status == 404 || status == 410) return {true, {}, {}};
  if (status != 200) return Nonsense("HTTP " + std::to_string(status));
  return ParseEarlierDocument(outcome.response->body);
}

std::map<std::string, EarlierAnswer> HttpLane::Read(const std::string& topic, const std::vector<std::string>& keys,
                                                    bool again, std::string* error) {
  std::map<std::string, EarlierAnswer> answers;
  for (const std::string& key : keys) {
    if (StopSignal() != 0) break;
    if (std::string over = budget_.Refusal(again); !over.empty()) {
      answers[key] = Nonsense(std::move(over));
      continue;
    }
    std::string refusal;
    const int64_t begun_ms = NowMs();
    EarlierAnswer answer = Ask(topic, key, &refusal);
    if (!refusal.empty()) {
      *error = refusal + ": see --earlier-token-file";
      return {};
    }
    budget_.Took(again, NowMs() - begun_ms, answer.error);
    answers[key] = std::move(answer);
  }
  return answers;
}

// The token in a file; empty, and *error, when there is none that can be sent.
std::string ReadToken(const std::string& file, std::string* error) {
  TokenOptions options;
  options.token_file = file;
  const Endpoint nowhere;
  TokenResult result = TokenSource(options, HttpClient(nowhere, {}, 0)).Get();
  *error = result.error;
  return result.token;
}

}  // namespace

std::string AskBudget::Refusal(bool again) const {
  if (in_vain_ >= kGiveUpAfter) return last_error_;
  return left_ms_[again ? 1 : 0] > 0 ? std::string() : "the time for this audit was over";
}

void AskBudget::Took(bool again, int64_t ms, const std::string& error) {
  left_ms_[again ? 1 : 0] -= ms;
  in_vain_ = error.empty() ? 0 : in_vain_ + 1;
  last_error_ = error;
}

std::unique_ptr<EarlierLane> OpenHttpLane(const ParityLane& lane, const EarlierHttpOptions& options,
                                          std::string* error) {
  // The path as it stands: only the part in front of it is an endpoint.
  const size_t authority = lane.address.find("://");
  const size_t slash = authority == std::string::npos ? authority : lane.address.find('/', authority + 3);
  auto endpoint = ParseEndpoint(lane.address.substr(0, slash), error);
  if (!endpoint) {
    *error = "lane " + lane.name + ": its address " + *error;
    return nullptr;
  }
  const std::string path = slash == std::string::npos ? "/" : lane.address.substr(slash);
  const auto is_plain = [](char c) {
    return static_cast<unsigned char>(c) > 0x20 && static_cast<unsigned char>(c) < 0x7F;
  };
  if (!std::all_of(path.begin(), path.end(), is_plain)) {
    *error = "lane " + lane.name + ": its address has characters that a URL can't have";
    return nullptr;
  }
  std::string token;
  if (!options.token_file.empty()) {
    token = ReadToken(options.token_file, error);
    if (token.empty()) {
      *error = "--earlier-token-file: " + *error;
      return nullptr;
    }
  }
  return std::make_unique<HttpLane>(HttpClient(*endpoint, options.tls, options.timeout_ms, options.max_answer_bytes),
                                    path, std::move(token), options.budget_ms);
}

EarlierAnswer ParseEarlierDocument(const std::string& body) {
  if (!IsValidUtf8(body)) return Nonsense("the answer is no UTF-8");
  const Json json = ParseStrictJson(body);
  if (!json.is_object()) return Nonsense("the answer is no JSON object");
  EarlierAnswer answer;
  if (const Json& deleted = Member(json, "deleted"); deleted.is_boolean() && deleted.get<bool>()) {
    answer.answered = true;
    return answer;
  }
  if (const Json& version = Member(json, "doc_version"); !version.is_null()) {
    const auto number = ReadInteger(version);
    if (!number || *number > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
      return Nonsense("doc_version is no number that a version can be");
    }
    answer.state.version = static_cast<int64_t>(*number);
  }
  std::optional<std::string> hash;
  if (json.contains("payload")) {
    const auto payload = JsonMember(body, "payload");
    if (payload) hash = PayloadHash(*payload);
    if (!hash) return Nonsense("its payload is no JSON that has a canonical form");
  } else {
    const std::string text = TextMember(json, "payload_hash");
    if (text.empty()) return Nonsense("the answer has neither payload nor payload_hash");
    hash = NormalHash(text);
    if (!hash) return Nonsense("payload_hash is no sha256 in hexadecimal or base64");
  }
  answer.answered = true;
  answer.state.exists = true;
  answer.state.hash = *hash;
  return answer;
}

std::optional<std::vector<std::string>> ParseEarlierList(const std::string& body, size_t max_keys) {
  if (!IsValidUtf8(body)) return std::nullopt;
  const Json json = ParseStrictJson(body);
  const Json& documents = Member(json, "documents");
  if (!documents.is_array()) return std::nullopt;
  std::vector<std::string> keys;
  for (const Json& document : documents) {
    std::string key = document.is_string() ? document.get<std::string>() : TextMember(document, "doc_key");
    if (key.empty() || key.size() > kMaxKeyBytes || key.find('\0') != std::string::npos) continue;
    if (keys.size() >= max_keys) break;
    keys.push_back(std::move(key));
  }
  return keys;
}

std::string JsonTexts(const std::vector<std::string>& texts) {
  return Json(texts).dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace oasync::terminal
