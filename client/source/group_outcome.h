#pragma once

#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "evenkeel/v1/group.pb.h"
#include "evenkeel/v1/job.pb.h"

namespace evenkeel::client {

// A GroupOutcome in an array of bytes whose size all ranks of a group know before: what a broadcast needs.
class OutcomeFrame {
 public:
  // Large enough for every version of a job with that spec.
  explicit OutcomeFrame(const v1::JobSpec& spec);

  absl::Span<char> bytes() { return absl::MakeSpan(bytes_); }

  // Of a message that does not fit the end is left out. A version always fits: of its violations there is no more than
  // their number, and of many of them that of the first 256.
  void Write(v1::GroupOutcome outcome);

  // DATA_LOSS when the bytes are none that Write has made.
  absl::StatusOr<v1::GroupOutcome> Read() const;

 private:
  std::vector<char> bytes_;
};

v1::GroupOutcome Failed(const absl::Status& status);
v1::GroupOutcome Pending(const absl::Status& obstacle);

// What FAILED and PENDING were made of.
absl::Status StatusOf(const v1::GroupOutcome& outcome);

}  // namespace evenkeel::client
