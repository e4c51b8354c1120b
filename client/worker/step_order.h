#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace evenkeel::client {

// The order in which a worker's calls may come:
//
//   between steps --BeginStep(next)--> in a step (counting) --Commit(next)--> between steps, next + 1
//   either --Leave--> left, for good
//
// Checks answer FAILED_PRECONDITION with the steps concerned. Not thread-safe.
class StepOrder {
 public:
  explicit StepOrder(uint64_t first_step) : step_(first_step) {}

  absl::Status CheckBegin(uint64_t step) const;
  // `call` is what asks to count.
  absl::Status CheckCounting(absl::string_view call) const;
  absl::Status CheckCommit(uint64_t step) const;

  void Begin() { place_ = Place::kInStep; }
  void Commit() {
    place_ = Place::kBetweenSteps;
    ++step_;
  }
  void Leave() { place_ = Place::kLeft; }

  bool left() const { return place_ == Place::kLeft; }

 private:
  enum class Place { kBetweenSteps, kInStep, kLeft };

  absl::Status Refuse(absl::string_view call) const;

  Place place_ = Place::kBetweenSteps;
  // The step that is under way, or that comes next.
  uint64_t step_;
};

}  // namespace evenkeel::client
