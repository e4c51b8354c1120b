#include "job/test_state.h"

#include "absl/strings/str_cat.h"

namespace evenkeel::job {
namespace {

constexpr int kContributors = 2;

v1::LayerState LayerOf(const std::string& name, uint64_t tag, int experts) {
  v1::LayerState layer;
  layer.set_layer(name);
  for (int expert = 0; expert < experts; ++expert) {
    layer.add_bias(0.001f * static_cast<float>(tag) - 0.5f * static_cast<float>(expert));
    layer.add_ema(1.0f / static_cast<float>(tag + expert));
    layer.add_pending_counts(0);
    layer.add_last_counts(tag * experts + expert);
  }
  layer.set_ema_product(1.0f / static_cast<float>(tag));
  layer.set_last_commit(tag);
  layer.set_last_update(tag);
  layer.set_last_reason(v1::UpdateReason::MOVED);
  layer.set_last_tokens(tag * 1000);
  return layer;
}

v1::Move MoveOf(uint64_t tag, const v1::JobState& state) {
  v1::Move move;
  move.set_base_step(tag - (tag % 4 == 0 ? 2 : 1));
  move.mutable_routed_with()->set_epoch(1);
  move.mutable_routed_with()->set_step(move.base_step());
  for (int i = 0; i < state.layers_size(); ++i) move.add_layers();
  if (tag % 4 == 0) {
    *move.mutable_layers(0)->mutable_counts() = state.layers(0).last_counts();
    move.mutable_layers(0)->set_tokens(tag);
  }
  return move;
}

}  // namespace

v1::JobState TestState(const std::string& job, uint64_t tag, int layers, int experts) {
  v1::JobState state;
  state.mutable_spec()->set_name(job);
  state.mutable_spec()->set_contributors(kContributors);
  for (int index = 0; index < layers; ++index) {
    v1::LayerSpec* spec = state.mutable_spec()->add_layers();
    spec->set_name(absl::StrCat("layer.", 1000 + index));
    spec->set_num_experts(experts);
    spec->set_top_k(2);
    spec->set_streams(1);
    *state.add_layers() = LayerOf(spec->name(), tag, experts);
  }
  state.mutable_version()->set_epoch(1);
  state.mutable_version()->set_step(tag);
  state.set_position(tag);
  state.mutable_last_commit()->set_ok(tag % 3 != 0);
  for (int contributor = 0; contributor < kContributors; ++contributor) {
    state.mutable_last_commit()->add_participants(contributor);
  }
  state.set_fingerprint(uint64_t{0xf000000000000000});
  if (tag > 1) *state.mutable_move() = MoveOf(tag, state);
  return state;
}

}  // namespace evenkeel::job
