#include "server/telemetry/metrics_routes.h"

namespace evenkeel::telemetry {
namespace {

constexpr char kPageType[] = "text/plain; version=0.0.4; charset=utf-8";

}  // namespace

std::vector<http::Route> MetricsRoutes(const Metrics* metrics) {
  return {{"/metrics",
           [metrics](const http::Request&) {
             return http::Response{200, kPageType, metrics->Text(), {}};
           }},
          {"/metrics/experts", [metrics](const http::Request&) {
             return http::Response{200, kPageType, metrics->ExpertText(), {}};
           }}};
}

}  // namespace evenkeel::telemetry
