#include "net/http_message.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace oasync {

const char* HttpMethodName(HttpMethod method) {
  static constexpr const char* kNames[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};
  return kNames[static_cast<size_t>(method)];
}

std::string_view HttpRequest::Argument(std::string_view name) const {
  for (const auto& [key, value] : query) {
    if (key == name) return value;
  }
  return {};
}

bool HttpRequest::HasArgument(std::string_view name) const {
  return std::any_of(query.begin(), query.end(), [&](const auto& argument) { return argument.first == name; });
}

void HttpAnswer::AddHeader(std::string_view name, std::string_view value) {
  headers.append(name).append(": ").append(value).append("\r\n");
}

const char* HttpStatusText(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 204:
      return "No Content";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 411:
      return "Length Required";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 422:
      return "Unprocessable Content";
    case 426:
      return "Upgrade Required";
    case 429:
      return "Too Many Requests";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 504:
      return "Gateway Timeout";
    default:
      return "Service Unavailable";
  }
}

HttpAnswer HttpError(int status, std::string_view code, std::string_view reason) {
  HttpAnswer answer;
  answer.status = status;
  answer.body = nlohmann::json{{"error", {{"code", code}, {"reason", reason}}}}.dump();
  return answer;
}

HttpAnswer HttpErrorSaying(int status, std::string_view code, std::string_view reason, std::string_view message) {
  HttpAnswer answer;
  answer.status = status;
  answer.body = nlohmann::json{{"error", {{"code", code}, {"reason", reason}, {"message", message}}}}.dump();
  return answer;
}

HttpAnswer HttpRetryLater(int status, std::string_view code, std::string_view reason, int64_t after_ms) {
  constexpr int64_t kMsPerSecond = 1000;
  HttpAnswer answer = HttpError(status, code, reason);
  answer.AddHeader("retry-after", std::to_string(std::max<int64_t>(1, (after_ms + kMsPerSecond - 1) / kMsPerSecond)));
  return answer;
}

HttpAnswer HttpText(int status, std::string body) {
  HttpAnswer answer;
  answer.status = status;
  answer.content_type = "text/plain; charset=utf-8";
  answer.body = std::move(body);
  return answer;
}

std::string HttpHead(const HttpAnswer& answer) {
  std::string head = fmt::format("HTTP/1.1 {} {}\r\n", answer.status, HttpStatusText(answer.status));
  // Neither has a body, and so no length of one.
  if (answer.status != 204 && answer.status != 304) {
    head += fmt::format("content-type: {}\r\ncontent-length: {}\r\n", answer.content_type, answer.Content().size());
  }
  if (answer.headers.find("cache-control:") == std::string::npos) head += "cache-control: no-store\r\n";
  head += "x-content-type-options: nosniff\r\nconnection: close\r\n";
  head += answer.headers;
  head += "\r\n";
  return head;
}

}  // namespace oasync
