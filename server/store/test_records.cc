#include "server/store/test_records.h"

#include <algorithm>
#include <memory>

#include "absl/strings/str_cat.h"

namespace evenkeel::store {
namespace {

constexpr int kContributors = 2;

v1::LayerState TestLayer(const std::string& name, uint64_t tag, int experts) {
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

// Of the job; later than that of its versions, as after restarts.
uint64_t TestEpoch(uint64_t tag) { return tag + 1; }

v1::Move TestMove(uint64_t tag, const v1::JobState& state) {
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

core::VersionRecord TestVersion(uint64_t tag) { return {tag, /*epoch=*/1, tag % 3 != 0, ~tag}; }

std::vector<v1::Member> TestMembers(uint64_t tag) {
  std::vector<v1::Member> members(kContributors);
  for (int contributor = 0; contributor < kContributors; ++contributor) {
    members[contributor].set_contributor(contributor);
    members[contributor].set_incarnation(~tag - contributor);
    members[contributor].set_joined_after(tag - 1);
    members[contributor].add_ranks(contributor);
    members[contributor].add_replaced(tag);
  }
  return members;
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
    *state.add_layers() = TestLayer(spec->name(), tag, experts);
  }
  state.mutable_version()->set_epoch(TestVersion(tag).epoch);
  state.mutable_version()->set_step(tag);
  state.set_position(tag);
  state.mutable_last_commit()->set_ok(TestVersion(tag).ok);
  for (int contributor = 0; contributor < kContributors; ++contributor) {
    state.mutable_last_commit()->add_participants(contributor);
  }
  state.set_fingerprint(uint64_t{0xf000000000000000});
  if (tag > 1) *state.mutable_move() = TestMove(tag, state);
  return state;
}

core::Write TestWrite(const std::string& job, uint64_t tag, int layers, int experts) {
  core::Write write;
  write.job = job;
  write.epoch = TestEpoch(tag);
  write.state = std::make_shared<v1::JobState>(TestState(job, tag, layers, experts));
  write.versions = {TestVersion(tag)};
  write.members = TestMembers(tag);
  return write;
}

core::JobRecord TestRecord(const std::string& job, uint64_t tag) {
  core::JobRecord record;
  record.state = TestState(job, tag);
  for (const uint64_t step : core::EarlierSteps(record.state)) record.earlier.push_back(TestState(job, step));
  record.epoch = TestEpoch(tag);
  record.members = TestMembers(tag);
  const uint64_t first = tag > core::kKeptVersions ? tag - core::kKeptVersions + 1 : 1;
  for (uint64_t step = first; step <= tag; ++step) record.versions.push_back(TestVersion(step));
  return record;
}

std::string Text(const core::JobRecord& record) {
  std::string text = absl::StrCat("epoch ", record.epoch, "\n", record.state.DebugString());
  for (const v1::JobState& state : record.earlier) absl::StrAppend(&text, "earlier ", state.DebugString());
  for (const v1::Member& member : record.members) absl::StrAppend(&text, "member ", member.DebugString());
  for (const core::VersionRecord& version : record.versions) {
    absl::StrAppend(&text, "version ", version.step, " epoch ", version.epoch, " ok ", version.ok, " hash ",
                    version.state_hash, "\n");
  }
  return text;
}

std::string Text(const std::vector<core::JobRecord>& records) {
  std::string text;
  for (const core::JobRecord& record : records) absl::StrAppend(&text, Text(record));
  return text;
}

}  // namespace evenkeel::store
