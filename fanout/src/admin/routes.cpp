#include "admin/routes.h"

#include <utility>

namespace oasync {

void AddAdminRoutes(const AdminEnvironment& environment, HttpRouter* router) {
  const auto add = [&environment, router](const char* name, auto answer) {
    HttpRoute route;
    route.pattern = std::string("/api/admin/") + name;
    route.name = name;
    route.exposure = Exposure::kAdmin;
    route.handler = [&access = environment.access, answer](const HttpRequest& request, const PathArguments&,
                                                           HttpReply reply) {
      if (auto refusal = access.Refuse(request)) return reply(std::move(*refusal));
      answer(request, std::move(reply));
    };
    router->Add(std::move(route));
  };
  add("overview",
      [&overview = environment.overview](const HttpRequest&, HttpReply reply) { overview.Answer(std::move(reply)); });
  const auto add_view = [&add, &views = environment.views](const char* name, auto method) {
    add(name,
        [&views, method](const HttpRequest& request, HttpReply reply) { (views.*method)(request, std::move(reply)); });
  };
  add_view("topics", &AdminViews::Topics);
  add_view("events", &AdminViews::Events);
  add_view("history", &AdminViews::History);
  add_view("sessions", &AdminViews::Sessions);
}

}  // namespace oasync
