#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "server/core/brought_states.h"

namespace evenkeel::core {

// The steps that the contributors of a job want to go on from, each by its newest Join with rewind. Kept in memory
// only: who waits asks again.
class RewindWishes {
 public:
  struct Wish {
    // Of the process that wishes.
    uint64_t incarnation = 0;
    // The step that is to be open.
    uint64_t next_step = 0;
    // Null where none is brought.
    std::shared_ptr<const BroughtStates> brought;
    // Why it cannot be, where all had agreed. It counts no more.
    absl::Status refusal;
  };

  // In place of what the contributor wished before.
  void Put(absl::Time now, int contributor, Wish wish);
  void Remove(int contributor) { wishes_.erase(contributor); }
  void Clear() { wishes_.clear(); }

  // When the first of those that are here was put in; InfiniteFuture while none is.
  absl::Time since() const { return wishes_.empty() ? absl::InfiniteFuture() : since_; }

  // Null where the contributor has none.
  const Wish* Find(int contributor) const;
  // What that process was refused; OK where it was not.
  absl::Status RefusalOf(int contributor, uint64_t incarnation) const;
  // Refuses what everybody wishes.
  void RefuseAll(const absl::Status& refusal);

  // Whether all those `expected`, and whoever else asks, ask for `next_step`, when `contributor` does.
  bool Agree(int contributor, uint64_t next_step, absl::Span<const int> expected) const;
  // What is brought to the step on which all agree; null where nothing is. INVALID_ARGUMENT, with both checksums, when
  // two contributors bring different snapshots.
  absl::StatusOr<std::shared_ptr<const BroughtStates>> Brought() const;

  // "3 of 4 contributors have asked to go on: at step 7 contributors 0, 1; at step 6 contributor 2"; the three steps
  // that were asked for by most, with three contributors of each.
  std::string Describe(int contributors) const;

 private:
  std::map<int, Wish> wishes_;
  absl::Time since_ = absl::InfiniteFuture();
};

}  // namespace evenkeel::core
