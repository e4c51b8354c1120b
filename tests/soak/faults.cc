#include "tests/soak/faults.h"

#include <algorithm>

namespace evenkeel::soak {
namespace {

struct Kind {
  const char* name;
  // Rounds to one, in a long soak.
  int64_t one_in;
};

constexpr Kind kKinds[kFaults] = {
    {"SIGKILL of the coordinator", 110},
    {"SIGTERM of the coordinator", 220},
    {"connections cut", 60},
    {"channel closed with its calls", 60},
    {"process replaced within a step", 20},
    {"push sent twice", 2},
    {"former push sent again", 4},
    {"worker left", 25},
    {"worker hung beyond the deadline", 5000},
    {"worker came back", 20},
    {"rewind", 1000},
    {"rate changed", 200},
    {"heartbeat", 4},
    {"metrics, state and description read", 100},
};

// Rounds that cost waiting, a deadline each, are the rarest; in a short soak, too, there are a few.
constexpr int64_t kAtLeast = 4;

bool IsOfCoordinator(Fault fault) { return fault == Fault::kKill || fault == Fault::kStop; }

bool IsWithinStep(Fault fault) { return fault <= Fault::kReplace; }

}  // namespace

const char* NameOf(Fault fault) { return kKinds[static_cast<int>(fault)].name; }

FaultPlan::FaultPlan(uint64_t seed, int workers, int64_t rounds) : seed_(seed), workers_(workers) {
  for (int i = 0; i < kFaults; ++i) one_in_[i] = std::max<int64_t>(1, std::min(kKinds[i].one_in, rounds / kAtLeast));
}

RoundPlan FaultPlan::Draw(int64_t round, bool restarts) const {
  std::seed_seq place{seed_, static_cast<uint64_t>(round)};
  std::mt19937_64 random(place);
  RoundPlan plan;
  for (int i = 0; i < kFaults; ++i) {
    const Fault fault = static_cast<Fault>(i);
    const bool strikes = random() % one_in_[i] == 0;
    const int moment = static_cast<int>(random() % (2 * workers_ + 1));
    if (!strikes || (IsOfCoordinator(fault) && !restarts)) continue;
    if (fault == Fault::kReplace) {
      // While others are still to push: else the step may be over by then.
      plan.moments.emplace(moment % (workers_ / 2), fault);
    } else if (IsWithinStep(fault)) {
      plan.moments.emplace(moment, fault);
    } else if (fault == Fault::kDuplicate) {
      plan.duplicates.push_back(moment % workers_);
    } else {
      plan.before.push_back(fault);
    }
  }
  plan.first_worker = static_cast<int>(random() % workers_);
  plan.draw = random();
  return plan;
}

}  // namespace evenkeel::soak
