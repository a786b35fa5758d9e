#include "http_response.h"

#include <algorithm>
#include <cctype>
#include <charconv>

namespace oasync::terminal {
namespace {

constexpr size_t kMaxHeadBytes = 65536;
constexpr size_t kMaxChunkLine = 1024;

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return lower;
}

template <typename T>
bool Number(std::string_view text, T* number, int base = 10) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number, base);
  return !text.empty() && error == std::errc() && end == text.data() + text.size();
}

}  // namespace

const std::string* HttpResponse::Header(std::string_view name) const {
  for (const auto& [known, value] : headers) {
    if (known == name) return &value;
  }
  return nullptr;
}

HttpResponseReader::State HttpResponseReader::Feed(std::string_view data) {
  pending_ += data;
  while (!has_head_) {
    const size_t end = pending_.find("\r\n\r\n");
    if (end == std::string::npos) return pending_.size() > kMaxHeadBytes ? State::kBad : State::kMore;
    if (end > kMaxHeadBytes) return State::kBad;
    response_ = {};
    const State state = ParseHead(std::string_view(pending_).substr(0, end));
    if (state == State::kBad || state == State::kTooLarge) return state;
    pending_.erase(0, end + 4);
    // 100 Continue and its like come before the answer.
    has_head_ = response_.status >= 200 || response_.status == 101;
  }
  return TakeBody();
}

HttpResponseReader::State HttpResponseReader::ParseHead(std::string_view head) {
  const size_t line_end = std::min(head.find("\r\n"), head.size());
  const std::string_view line = head.substr(0, line_end);
  if (line.size() < 12 || line.substr(0, 7) != "HTTP/1." || line[8] != ' ' || (line.size() > 12 && line[12] != ' ') ||
      !Number(line.substr(9, 3), &response_.status) || response_.status < 100) {
    return State::kBad;
  }
  head.remove_prefix(line_end);
  while (!head.empty()) {
    head.remove_prefix(2);
    const size_t end = std::min(head.find("\r\n"), head.size());
    if (!ParseHeader(head.substr(0, end))) return State::kBad;
    head.remove_prefix(end);
  }
  const std::string* encoding = response_.Header("transfer-encoding");
  const std::string* length = response_.Header("content-length");
  if (response_.status == 204 || response_.status == 304 || response_.status == 101) {
    body_ = Body::kNone;
  } else if (encoding != nullptr) {
    if (Lower(*encoding) != "chunked") return State::kBad;
    body_ = Body::kChunked;
  } else if (length != nullptr) {
    if (!Number(*length, &left_)) return State::kBad;
    if (left_ > max_body_) return State::kTooLarge;
    body_ = Body::kLength;
  }
  return State::kMore;
}

bool HttpResponseReader::ParseHeader(std::string_view line) {
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos || colon == 0 || line.substr(0, colon).find(' ') != std::string_view::npos) {
    return false;
  }
  response_.headers.emplace_back(Lower(line.substr(0, colon)), Trim(line.substr(colon + 1)));
  return true;
}

HttpResponseReader::State HttpResponseReader::TakeBody() {
  switch (body_) {
    case Body::kNone:
      return State::kDone;
    case Body::kChunked:
      return TakeChunks();
    case Body::kLength: {
      const size_t n = static_cast<size_t>(std::min<uint64_t>(left_, pending_.size()));
      response_.body.append(pending_, 0, n);
      pending_.erase(0, n);
      left_ -= n;
      return left_ == 0 ? State::kDone : State::kMore;
    }
    case Body::kUntilEnd:
      break;
  }
  response_.body += pending_;
  pending_.clear();
  return response_.body.size() > max_body_ ? State::kTooLarge : State::kMore;
}

HttpResponseReader::State HttpResponseReader::TakeChunks() {
  for (;;) {
    if (in_chunk_ && left_ > 0) {
      const size_t n = static_cast<size_t>(std::min<uint64_t>(left_, pending_.size()));
      response_.body.append(pending_, 0, n);
      pending_.erase(0, n);
      left_ -= n;
      if (left_ > 0) return State::kMore;
    }
    const size_t end = pending_.find("\r\n");
    if (end == std::string::npos) return pending_.size() > kMaxChunkLine ? State::kBad : State::kMore;
    const std::string line = pending_.substr(0, end);
    pending_.erase(0, end + 2);
    if (in_trailers_) {
      if (line.empty()) return State::kDone;
    } else if (in_chunk_) {
      if (!line.empty()) return State::kBad;  // a chunk ends with an end of line
      in_chunk_ = false;
    } else {
      if (!Number(Trim(std::string_view(line).substr(0, line.find(';'))), &left_, 16)) return State::kBad;
      if (left_ > max_body_ || response_.body.size() + left_ > max_body_) return State::kTooLarge;
      in_chunk_ = left_ > 0;
      in_trailers_ = left_ == 0;
    }
  }
}

HttpResponseReader::State HttpResponseReader::End() {
  return has_head_ && body_ == Body::kUntilEnd ? State::kDone : State::kBad;
}

}  // namespace oasync::terminal
