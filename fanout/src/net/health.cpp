#include "net/health.h"

#include <nlohmann/json.hpp>

namespace oasync {

int StalledLoops(const MetricsSources& metrics, int64_t now_ms, int64_t stall_ms) {
  int stalled = 0;
  for (const auto& loop : metrics.loops) {
    const int64_t turned = loop->last_turn_ms.Get();
    if (turned != 0 && now_ms - turned > stall_ms) ++stalled;
  }
  return stalled;
}

namespace {

HttpAnswer Healthz(const HealthEnvironment& environment, bool details) {
  const int stalled = StalledLoops(environment.metrics, environment.clock.SteadyMs(), environment.loop_stall_ms);
  const int status = stalled == 0 ? 200 : 503;
  if (!details) return HttpText(status, stalled == 0 ? "ok\n" : "not ok\n");
  HttpAnswer answer;
  answer.status = status;
  answer.body = nlohmann::json{
      {"status", stalled == 0 ? "ok" : "stalled"},
      {"loops", environment.metrics.loops.size()},
      {"stalled_loops",
       stalled}}.dump();
  return answer;
}

HttpAnswer Readyz(const HealthEnvironment& environment, bool details) {
  const Readiness readiness = environment.readiness();
  const int status = readiness.ready ? 200 : 503;
  if (!details) return HttpText(status, readiness.ready ? "ready\n" : "not ready\n");
  static constexpr const char* kModes[] = {"down", "journal", "logical"};
  const int64_t silence_us = environment.metrics.tail_silence_us();
  nlohmann::json body{{"status", readiness.ready ? "ready" : "not_ready"},
                      {"tail", kModes[static_cast<size_t>(environment.metrics.router->tail_mode())]},
                      {"tail_silence_ms", silence_us < 0 ? -1 : silence_us / 1000}};
  if (!readiness.ready) body["reason"] = readiness.reason;
  HttpAnswer answer;
  answer.status = status;
  answer.body = body.dump();
  return answer;
}

}  // namespace

void AddHealthRoutes(const HealthEnvironment& environment, HttpRouter* router) {
  const auto add = [router](const char* path, const char* name, Exposure exposure, auto answer) {
    HttpRoute route;
    route.pattern = path;
    route.name = name;
    route.exposure = exposure;
    route.is_api = false;
    route.handler = [answer](const HttpRequest& request, const PathArguments&, const HttpReply& reply) {
      reply(answer(request.is_admin));
    };
    router->Add(std::move(route));
  };
  add("/healthz", "healthz", Exposure::kBoth, [environment](bool details) { return Healthz(environment, details); });
  add("/readyz", "readyz", Exposure::kBoth, [environment](bool details) { return Readyz(environment, details); });
  add("/metrics", "metrics", environment.public_metrics ? Exposure::kBoth : Exposure::kAdmin, [environment](bool) {
    HttpAnswer answer;
    answer.content_type = "text/plain; version=0.0.4; charset=utf-8";
    answer.body = RenderMetrics(environment.metrics);
    return answer;
  });
}

}  // namespace oasync
