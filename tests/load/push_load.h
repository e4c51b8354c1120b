#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "grpcpp/completion_queue.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/security/credentials.h"
#include "tests/load/load_case.h"
#include "tests/load/push_messages.h"

namespace evenkeel::load {

// What the steps of one job took, in microseconds.
struct StepSamples {
  // Of each step: from its first push to the last answer.
  std::vector<double> step;
  // Of each answer: from the first push of its step, and from the moment when the last had been sent.
  std::vector<double> from_first_push;
  std::vector<double> from_last_push;
};

// All workers of a case, played by one thread: a step's pushes go out at once, as bytes; the next step's when the last
// is answered. Jobs go on independently of each other. Not thread-safe.
class PushLoad {
 public:
  struct Options {
    // host:port of a coordinator, or of an echo_server with the case's workers as its fan-in.
    std::string address;
    bool echo = false;
    // Connections that the workers of a job share; none is shared by two jobs.
    int channels = 1;
    std::shared_ptr<grpc::ChannelCredentials> credentials;
  };

  // `messages` outlives the load.
  PushLoad(const Options& options, const LoadCase& load_case, const PushMessages* messages);
  ~PushLoad();
  PushLoad(const PushLoad&) = delete;
  PushLoad& operator=(const PushLoad&) = delete;

  // Connects all channels. At a coordinator every worker joins its job, which must be new.
  absl::Status Join();

  // Every job takes steps until `enough` of the number that it has taken in this run; at least one. Samples of each
  // job. An error where a push fails, or its answer is not that of its step, or not as long as the first to that step.
  absl::StatusOr<std::vector<StepSamples>> Run(const std::function<bool(int steps)>& enough);

  // Of the first job's last push and its answer.
  size_t push_bytes() const;
  size_t reply_bytes() const;

 private:
  using Clock = std::chrono::steady_clock;
  struct Call;
  struct Job;

  absl::Status JoinJob(Job* job);
  void StartStep(Job* job);
  absl::Status Take(Call* call);
  absl::Status CheckAnswer(const Call& call);

  const Options options_;
  const LoadCase load_case_;
  const PushMessages* const messages_;
  grpc::CompletionQueue queue_;
  std::vector<std::unique_ptr<Job>> jobs_;
};

}  // namespace evenkeel::load
