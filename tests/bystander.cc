#include "tests/bystander.h"

#include <utility>

#include "base/status_macros.h"
#include "job/layer_table.h"
#include "tests/protocol_client.h"

namespace evenkeel::tests {
namespace {

constexpr uint64_t kIncarnation = 4711;

}  // namespace

absl::Status Bystander::Join(std::unique_ptr<v1::BiasCoordinator::Stub> stub) {
  stub_ = std::move(stub);
  EVENKEEL_ASSIGN_OR_RETURN(const v1::JoinResponse joined,
                            tests::Join(stub_.get(), JoinOf(job_, job_.contributors() - 1, kIncarnation, next_step())));
  epoch_ = joined.epoch();
  newest_ = joined.version().version();
  due_ = joined.has_previous() ? joined.previous().version() : newest_;
  return absl::OkStatus();
}

absl::StatusOr<v1::CommittedVersion> Bystander::Step() {
  v1::PushRequest push;
  push.set_job(job_.name());
  push.set_contributor(job_.contributors() - 1);
  push.set_incarnation(kIncarnation);
  push.set_epoch(epoch_);
  push.set_step(next_step());
  push.set_ok(true);
  *push.mutable_routed_with() = due_;
  for (const v1::LayerSpec& layer : job_.layers()) {
    for (int stream = 0; stream < job::StreamsOf(layer); ++stream) {
      push.add_valid_tokens(0);
      for (int expert = 0; expert < layer.num_experts(); ++expert) {
        push.mutable_routed()->add_low(0);
        if (layer.counts_dispatched()) push.mutable_dispatched()->add_low(0);
      }
    }
  }
  EVENKEEL_ASSIGN_OR_RETURN(v1::CommittedVersion version, Push(stub_.get(), push));
  due_ = job_.lag() == 0 ? version.version() : newest_;
  newest_ = version.version();
  return version;
}

absl::Status Bystander::GoTo(uint64_t step) {
  while (next_step() <= step) EVENKEEL_RETURN_IF_ERROR(Step().status());
  return absl::OkStatus();
}

}  // namespace evenkeel::tests
