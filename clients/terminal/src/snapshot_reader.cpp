#include "snapshot_reader.h"

#include <openssl/sha.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/base64.h"
#include "base/percent.h"
#include "json_slice.h"
#include "stop.h"

namespace oasync::terminal {
namespace {

constexpr int kMaxAttempts = 6;
constexpr int kMaxBeginnings = 3;
constexpr int kMaxWaitS = 10;

bool IsDigits(std::string_view text) {
  if (text.size() >= 2 && text.front() == '"') text = text.substr(1, text.size() - 2);  // above 2^53
  return !text.empty() && text.size() <= 20 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// The document in the parsed body, with its values' text from the slice.
std::optional<SnapshotDocument> ReadDocumentText(const Json& json, std::string_view text, std::string* error) {
  SnapshotDocument document;
  document.doc_key = TextMember(json, "doc_key");
  document.payload_hash = TextMember(json, "payload_hash");
  document.doc_version = JsonMember(text, "doc_version").value_or("");
  document.payload = JsonMember(text, "payload").value_or("");
  const auto expected = Base64Decode(document.payload_hash);
  std::array<unsigned char, SHA256_DIGEST_LENGTH> hash;
  SHA256(reinterpret_cast<const unsigned char*>(document.payload.data()), document.payload.size(), hash.data());
  if (document.doc_key.empty() || !IsDigits(document.doc_version) || !IsOneLineOfJson(document.payload)) {
    *error = "the server sent a document that is none";
    return std::nullopt;
  }
  if (!expected || *expected != std::string_view(reinterpret_cast<const char*>(hash.data()), hash.size())) {
    *error = "the document " + document.doc_key + " does not have the hash that came with it";
    return std::nullopt;
  }
  return document;
}

void PauseFor(int seconds) {
  for (int i = 0; i < seconds * 1000 / kLookForStopMs && StopSignal() == 0; ++i) poll(nullptr, 0, kLookForStopMs);
}

int RetryAfterSeconds(const HttpResponse& response) {
  const std::string* header = response.Header("retry-after");
  int seconds = 1;
  if (header != nullptr) std::from_chars(header->data(), header->data() + header->size(), seconds);
  return std::clamp(seconds, 1, kMaxWaitS);
}

}  // namespace

std::optional<SnapshotPage> ParseSnapshotPage(const std::string& body, std::string* next, std::string* error) {
  // Not strictly: documents may be nested as deeply as they like.
  const Json json = Json::parse(body, nullptr, /*allow_exceptions=*/false);
  SnapshotPage page;
  const auto epoch = ReadInteger(Member(json, "epoch"));
  const auto watermark = ReadInteger(Member(json, "watermark"));
  if (!epoch || !watermark) {
    *error = "the server's answer is no snapshot";
    return std::nullopt;
  }
  page.cursor = {*epoch, *watermark};
  *next = TextMember(json, "next_page_token");
  // A page of a snapshot, or a single document.
  const auto add = [&](const Json& parsed, std::string_view text) {
    auto document = ReadDocumentText(parsed, text, error);
    if (document) page.documents.push_back(std::move(*document));
    return document.has_value();
  };
  if (const Json& one = Member(json, "document"); one.is_object()) {
    if (!add(one, JsonMember(body, "document").value_or(""))) return std::nullopt;
  }
  const Json& list = Member(json, "documents");
  const auto texts = JsonElements(JsonMember(body, "documents").value_or(""));
  if (list.is_array() && list.size() != texts.size()) {
    *error = "the server's answer is no snapshot";
    return std::nullopt;
  }
  for (size_t i = 0; i < texts.size(); ++i) {
    if (!add(list[i], texts[i])) return std::nullopt;
  }
  return page;
}

RequestResult SnapshotReader::Ask(const std::string& path, HttpResponse* response) const {
  std::string last_token;
  for (int attempt = 1;; ++attempt) {
    const TokenResult token = tokens_.Get();
    if (token.token.empty()) return {token.exit_code, token.error, false, token.exit_code == kExitCannotConnect};
    HttpOutcome outcome = http_.Get(path, token.token);
    if (outcome.Is(200) || outcome.Is(404)) {
      *response = std::move(*outcome.response);
      return {};
    }
    const std::string error =
        http_.endpoint().HttpUrl() + ": " + (outcome.response ? DescribeError(*outcome.response) : outcome.error);
    const bool later = outcome.response && (outcome.response->status == 429 || outcome.response->status >= 500);
    const bool renewed = outcome.Is(401) && tokens_.renews() && token.token != last_token;
    if (attempt >= kMaxAttempts || !(later || renewed) || StopSignal() != 0) {
      if (outcome.Is(410)) *response = std::move(*outcome.response);
      const bool is_lost = later || outcome.fault == NetFault::kClosed || outcome.fault == NetFault::kTimeout ||
                           outcome.fault == NetFault::kCannotConnect;
      return {ExitCodeOf(outcome), error, outcome.Is(409), is_lost};
    }
    last_token = token.token;
    if (later) PauseFor(RetryAfterSeconds(*outcome.response));
  }
}

RequestResult SnapshotReader::Read(const std::string& topic, int limit,
                                   const std::function<bool(const SnapshotPage&)>& take) const {
  const std::string path = "/api/sync/snapshot?topic=" + PercentEncode(topic) +
                           (limit > 0 ? "&limit=" + std::to_string(limit) : std::string());
  std::string page_token;
  int beginnings = 1;
  for (;;) {
    HttpResponse response;
    const bool is_first = page_token.empty();
    RequestResult result =
        Ask(path + (page_token.empty() ? "" : "&page_token=" + PercentEncode(page_token)), &response);
    if (response.status == 410 && beginnings < kMaxBeginnings) {
      ++beginnings;
      page_token.clear();
      continue;
    }
    if (!result.error.empty()) return result;
    if (response.status != 200) return {kExitRefused, http_.endpoint().HttpUrl() + ": " + DescribeError(response)};
    std::string error;
    auto page = ParseSnapshotPage(response.body, &page_token, &error);
    if (!page) return {kExitBadAnswer, error};
    page->is_first = is_first;
    if (!take(*page) || page_token.empty()) return {};
  }
}

RequestResult SnapshotReader::ReadDocument(const std::string& topic, const std::string& doc_key,
                                           SnapshotPage* page) const {
  HttpResponse response;
  RequestResult result =
      Ask("/api/sync/documents?topic=" + PercentEncode(topic) + "&doc_key=" + PercentEncode(doc_key), &response);
  if (!result.error.empty()) return result;
  std::string next;
  auto parsed = ParseSnapshotPage(response.body, &next, &result.error);
  // 404 without a cursor is a path that nobody serves, not a document that is not there.
  if (!parsed) return {response.status == 404 ? kExitRefused : kExitBadAnswer, result.error};
  *page = std::move(*parsed);
  return {};
}

}  // namespace oasync::terminal
