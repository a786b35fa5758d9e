#include "admin/routes.h"

#include <functional>
#include <string>
#include <utility>

namespace oasync {
namespace {

using Answer = std::function<void(const HttpRequest&, HttpReply)>;

void AddRoute(const AdminAccess& access, const char* name, Answer answer, HttpRouter* router) {
  HttpRoute route;
  route.pattern = std::string("/api/admin/") + name;
  route.name = name;
  route.exposure = Exposure::kAdmin;
  route.handler = [&access, answer = std::move(answer)](const HttpRequest& request, const PathArguments&,
                                                        HttpReply reply) {
    if (auto refusal = access.Refuse(request)) return reply(std::move(*refusal));
    answer(request, std::move(reply));
  };
  router->Add(std::move(route));
}

}  // namespace

void AddViewRoutes(const AdminAccess& access, const AdminViews& views, HttpRouter* router) {
  const auto add = [&](const char* name, void (AdminViews::*view)(const HttpRequest&, HttpReply) const) {
    AddRoute(
        access, name,
        [&views, view](const HttpRequest& request, HttpReply reply) { (views.*view)(request, std::move(reply)); },
        router);
  };
  add("topics", &AdminViews::Topics);
  add("events", &AdminViews::Events);
  add("history", &AdminViews::History);
  add("sessions", &AdminViews::Sessions);
}

void AddAdminRoutes(const AdminEnvironment& environment, HttpRouter* router) {
  AddRoute(
      environment.access, "overview",
      [&overview = environment.overview](const HttpRequest&, HttpReply reply) { overview.Answer(std::move(reply)); },
      router);
  AddViewRoutes(environment.access, environment.views, router);
}

}  // namespace oasync
