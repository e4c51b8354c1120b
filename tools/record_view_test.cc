#include "tools/record_view.h"

#include "gtest/gtest.h"

namespace evenkeel::tools {
namespace {

recorder::FolderReplay Equal() {
  recorder::FolderReplay replay;
  replay.job = "pretrain";
  replay.steps = 120;
  replay.first = 1;
  replay.last = 120;
  return replay;
}

recorder::FolderReplay Different() {
  using Note = recorder::Replayer::Note;
  recorder::FolderReplay replay = Equal();
  replay.notes = {
      {Note::Kind::kConfig, 8}, {Note::Kind::kGap, 11, 14}, {Note::Kind::kStarted, 14}, {Note::Kind::kBack, 12}};
  replay.difference = {120, "layers.3", 0xabc, 0xdef, v1::UpdateReason::MOVED, v1::UpdateReason::BELOW_MIN_TOKENS};
  replay.damage = {"f: damaged"};
  replay.torn = {"g: torn"};
  return replay;
}

TEST(RecordViewTest, WhatIsEqualIsALine) {
  EXPECT_EQ(ShowReplay(Equal()), "job pretrain: 120 steps replayed, 1 to 120, all equal\n");
  EXPECT_TRUE(IsSound(Equal()));
}

TEST(RecordViewTest, WhatDiffersIsNamed) {
  EXPECT_EQ(ShowReplay(Different()),
            "job pretrain: 120 steps replayed, 1 to 120; run and record differ\n"
            "  step 120 differs at layer layers.3: the record has the bias 0000000000000abc, the replay "
            "0000000000000def; reason recorded: moved, replayed: below min tokens\n"
            "  the config was changed, or a halt ended, after step 8\n"
            "  steps 11 to 14 are not in the record\n"
            "  the coordinator was started again after step 14\n"
            "  the job was given the state after step 12, by a rewind or PutState\n"
            "  f: damaged\n"
            "  g: torn\n");
  EXPECT_FALSE(IsSound(Different()));
}

TEST(RecordViewTest, DamageIsNotSoundAndATornEndIs) {
  recorder::FolderReplay replay = Equal();
  replay.torn = {"g: torn"};
  EXPECT_TRUE(IsSound(replay));
  replay.damage = {"f: damaged"};
  EXPECT_FALSE(IsSound(replay));
}

TEST(RecordViewTest, JsonHasAllOfIt) {
  EXPECT_EQ(
      ReplayJson({Equal(), Different()}),
      R"({"jobs": [{"job": "pretrain", "steps": 120, "first": 1, "last": 120, "equal": true, "difference": null, )"
      R"("notes": [], "damage": [], "torn": []}, {"job": "pretrain", "steps": 120, "first": 1, "last": 120, )"
      R"("equal": false, "difference": {"step": 120, "layer": "layers.3", "recorded_hash": "0000000000000abc", )"
      R"("replayed_hash": "0000000000000def", "recorded_reason": "MOVED", "replayed_reason": "BELOW_MIN_TOKENS"}, )"
      R"("notes": [{"kind": "config", "step": 8}, {"kind": "gap", "step": 11, "last": 14}, )"
      R"({"kind": "started", "step": 14}, {"kind": "back", "step": 12}], "damage": ["f: damaged"], )"
      "\"torn\": [\"g: torn\"]}]}\n");
}

}  // namespace
}  // namespace evenkeel::tools
