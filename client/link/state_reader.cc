#include "client/link/state_reader.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <thread>

#include "absl/strings/str_cat.h"
#include "base/error_detail.h"
#include "base/status_macros.h"
#include "client/link/connection.h"
#include "client/link/verdict.h"
#include "job/snapshot.h"

namespace evenkeel::client {
namespace {

constexpr std::chrono::seconds kAttempt(30);

bool MayCome(const absl::Status& status) {
  return Judge(status) == Verdict::kRetry || ReasonOf(status) == v1::ErrorDetail::FUTURE_STEP;
}

absl::StatusOr<v1::Snapshot> Checked(uint64_t step, v1::GetStateResponse* response) {
  EVENKEEL_ASSIGN_OR_RETURN(const job::SnapshotStates states, job::OpenSnapshot(response->snapshot()));
  if (states.state.version().step() == step) return std::move(*response->mutable_snapshot());
  return absl::DataLossError(absl::StrCat("the coordinator answered with the state after step ",
                                          states.state.version().step(), " instead of step ", step));
}

}  // namespace

absl::StatusOr<v1::Snapshot> ReadState(const std::string& coordinator, const std::string& job, uint64_t step,
                                       Deadline deadline, const BackoffOptions& options) {
  Connection connection(coordinator, std::numeric_limits<int>::max());
  Backoff backoff(options, step);
  v1::GetStateRequest request;
  request.set_job(job);
  request.set_step(step);
  absl::Status obstacle;
  while (true) {
    const auto now = std::chrono::steady_clock::now();
    v1::GetStateResponse response;
    const absl::Status status = connection.GetState(
        request, {std::min<Deadline>(deadline, now + kAttempt), /*wait_for_connection=*/!obstacle.ok()}, &response);
    if (status.ok()) return Checked(step, &response);
    if (!MayCome(status)) return status;
    if (obstacle.ok() || status.code() != absl::StatusCode::kDeadlineExceeded) obstacle = status;
    std::this_thread::sleep_until(std::min<Deadline>(deadline, std::chrono::steady_clock::now() + backoff.Next()));
    if (std::chrono::steady_clock::now() < deadline) continue;
    return absl::DeadlineExceededError(absl::StrCat("the state after step ", step, " did not come in time; ",
                                                    "the last failed attempt met ", obstacle.ToString()));
  }
}

}  // namespace evenkeel::client
