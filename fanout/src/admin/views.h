// AdminViews: topics, events, a document's history and sessions, for operators.
//
//   GET /api/admin/topics?prefix=&after=&limit=
//   GET /api/admin/events?topic=&before=&limit=
//   GET /api/admin/history?topic=&doc_key=&before=&limit=
//   GET /api/admin/sessions?topic=&subject=&limit=
// docs/operations/http.md has requests, answers and errors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "admin/gather.h"
#include "base/worker_thread.h"
#include "database.h"
#include "net/http_message.h"

namespace oasync {

// Bounds of one answer; a request's `limit` can only lower them. Shown in the overview.
struct AdminLimits {
  uint32_t topics = 500;
  uint32_t events = 200;
  uint64_t event_bytes = 4194304;    // of one page of events, about
  uint32_t events_searched = 20000;  // for one page of a document's history
  uint32_t sessions = 500;
  size_t gzip_min_bytes = 1024;
};
inline constexpr uint32_t kDefaultPage = 100;

// Each must outlive every question.
struct AdminViewsEnvironment {
  OperatorDatabase& database;
  LoopAccess loops;
  WorkerThread& worker;  // renders and compresses
};

// Any thread. Every method replies once.
class AdminViews {
 public:
  AdminViews(AdminViewsEnvironment environment, AdminLimits limits)
      : environment_(std::move(environment)), limits_(limits) {}

  void Topics(const HttpRequest& request, HttpReply reply) const;
  void Events(const HttpRequest& request, HttpReply reply) const;
  void History(const HttpRequest& request, HttpReply reply) const;
  void Sessions(const HttpRequest& request, HttpReply reply) const;

 private:
  void ReadEvents(const HttpRequest& request, EventsQuestion question, HttpReply reply) const;
  // Renders on the worker, so that neither a loop nor the database's thread is held up, and compresses.
  void Reply(const HttpRequest& request, std::function<std::string()> render, HttpReply reply) const;

  const AdminViewsEnvironment environment_;
  const AdminLimits limits_;
};

// The answer to a question that the database did not answer.
HttpAnswer OperatorFailure(const DatabaseError& error);

}  // namespace oasync
