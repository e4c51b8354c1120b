#include "client/source/coordinator_source.h"

#include <algorithm>
#include <utility>

#include "absl/types/span.h"

namespace evenkeel::client {
namespace {

// What is the same for every push.
v1::PushRequest PushOf(const v1::JoinRequest& join) {
  v1::PushRequest push;
  push.set_job(join.job().name());
  push.set_contributor(join.contributor());
  push.set_incarnation(join.incarnation());
  return push;
}

void PackCounts(absl::Span<const uint64_t> counts, v1::Counts* message) {
  google::protobuf::RepeatedField<uint32_t>* low = message->mutable_low();
  google::protobuf::RepeatedField<uint32_t>* high = message->mutable_high();
  const int size = static_cast<int>(counts.size());
  low->Resize(size, 0);
  high->Resize(size, 0);
  uint32_t any_high = 0;
  for (int i = 0; i < size; ++i) {
    low->Set(i, static_cast<uint32_t>(counts[i]));
    high->Set(i, static_cast<uint32_t>(counts[i] >> 32));
    any_high |= high->Get(i);
  }
  if (any_high == 0) high->Clear();
}

}  // namespace

void PackStep(const StepCounts& counts, v1::PushRequest* push) {
  push->set_step(counts.step);
  push->set_ok(counts.skips() == 0);
  *push->mutable_routed_with() = counts.routed_with;
  push->mutable_valid_tokens()->Assign(counts.tokens().begin(), counts.tokens().end());
  push->mutable_short_slots()->Clear();
  const auto is_zero = [](uint64_t slots) { return slots == 0; };
  if (!std::all_of(counts.short_slots().begin(), counts.short_slots().end(), is_zero)) {
    push->mutable_short_slots()->Assign(counts.short_slots().begin(), counts.short_slots().end());
  }
  PackCounts(counts.counts(), push->mutable_routed());
}

CoordinatorSource::CoordinatorSource(std::string coordinator, const v1::JoinRequest& join)
    : push_(PushOf(join)), link_(std::move(coordinator), join) {}

absl::Status CoordinatorSource::Join(uint64_t next_step, Deadline deadline, v1::JoinResponse* joined) {
  return link_.Join(next_step, deadline, joined);
}

void CoordinatorSource::Push(StepCounts* counts) {
  PackStep(*counts, &push_);
  link_.Push(&push_);
}

absl::Status CoordinatorSource::Await(Deadline deadline, v1::CommittedVersion* version) {
  return link_.Await(deadline, version);
}

absl::Status CoordinatorSource::Leave(Deadline deadline) { return link_.Leave(deadline); }

}  // namespace evenkeel::client
