#include "server/http/health.h"

#include <utility>

namespace evenkeel::http {

std::vector<Route> HealthRoutes(std::function<bool()> is_ready) {
  return {{"/healthz",
           [](const Request&) {
             return Response{200, kPlainText, "ok", {}};
           }},
          {"/readyz", [is_ready = std::move(is_ready)](const Request&) {
             return is_ready() ? Response{200, kPlainText, "ready", {}} : Response{503, kPlainText, "not ready", {}};
           }}};
}

}  // namespace evenkeel::http
