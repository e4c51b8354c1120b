#pragma once

#include <string>
#include <utility>
#include <vector>

#include "prometheus/client_metric.h"
#include "prometheus/metric_family.h"

// What the parts of a page are made of.
namespace evenkeel::telemetry {

using Families = std::vector<prometheus::MetricFamily>;
using Labels = std::vector<prometheus::ClientMetric::Label>;

// Whole numbers as they are; others to six significant digits, which is all that anybody reads and a third of the
// page's bytes.
double Rounded(double value);

// A sample of a counter or a gauge, rounded: the serializer reads the member that the family's type names.
prometheus::ClientMetric Value(double value, Labels labels);

prometheus::MetricFamily Gauge(std::string name, std::string help);
prometheus::MetricFamily Counter(std::string name, std::string help);

// The labels of a layer, and of its stream where it has one.
Labels LayerLabels(const std::string& job, const std::string& layer, const std::string& stream);

// The page in the Prometheus text format, version 0.0.4.
std::string Serialize(const Families& families);

}  // namespace evenkeel::telemetry
