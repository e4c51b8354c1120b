#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <vector>

namespace evenkeel::soak {

// What happens to the soak's job beside its steps.
enum class Fault {
  // At any moment of a step.
  kKill,       // the coordinator is killed, and started again
  kStop,       // it is stopped by SIGTERM, and started again
  kCut,        // connections are cut
  kReconnect,  // a channel is closed with its calls, and made anew
  kReplace,    // a worker dies, and another process takes its place in the step
  // At a worker's push.
  kDuplicate,  // it is sent twice
  // Between steps.
  kFormerPush,  // the push of the step before is sent again
  kLeave,       // a worker gives its place back
  kSilence,     // a worker hangs, and the step waits for its deadline
  kReturn,      // one of those is back
  kRewind,      // all workers start again, some steps back
  kConfig,      // the rate is changed
  kHeartbeat,   // a worker says that it is alive
  kLook,        // somebody reads metrics, state and description
};
inline constexpr int kFaults = static_cast<int>(Fault::kLook) + 1;

const char* NameOf(Fault fault);

// What is done in one round, which takes one step.
struct RoundPlan {
  // Between steps, in their order above.
  std::vector<Fault> before;
  // By the number of pushes sent and, beyond the workers, of answers heard.
  std::multimap<int, Fault> moments;
  // Whose pushes are sent twice.
  std::vector<int> duplicates;
  // Whose push is the first.
  int first_worker = 0;
  // For what is to be chosen on the way.
  uint64_t draw = 0;
};

// The faults of a soak, by its seed and the number of the round alone.
class FaultPlan {
 public:
  // Over so many rounds each kind is to be expected several times.
  FaultPlan(uint64_t seed, int workers, int64_t rounds);

  // `restarts`: whether the coordinator may be ended.
  RoundPlan Draw(int64_t round, bool restarts) const;

 private:
  const uint64_t seed_;
  const int workers_;
  std::array<int64_t, kFaults> one_in_;  // rounds
};

}  // namespace evenkeel::soak
