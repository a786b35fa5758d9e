// HttpExchange: one HTTP request of a connection and its answer, through libwebsockets.
//
// One request per connection, "connection: close" on every answer: libwebsockets 4.1.6 knows no chunked bodies and
// takes any Content-Length for true, so nothing that follows a request can be trusted to begin another one. Loop thread
// only; Answer() comes there by the loop's inbox.
#pragma once

#include <ev.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "net/http_message.h"

struct lws;

namespace oasync {

class HttpExchange {
 public:
  HttpExchange(struct ev_loop* loop, lws* wsi);
  ~HttpExchange() { ev_io_stop(loop_, &room_); }
  HttpExchange(const HttpExchange&) = delete;
  HttpExchange& operator=(const HttpExchange&) = delete;

  // Copies the request's head out of libwebsockets. Null when all is well; else the refusal to send.
  std::optional<HttpAnswer> ReadHead(const IpAddress& client, bool is_admin, size_t max_body_bytes);
  // True when a body is still to come.
  bool WantsBody() const { return body_bytes_ > request_.body.size(); }
  // More of the body. Whatever is beyond the announced length is dropped.
  void TakeBody(std::string_view bytes);
  const HttpRequest& request() const { return request_; }

  // Reads no more from the client.
  void PauseInput();
  // The answer, once: written piece by piece as the socket drains.
  void Answer(HttpAnswer answer);
  bool answered() const { return answered_; }
  // The client has not sent all it announced: it should be heard out before the connection is closed, or it would see
  // a reset instead of the answer.
  bool HasUnreadBody() const { return unread_body_; }
  // Writes the next piece. Returns true when all is out, a negative `*result` to hang up.
  bool Write(int* result);
  // True once: when nothing of the answer is left here any more.
  bool NoteOut();
  size_t bytes_out() const { return bytes_out_; }
  int status() const { return answer_.status; }
  const char* route() const { return answer_.route; }

 private:
  // While input is paused libwebsockets gives no notice of room in the socket either; and were it not paused, what a
  // client sends after its request would be found readable again and again. So room is waited for here, and input is
  // paused whenever there is none.
  void AwaitRoom();
  static void OnRoom(struct ev_loop* loop, ev_io* watcher, int events);

  struct ev_loop* loop_;
  ev_io room_;
  lws* wsi_;
  HttpRequest request_;
  size_t body_bytes_ = 0;  // announced
  HttpAnswer answer_;
  std::string head_;
  size_t written_ = 0;  // of the body
  size_t bytes_out_ = 0;
  bool answered_ = false;
  bool out_noted_ = false;
  bool unread_body_ = false;
};

// A header of the request, its fragments joined by commas; empty when it is not there.
std::string ReadHeader(lws* wsi, int token);
// Writes a short answer at once, before a WebSocket exists; the callback is to hang up afterwards, which waits for what
// the kernel did not take at once.
void SendHttpAnswer(lws* wsi, const HttpAnswer& answer);

}  // namespace oasync
