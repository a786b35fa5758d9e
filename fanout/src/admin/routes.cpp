#include "admin/routes.h"

#include <utility>

namespace oasync {

void AddAdminRoutes(const AdminEnvironment& environment, HttpRouter* router) {
  const auto add = [&environment, router](const char* pattern, const char* name, auto answer) {
    HttpRoute route;
    route.pattern = pattern;
    route.name = name;
    route.exposure = Exposure::kAdmin;
    route.handler = [&access = environment.access, answer](const HttpRequest& request, const PathArguments&,
                                                           HttpReply reply) {
      if (auto refusal = access.Refuse(request)) return reply(std::move(*refusal));
      answer(request, std::move(reply));
    };
    router->Add(std::move(route));
  };
  add("/api/admin/overview", "overview",
      [&overview = environment.overview](const HttpRequest&, HttpReply reply) { overview.Answer(std::move(reply)); });
}

}  // namespace oasync
