#include "client/source/group_outcome.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "job/layer_table.h"

namespace evenkeel::client {
namespace {

constexpr size_t kLongestMessage = 1024;
constexpr int kMostViolations = 256;

using Size = uint32_t;  // little-endian, as every machine that this library is built for

size_t FrameBytes(const v1::JobSpec& spec) {
  constexpr size_t kFixed = 256 + kLongestMessage + 2 * kMostViolations;
  constexpr size_t kBytesPerExpert = 4;
  constexpr size_t kBytesPerRow = 8 + 4 + 2;  // hash, violation, reason
  constexpr size_t kBytesPerContributor = 5;  // its number, a varint
  const job::LayerTable rows(spec);
  return kFixed + kBytesPerExpert * rows.total_experts() + kBytesPerRow * rows.size() +
         kBytesPerContributor * spec.contributors();
}

v1::GroupOutcome Without(v1::GroupOutcome::Kind::Kind kind, const absl::Status& status) {
  v1::GroupOutcome outcome;
  outcome.set_kind(kind);
  outcome.set_code(static_cast<int>(status.code()));
  outcome.set_message(std::string(status.message()));
  return outcome;
}

// Followers are told how many there are; what they are is in the coordinator's log.
void Shorten(google::protobuf::RepeatedPtrField<v1::Violation>* violations) {
  for (v1::Violation& violation : *violations) violation.Clear();
  if (violations->size() > kMostViolations)
    violations->DeleteSubrange(kMostViolations, violations->size() - kMostViolations);
}

}  // namespace

OutcomeFrame::OutcomeFrame(const v1::JobSpec& spec) : bytes_(FrameBytes(spec)) {}

void OutcomeFrame::Write(v1::GroupOutcome outcome) {
  if (outcome.message().size() > kLongestMessage) outcome.mutable_message()->resize(kLongestMessage);
  if (outcome.has_version()) Shorten(outcome.mutable_version()->mutable_violations());
  const Size size = static_cast<Size>(outcome.ByteSizeLong());
  EVENKEEL_CHECK(sizeof(Size) + size <= bytes_.size());
  std::memcpy(bytes_.data(), &size, sizeof(Size));
  EVENKEEL_CHECK(outcome.SerializeToArray(bytes_.data() + sizeof(Size), static_cast<int>(size)));
}

absl::StatusOr<v1::GroupOutcome> OutcomeFrame::Read() const {
  Size size = 0;
  std::memcpy(&size, bytes_.data(), sizeof(Size));
  v1::GroupOutcome outcome;
  const bool fits = size <= bytes_.size() - sizeof(Size);
  if (fits && outcome.ParseFromArray(bytes_.data() + sizeof(Size), static_cast<int>(size))) return outcome;
  return absl::DataLossError(
      absl::StrCat("the leader's broadcast is no outcome of a step (", size, " bytes of ", bytes_.size(), ")"));
}

v1::GroupOutcome Failed(const absl::Status& status) { return Without(v1::GroupOutcome::Kind::FAILED, status); }

v1::GroupOutcome Pending(const absl::Status& obstacle) { return Without(v1::GroupOutcome::Kind::PENDING, obstacle); }

absl::Status StatusOf(const v1::GroupOutcome& outcome) {
  return absl::Status(static_cast<absl::StatusCode>(outcome.code()), outcome.message());
}

}  // namespace evenkeel::client
