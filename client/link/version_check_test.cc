#include "client/link/version_check.h"

#include <functional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/balance/bias_hash.h"

namespace evenkeel::client {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

v1::JobSpec TwoLayers() {
  v1::JobSpec job;
  v1::LayerSpec* first = job.add_layers();
  first->set_name("blocks.0.gate");
  first->set_num_experts(2);
  v1::LayerSpec* second = job.add_layers();
  second->set_name("blocks.1.gate");
  second->set_num_experts(3);
  return job;
}

v1::CommittedVersion Intact() {
  v1::CommittedVersion version;
  version.mutable_version()->set_step(7);
  for (const float bias : {0.5f, -0.5f, 1.0f, 0.0f, -1.0f}) version.add_bias(bias);
  const std::vector<uint64_t> hashes = {balance::HashBias({0.5f, -0.5f}), balance::HashBias({1.0f, 0.0f, -1.0f})};
  for (const uint64_t hash : hashes) {
    version.add_layer_hashes(hash);
    version.add_max_violation(0);
  }
  version.set_state_hash(balance::CombineHashes(hashes));
  return version;
}

TEST(VerifyVersionTest, AcceptsWhatIsIntact) { EXPECT_TRUE(VerifyVersion(TwoLayers(), Intact()).ok()); }

TEST(VerifyVersionTest, RefusesAnyDamageAndNamesIt) {
  struct Damage {
    std::function<void(v1::CommittedVersion*)> inflict;
    std::string named;
  };
  const std::vector<Damage> damages = {
      {[](v1::CommittedVersion* v) { v->set_bias(0, 0.25f); }, "blocks.0.gate"},
      {[](v1::CommittedVersion* v) { v->set_bias(3, -0.0f); }, "blocks.1.gate"},
      {[](v1::CommittedVersion* v) { v->set_layer_hashes(1, 1); }, "blocks.1.gate"},
      {[](v1::CommittedVersion* v) { v->set_state_hash(1); }, "layer hashes"},
      {[](v1::CommittedVersion* v) { v->add_bias(0); }, "6 entries in bias"},
      {[](v1::CommittedVersion* v) { v->clear_bias(); }, "0 entries in bias"},
      {[](v1::CommittedVersion* v) { v->add_layer_hashes(0); }, "3 entries in layer_hashes"},
      {[](v1::CommittedVersion* v) { v->clear_max_violation(); }, "0 entries in max_violation"},
  };
  for (const Damage& damage : damages) {
    v1::CommittedVersion version = Intact();
    damage.inflict(&version);
    const absl::Status status = VerifyVersion(TwoLayers(), version);
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
    EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr(damage.named), HasSubstr("step 7")));
  }
}

TEST(VerifyVersionTest, AJobThatIsObservedHasNoBias) {
  v1::JobSpec job = TwoLayers();
  job.set_mode(v1::JobSpec::Mode::OBSERVE);
  v1::CommittedVersion version;
  version.mutable_version()->set_step(7);
  for (int layer = 0; layer < 2; ++layer) version.add_max_violation(0.5f);
  EXPECT_TRUE(VerifyVersion(job, version).ok());
  EXPECT_EQ(VerifyVersion(TwoLayers(), version).code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(VerifyVersion(job, Intact()).message()), HasSubstr("5 entries in bias"));
  version.set_state_hash(1);
  EXPECT_EQ(VerifyVersion(job, version).code(), absl::StatusCode::kDataLoss);
  version.clear_state_hash();
  version.clear_max_violation();
  EXPECT_THAT(std::string(VerifyVersion(job, version).message()), HasSubstr("0 entries in max_violation"));
}

TEST(VerifyVersionTest, HasAHashOfEachStream) {
  v1::JobSpec job = TwoLayers();
  job.mutable_layers(0)->set_streams(2);
  EXPECT_FALSE(VerifyVersion(job, Intact()).ok());
  v1::CommittedVersion version;
  for (const float bias : {0.5f, -0.5f, 0.25f, -0.25f, 1.0f, 0.0f, -1.0f}) version.add_bias(bias);
  const std::vector<uint64_t> hashes = {balance::HashBias({0.5f, -0.5f}), balance::HashBias({0.25f, -0.25f}),
                                        balance::HashBias({1.0f, 0.0f, -1.0f})};
  for (const uint64_t hash : hashes) {
    version.add_layer_hashes(hash);
    version.add_max_violation(0);
  }
  version.set_state_hash(balance::CombineHashes(hashes));
  EXPECT_TRUE(VerifyVersion(job, version).ok());
  version.set_bias(3, 0.75f);
  EXPECT_THAT(std::string(VerifyVersion(job, version).message()), HasSubstr("layer \"blocks.0.gate\" stream 1"));
}

TEST(VerifyLayersTest, RefusesAnotherTableAndNamesTheLayer) {
  EXPECT_TRUE(VerifyLayers(TwoLayers(), TwoLayers()).ok());

  v1::JobSpec fewer = TwoLayers();
  fewer.mutable_layers()->RemoveLast();
  EXPECT_EQ(VerifyLayers(TwoLayers(), fewer).code(), absl::StatusCode::kDataLoss);

  v1::JobSpec renamed = TwoLayers();
  renamed.mutable_layers(1)->set_name("blocks.2.gate");
  EXPECT_THAT(std::string(VerifyLayers(TwoLayers(), renamed).message()), HasSubstr("blocks.2.gate"));

  v1::JobSpec in_streams = TwoLayers();
  in_streams.mutable_layers(0)->set_streams(1);
  EXPECT_TRUE(VerifyLayers(TwoLayers(), in_streams).ok()) << "0 means 1";
  in_streams.mutable_layers(0)->set_streams(2);
  EXPECT_THAT(std::string(VerifyLayers(TwoLayers(), in_streams).message()), HasSubstr("2 experts in 2 streams"));

  v1::JobSpec resized = TwoLayers();
  resized.mutable_layers(1)->set_num_experts(4);
  EXPECT_THAT(std::string(VerifyLayers(TwoLayers(), resized).message()), HasSubstr("4 experts"));
}

}  // namespace
}  // namespace evenkeel::client
