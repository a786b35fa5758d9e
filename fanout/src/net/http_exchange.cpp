#include "net/http_exchange.h"

#include <libwebsockets.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <utility>
#include <vector>

namespace oasync {
namespace {

// Written at once; the next piece waits until the socket has room.
constexpr size_t kPieceBytes = 65536;

struct MethodToken {
  lws_token_indexes token;
  HttpMethod method;
};
constexpr MethodToken kMethods[] = {
    {WSI_TOKEN_GET_URI, HttpMethod::kGet},       {WSI_TOKEN_POST_URI, HttpMethod::kPost},
    {WSI_TOKEN_HEAD_URI, HttpMethod::kHead},     {WSI_TOKEN_OPTIONS_URI, HttpMethod::kOptions},
    {WSI_TOKEN_PUT_URI, HttpMethod::kPut},       {WSI_TOKEN_PATCH_URI, HttpMethod::kPatch},
    {WSI_TOKEN_DELETE_URI, HttpMethod::kDelete},
};

std::vector<std::string> Fragments(lws* wsi, lws_token_indexes token) {
  std::vector<std::string> fragments;
  const int length = lws_hdr_total_length(wsi, token);
  if (length <= 0) return fragments;
  std::string buffer(static_cast<size_t>(length) + 1, '\0');
  // Not lws_hdr_copy: net/subprotocol.cpp answers that one.
  for (int i = 0;; ++i) {
    const int size = lws_hdr_copy_fragment(wsi, buffer.data(), static_cast<int>(buffer.size()), token, i);
    if (size < 0) return fragments;
    fragments.emplace_back(buffer.data(), static_cast<size_t>(size));
  }
}

HttpAnswer BadRequest(std::string_view reason) { return HttpError(400, "bad_request", reason); }

}  // namespace

std::string ReadHeader(lws* wsi, int token) {
  std::string value;
  for (const std::string& fragment : Fragments(wsi, static_cast<lws_token_indexes>(token))) {
    if (!value.empty()) value.push_back(',');
    value += fragment;
  }
  return value;
}

HttpExchange::HttpExchange(struct ev_loop* loop, lws* wsi) : loop_(loop), wsi_(wsi) {
  ev_io_init(&room_, &HttpExchange::OnRoom, lws_get_socket_fd(wsi_), EV_WRITE);
  room_.data = this;
}

void HttpExchange::PauseInput() { lws_rx_flow_control(wsi_, 0); }

void HttpExchange::AwaitRoom() {
  PauseInput();
  ev_io_start(loop_, &room_);
}

void HttpExchange::OnRoom(struct ev_loop* loop, ev_io* watcher, int) {
  ev_io_stop(loop, watcher);
  lws* wsi = static_cast<HttpExchange*>(watcher->data)->wsi_;
  lws_rx_flow_control(wsi, 1);
  lws_callback_on_writable(wsi);
}

std::optional<HttpAnswer> HttpExchange::ReadHead(const IpAddress& client, bool is_admin, size_t max_body_bytes) {
  request_.client = client;
  request_.is_admin = is_admin;
  request_.is_tls = lws_is_ssl(wsi_) != 0;
  for (const MethodToken& known : kMethods) {
    const auto fragments = Fragments(wsi_, known.token);
    if (fragments.empty()) continue;
    // libwebsockets cuts a path at an unescaped & or ;, which nobody here needs.
    if (fragments.size() > 1) return BadRequest("invalid_path");
    request_.method = known.method;
    request_.path = fragments.front();
  }
  for (const std::string& argument : Fragments(wsi_, WSI_TOKEN_HTTP_URI_ARGS)) {
    const size_t equals = argument.find('=');
    request_.query.emplace_back(argument.substr(0, equals),
                                equals == std::string::npos ? std::string() : argument.substr(equals + 1));
  }
  request_.authorization = ReadHeader(wsi_, WSI_TOKEN_HTTP_AUTHORIZATION);
  request_.origin = ReadHeader(wsi_, WSI_TOKEN_ORIGIN);
  request_.host = ReadHeader(wsi_, WSI_TOKEN_HOST);
  request_.accept = ReadHeader(wsi_, WSI_TOKEN_HTTP_ACCEPT);
  request_.content_type = ReadHeader(wsi_, WSI_TOKEN_HTTP_CONTENT_TYPE);
  request_.accept_encoding = ReadHeader(wsi_, WSI_TOKEN_HTTP_ACCEPT_ENCODING);
  request_.if_none_match = ReadHeader(wsi_, WSI_TOKEN_HTTP_IF_NONE_MATCH);

  const std::string length = ReadHeader(wsi_, WSI_TOKEN_HTTP_CONTENT_LENGTH);
  const bool has_length = lws_hdr_total_length(wsi_, WSI_TOKEN_HTTP_CONTENT_LENGTH) > 0;
  const bool may_have_body = request_.method == HttpMethod::kPost || request_.method == HttpMethod::kPut ||
                             request_.method == HttpMethod::kPatch;
  unread_body_ = may_have_body;
  if (lws_hdr_total_length(wsi_, WSI_TOKEN_HTTP_TRANSFER_ENCODING) > 0) {
    return HttpError(411, "length_required", "transfer_encoding_not_supported");
  }
  if (has_length) {
    // Two lengths that differ, signs, anything but digits: what such a request is depends on who reads it.
    const auto [end, error] = std::from_chars(length.data(), length.data() + length.size(), body_bytes_);
    if (error != std::errc() || end != length.data() + length.size()) return BadRequest("invalid_content_length");
    if (body_bytes_ > max_body_bytes) {
      body_bytes_ = 0;
      return HttpError(413, "payload_too_large", "body_over_limit");
    }
    if (!may_have_body && body_bytes_ != 0) return BadRequest("body_not_expected");
  } else if (may_have_body) {
    return HttpError(411, "length_required", "content_length_missing");
  }
  unread_body_ = body_bytes_ != 0;
  return std::nullopt;
}

void HttpExchange::TakeBody(std::string_view bytes) {
  if (answered_) return;  // refused; it is only waited for
  request_.body.append(bytes.substr(0, body_bytes_ - request_.body.size()));
  if (!WantsBody()) unread_body_ = false;
}

void HttpExchange::Answer(HttpAnswer answer) {
  if (answered_) return;
  answered_ = true;
  answer_ = std::move(answer);
  head_ = HttpHead(answer_);
  if (request_.method == HttpMethod::kHead) {
    answer_.body.clear();
    answer_.shared_body.reset();
  }
  // A body under way is read on, or the client might never come to reading the answer.
  if (unread_body_) {
    lws_callback_on_writable(wsi_);
  } else {
    AwaitRoom();
  }
}

bool HttpExchange::Write(int* result) {
  *result = 0;
  if (!answered_) return false;
  // libwebsockets copies what the kernel does not take. Never more than one piece of it.
  if (lws_partial_buffered(wsi_) != 0) {
    AwaitRoom();
    return false;
  }
  const std::string_view content = answer_.Content();
  if (head_.empty() && written_ == content.size()) return true;
  const size_t size = std::min(kPieceBytes, content.size() - written_);
  std::string piece(LWS_PRE, '\0');
  piece += head_;
  piece.append(content.substr(written_, size));
  const size_t bytes = piece.size() - LWS_PRE;
  const auto kind = head_.empty() ? LWS_WRITE_HTTP : LWS_WRITE_HTTP_HEADERS;
  if (lws_write(wsi_, reinterpret_cast<unsigned char*>(piece.data()) + LWS_PRE, bytes, kind) < 0) {
    *result = -1;
    return false;
  }
  head_.clear();
  written_ += size;
  bytes_out_ += bytes;
  if (unread_body_) {
    lws_callback_on_writable(wsi_);
  } else {
    AwaitRoom();
  }
  return false;
}

bool HttpExchange::NoteOut() {
  const bool is_out =
      answered_ && head_.empty() && written_ == answer_.Content().size() && lws_partial_buffered(wsi_) == 0;
  return is_out && !std::exchange(out_noted_, true);
}

void SendHttpAnswer(lws* wsi, const HttpAnswer& answer) {
  std::string text(LWS_PRE, '\0');
  text += HttpHead(answer);
  text += answer.body;
  lws_write(wsi, reinterpret_cast<unsigned char*>(text.data()) + LWS_PRE, text.size() - LWS_PRE,
            LWS_WRITE_HTTP_HEADERS);
}

}  // namespace oasync
