#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "evenkeel/v1/bias_coordinator.pb.h"
#include "evenkeel/v1/snapshot.pb.h"
#include "job/job_state.h"
#include "tests/soak/soak_messages.h"

namespace evenkeel::soak {

// What must come out of the soak's job, step by step: the counts of those who took part, each summed once, applied with
// balance::ReferenceUpdate. Knows of no faults. Keeps the states of the newest steps only.
class Reference {
 public:
  // `messages` outlives the reference.
  explicit Reference(const SoakMessages* messages);

  // The last step.
  const v1::Version& version() const { return states_.back().version; }
  uint64_t step() const { return version().step(); }
  // What routed it; itself where no earlier one is kept.
  const v1::Version& version_before() const { return states_[states_.size() - (states_.size() > 1 ? 2 : 1)].version; }
  // The answer to the last step: a CommittedVersion, serialised.
  const std::string& answer() const { return answer_; }
  // As GetState is to give it, without what is no figure of the balancing: spec, fingerprint, changes and move.
  v1::JobState State() const;

  // The next step, committed in `epoch` with the pushes of these processes, in the order of their contributors.
  void Commit(uint64_t epoch, const std::vector<Process>& participants);
  // Back to the state after `step`, oldest() or later.
  void Rewind(uint64_t step);
  // The first step whose state is kept: a coordinator keeps as many.
  uint64_t oldest() const { return states_.front().version.step(); }
  // From the commit of that step on, up to the next change.
  void SetRate(uint64_t from_step, double rate) { rates_[from_step] = rate; }

 private:
  void Answer();

  const SoakMessages* const messages_;
  std::map<uint64_t, double> rates_;  // by the first step
  std::deque<job::JobState> states_;  // ascending
  std::string answer_;
};

// `state` without what Reference::State() has not.
v1::JobState Balancing(v1::JobState state);

}  // namespace evenkeel::soak
