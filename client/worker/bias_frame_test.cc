#include "client/worker/bias_frame.h"

#include <cstring>
#include <string>
#include <vector>

#include "client/worker/workspace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// "a" comes first in protocol order, and second here.
const LayerTable& Layers() {
  static const auto* const layers = new LayerTable(*LayerTable::Make({{"b", 2, 1, ""}, {"a", 3, 1, ""}}));
  return *layers;
}

v1::CommittedVersion Version() {
  v1::CommittedVersion version;
  version.mutable_version()->set_epoch(3);
  version.mutable_version()->set_step(uint64_t{1} << 40);
  version.set_ok(false);
  version.set_state_hash(UINT64_MAX - 1);
  version.set_tokens(uint64_t{1} << 50);
  for (int i = 0; i < 3; ++i) version.add_violations();
  for (int i = 0; i < 5; ++i) version.add_participants(i);
  version.add_reasons(v1::UpdateReason::HALTED);
  for (const float violation : {0.25f, 7.5f}) version.add_max_violation(violation);
  for (int i = 0; i < 5; ++i) version.add_bias(1.0f + static_cast<float>(i) / 8);
  return version;
}

std::vector<char> Frame() { return std::vector<char>(BiasFrame::Bytes(Layers())); }

StepReport EmptyReport() {
  StepReport report;
  report.max_violation.resize(2);
  return report;
}

std::vector<float> BiasIn(const std::vector<char>& frame) {
  std::vector<float> bias(5);
  std::memcpy(bias.data(), frame.data() + BiasFrame::BiasAt(Layers()), 5 * sizeof(float));
  return bias;
}

TEST(BiasFrameTest, AJobThatIsObservedHasABiasOfZero) {
  std::vector<char> frame = Frame();
  WriteVersion(Version(), 7, Layers(), frame.data());
  v1::CommittedVersion version = Version();
  version.clear_bias();
  version.clear_state_hash();
  WriteVersion(version, 8, Layers(), frame.data());
  EXPECT_EQ(BiasIn(frame), std::vector<float>(5));
  StepReport report = EmptyReport();
  ASSERT_TRUE(ReadFrame(frame.data(), 8, Layers(), &report).ok());
  EXPECT_EQ(report.bias_hash, 0);
  EXPECT_THAT(report.max_violation, ElementsAre(7.5f, 0.25f));
}

void ExpectTellsVersion(const std::vector<char>& frame, uint64_t routes) {
  StepReport report = EmptyReport();
  const absl::Status status = ReadFrame(frame.data(), routes, Layers(), &report);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(report.epoch, 3);
  EXPECT_EQ(report.step, uint64_t{1} << 40);
  EXPECT_FALSE(report.ok);
  EXPECT_EQ(report.bias_hash, UINT64_MAX - 1);
  EXPECT_EQ(report.tokens, uint64_t{1} << 50);
  EXPECT_EQ(report.violations, 3);
  EXPECT_EQ(report.contributors, 5);
  EXPECT_TRUE(report.halted);
  EXPECT_THAT(report.max_violation, ElementsAre(7.5f, 0.25f)) << "in the caller's order";
}

TEST(BiasFrameTest, TellsAVersion) {
  std::vector<char> frame = Frame();
  ASSERT_EQ(frame.size(), BiasFrame::BiasAt(Layers()) + 5 * sizeof(float));
  WriteVersion(Version(), 17, Layers(), frame.data());
  ExpectTellsVersion(frame, 17);
  EXPECT_FALSE(IsFailure(frame.data(), 17));
  EXPECT_THAT(BiasIn(frame), ElementsAre(1.0f, 1.125f, 1.25f, 1.375f, 1.5f)) << "in protocol order";
}

TEST(BiasFrameTest, IsForOneStep) {
  std::vector<char> frame = Frame();
  WriteVersion(Version(), 17, Layers(), frame.data());
  StepReport report = EmptyReport();
  const absl::Status other = ReadFrame(frame.data(), 18, Layers(), &report);
  EXPECT_EQ(other.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(other.message()),
              HasSubstr("the bias of step 17 where this rank was at the bias of step 18"));
  EXPECT_EQ(report.epoch, 0) << "untouched";
  const absl::Status leaving = ReadFrame(frame.data(), Workspace::kLeaving, Layers(), &report);
  EXPECT_THAT(std::string(leaving.message()), HasSubstr("this rank was at its leave"));
  Readdress(18, frame.data());
  ExpectTellsVersion(frame, 18);
  Readdress(Workspace::kLeaving, frame.data());
  ExpectTellsVersion(frame, Workspace::kLeaving);
}

TEST(BiasFrameTest, TellsAFailureAndKeepsTheBias) {
  std::vector<char> frame = Frame();
  WriteVersion(Version(), 17, Layers(), frame.data());
  WriteFailure(absl::PermissionDeniedError("not this job"), 18, frame.data());
  StepReport report = EmptyReport();
  const absl::Status status = ReadFrame(frame.data(), 18, Layers(), &report);
  EXPECT_EQ(status, absl::PermissionDeniedError("rank 0 of the group: not this job"));
  EXPECT_EQ(report.epoch, 0) << "untouched";
  EXPECT_TRUE(IsFailure(frame.data(), 18));
  EXPECT_FALSE(IsFailure(frame.data(), 17));
  EXPECT_FALSE(ReadFrame(frame.data(), 17, Layers(), &report).ok());
  EXPECT_THAT(BiasIn(frame), ElementsAre(1.0f, 1.125f, 1.25f, 1.375f, 1.5f));
}

TEST(BiasFrameTest, OfALongSentenceTheEndIsLeftOut) {
  std::vector<char> frame = Frame();
  const std::string sentence = std::string(400, 'a') + std::string(400, 'b');
  WriteFailure(absl::InternalError(sentence), 1, frame.data());
  StepReport report = EmptyReport();
  const absl::Status status = ReadFrame(frame.data(), 1, Layers(), &report);
  EXPECT_EQ(status.message(), "rank 0 of the group: " + sentence.substr(0, sizeof(BiasFrame::Header::message) - 1));
}

TEST(BiasFrameTest, WhatIsNoFrameIsAnError) {
  std::vector<char> frame = Frame();
  StepReport report = EmptyReport();
  EXPECT_EQ(ReadFrame(frame.data(), 0, Layers(), &report).code(), absl::StatusCode::kDataLoss);
  EXPECT_FALSE(IsFailure(frame.data(), 0));
  frame[0] = 3;
  EXPECT_EQ(ReadFrame(frame.data(), 0, Layers(), &report).code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace evenkeel::client
