#pragma once

#include <cstdint>
#include <vector>

#include "absl/time/time.h"
#include "evenkeel/v1/bias_coordinator.pb.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/slice.h"
#include "job/job_plan.h"

namespace evenkeel::soak {

// A worker's process: a contributor, and which of its lives.
struct Process {
  int contributor = 0;
  uint64_t incarnation = 0;
};

// What the workers of the soak say. What a process counts in a step is a function of the seed, the process and the step
// alone: one of a few payloads, prepared once, so that a push costs next to nothing to make. Immutable, thread-safe.
class SoakMessages {
 public:
  static constexpr char kJob[] = "soak";

  // What one process counted in one step.
  struct Payload {
    // Of each layer, and of each expert of all layers, in layer order.
    std::vector<uint64_t> tokens;
    std::vector<uint64_t> counts;
    // The PushRequest that has these two, serialised.
    grpc::Slice bytes;
  };

  // The job goes on without contributors that are missing for `patience`: that is its step's deadline and the grace
  // after a restart.
  SoakMessages(uint64_t seed, int workers, absl::Duration patience);

  // Two layers of eight experts.
  const job::JobPlan& plan() const { return plan_; }

  const Payload& PayloadOf(const Process& process, uint64_t step) const;
  // Whether it took the optimizer step: not always.
  bool Ok(const Process& process, uint64_t step) const;

  v1::JoinRequest Join(const Process& process, uint64_t next_step) const;
  // A PushRequest, serialised, of a process that joined in `epoch` and routed with `due`, the version of the step
  // before.
  grpc::ByteBuffer Push(const Process& process, uint64_t epoch, uint64_t step, const v1::Version& due) const;

 private:
  uint64_t Draw(const Process& process, uint64_t step) const;

  const uint64_t seed_;
  const job::JobPlan plan_;
  std::vector<Payload> payloads_;
};

}  // namespace evenkeel::soak
