#include "net/api_routes.h"

#include <utility>

namespace oasync {
namespace {

ApiRequest ToApiRequest(const HttpRequest& request) {
  return {HttpMethodName(request.method), request.path, request.authorization, request.body};
}

HttpAnswer ToHttpAnswer(ApiAnswer answer) {
  HttpAnswer http;
  http.status = answer.status;
  http.body = std::move(answer.body);
  http.headers = answer.extra_header;
  return http;
}

HttpRoute PostRoute(std::string_view path, const char* name, Exposure exposure, HttpHandler handler) {
  HttpRoute route;
  route.method = HttpMethod::kPost;
  route.pattern = path;
  route.name = name;
  route.exposure = exposure;
  route.handler = std::move(handler);
  return route;
}

}  // namespace

void AddAuthRoutes(const TokenEndpoint& tokens, const RevokeEndpoint& revocations, HttpRouter* router) {
  router->Add(PostRoute(kTokenPath, "token", Exposure::kBoth,
                        [&tokens](const HttpRequest& request, const PathArguments&, const HttpReply& reply) {
                          reply(ToHttpAnswer(tokens.Answer(ToApiRequest(request))));
                        }));
  router->Add(PostRoute(kRevokePath, "revoke", Exposure::kAdmin,
                        [&revocations](const HttpRequest& request, const PathArguments&, const HttpReply& reply) {
                          revocations.Answer(ToApiRequest(request),
                                             [reply](ApiAnswer answer) { reply(ToHttpAnswer(std::move(answer))); });
                        }));
}

void AddSocketRoutes(HttpRouter* router) {
  for (const char* path : {"/socket/websocket", "/sync/socket/websocket"}) {
    HttpRoute route;
    route.pattern = path;
    route.name = "socket";
    route.is_api = false;
    route.handler = [](const HttpRequest&, const PathArguments&, const HttpReply& reply) {
      HttpAnswer answer = HttpError(426, "upgrade_required", "this is a WebSocket endpoint");
      answer.AddHeader("upgrade", "websocket");
      reply(std::move(answer));
    };
    router->Add(std::move(route));
  }
}

}  // namespace oasync
