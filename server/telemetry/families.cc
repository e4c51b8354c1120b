#include "server/telemetry/families.h"

#include <array>
#include <cmath>
#include <sstream>

#include "prometheus/text_serializer.h"

namespace evenkeel::telemetry {
namespace {

constexpr int kDigits = 6;
// Powers of ten that a double holds exactly: what is divided by one is the double that is nearest to the decimal.
constexpr std::array<double, 23> kPowers = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                            1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

}  // namespace

double Rounded(double value) {
  if (!std::isfinite(value) || value == std::trunc(value)) return value;
  const int places = kDigits - 1 - static_cast<int>(std::floor(std::log10(std::abs(value))));
  if (places <= 0) return std::round(value);
  if (places >= static_cast<int>(kPowers.size())) return value;
  return std::round(value * kPowers[places]) / kPowers[places];
}

prometheus::ClientMetric Value(double value, Labels labels) {
  prometheus::ClientMetric metric;
  metric.label = std::move(labels);
  metric.gauge.value = metric.counter.value = Rounded(value);
  return metric;
}

prometheus::MetricFamily Gauge(std::string name, std::string help) {
  return {std::move(name), std::move(help), prometheus::MetricType::Gauge, {}};
}

prometheus::MetricFamily Counter(std::string name, std::string help) {
  return {std::move(name), std::move(help), prometheus::MetricType::Counter, {}};
}

Labels LayerLabels(const std::string& job, const std::string& layer, const std::string& stream) {
  Labels labels = {{"job", job}, {"layer", layer}};
  if (!stream.empty()) labels.push_back({"stream", stream});
  return labels;
}

std::string Serialize(const Families& families) {
  std::ostringstream page;
  prometheus::TextSerializer().Serialize(page, families);
  return page.str();
}

}  // namespace evenkeel::telemetry
