#include "server/engine/job_view.h"

namespace evenkeel::engine {

std::shared_ptr<const telemetry::JobView> MakeJobView(const v1::DescribeJobResponse& description,
                                                      uint64_t tokens_total) {
  auto view = std::make_shared<telemetry::JobView>();
  const v1::JobSummary& summary = description.summary();
  view->job = summary.name();
  view->epoch = summary.epoch();
  view->step = summary.version().step();
  view->contributors = summary.contributors();
  view->joined = summary.joined();
  view->tokens_total = tokens_total;
  for (const v1::LayerStatus& layer : description.layers()) {
    view->layers.push_back(
        {layer.name(), layer.max_violation(), layer.min_violation(), layer.avg_violation(), layer.last_update()});
  }
  return view;
}

}  // namespace evenkeel::engine
