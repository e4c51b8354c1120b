#include "tools/report/called_run.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "evenkeel/v1/bias_coordinator.grpc.pb.h"
#include "tools/state_call.h"

namespace evenkeel::tools {

absl::StatusOr<RunPicture> CallForRun(const CoordinatorOptions& options, const std::string& job) {
  using Stub = v1::BiasCoordinator::Stub;
  CoordinatorCaller caller(options);
  RunPicture picture;
  picture.source = absl::StrCat("the coordinator at ", options.address, ", since its start");
  v1::DescribeJobRequest describe;
  describe.set_job(job);
  EVENKEEL_RETURN_IF_ERROR(caller.Call(&Stub::DescribeJob, describe, &picture.description));
  EVENKEEL_ASSIGN_OR_RETURN(const v1::JobState state, CallForState(&caller, job));
  EVENKEEL_ASSIGN_OR_RETURN(picture.end.rows, LoadRowsOf(state));
  picture.end.first_step = state.version().step();
  picture.end.last_step = state.version().step();
  for (const v1::LayerState& layer : state.layers()) picture.tokens = std::max(picture.tokens, layer.total_tokens());
  v1::GetHistoryRequest history;
  history.set_job(job);
  EVENKEEL_RETURN_IF_ERROR(caller.Call(&Stub::GetHistory, history, &picture.history));
  for (const int row : WorstRows(picture.description)) {
    history.set_layer(picture.description.layers(row).name());
    history.set_stream(picture.description.layers(row).stream());
    RunPicture::BiasHistory bias = {row, {}};
    EVENKEEL_RETURN_IF_ERROR(caller.Call(&Stub::GetHistory, history, &bias.history));
    picture.biases.push_back(std::move(bias));
  }
  return picture;
}

}  // namespace evenkeel::tools
