#include "tools/import_command.h"

#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "config/text.h"
#include "evenkeel/v1/bias_coordinator.grpc.pb.h"
#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "job/snapshot.h"
#include "kernels/balance/update.h"
#include "tools/export_command.h"
#include "tools/safetensors/safetensors_header.h"
#include "tools/safetensors/safetensors_set.h"
#include "tools/test_job.h"
#include "tools/testing.h"

namespace evenkeel::tools {
namespace {

using testing::AllOf;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;

template <typename T>
std::string Bytes(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

constexpr char kJob[] = R"(
name: finetune
contributors: 1
balance: {preset: loss_free}
layers:
- {name: model.layers.0.mlp.gate, num_experts: 4, top_k: 2}
- {name: model.layers.1.mlp.gate, num_experts: 4, top_k: 2}
)";

std::string GateOf(int layer) { return absl::StrCat("model.layers.", layer, ".mlp.gate.e_score_correction_bias"); }

class ImportCommandTest : public FolderTest {
 protected:
  ImportCommandTest() { WriteFile("job.yaml", kJob); }

  // A file of float32 vectors.
  void WriteTensors(const std::map<std::string, std::vector<float>>& tensors) {
    std::vector<SafetensorsTensor> header;
    std::string data;
    for (const auto& [name, values] : tensors) {
      header.push_back({name, {}, {static_cast<int64_t>(values.size())}});
      absl::StrAppend(&data, Bytes(values));
    }
    WriteFile("x.safetensors", absl::StrCat(FormatSafetensorsHeader(header, {}), data));
  }

  // A file of two vectors of four elements for the layers of kJob.
  void WriteBothAs(const std::string& type, const std::string& data) {
    const size_t half = data.size() / 2;
    const std::string json = absl::StrCat(
        "{\"", GateOf(0), "\":{\"dtype\":\"", type, "\",\"shape\":[4],\"data_offsets\":[0,", half, "]},\"", GateOf(1),
        "\":{\"dtype\":\"", type, "\",\"shape\":[4],\"data_offsets\":[", half, ",", data.size(), "]}}");
    WriteFile("x.safetensors", absl::StrCat(Bytes<uint64_t>({json.size()}), json, data));
  }

  Outcome Import(const std::vector<std::string>& more, const std::string& scheme = "hf") {
    std::vector<std::string> args = {"--tensors", Path("x.safetensors"), "--scheme", scheme, "--out", Path("out")};
    args.insert(args.end(), more.begin(), more.end());
    return RunCommand(kImportCommand, args);
  }
  Outcome ImportBySpec(const std::vector<std::string>& more = {}) {
    std::vector<std::string> args = {"--spec", Path("job.yaml")};
    args.insert(args.end(), more.begin(), more.end());
    return Import(args);
  }

  v1::JobState Imported() {
    const absl::StatusOr<job::SnapshotStates> states = job::DecodeSnapshot(ReadFile("out"));
    EXPECT_TRUE(states.ok()) << states.status();
    return states.ok() ? states->state : v1::JobState();
  }
};

TEST_F(ImportCommandTest, ABiasIsRecentredIntoTheStateOfANewJob) {
  WriteTensors({{GateOf(0), {7, 6, 5, 6}}, {GateOf(1), {1, -1, 0, 0}}, {"lm_head.weight", {1, 2}}});
  const Outcome outcome = ImportBySpec({"--json"});
  ASSERT_EQ(outcome.code, kExitOk) << outcome.err;
  EXPECT_EQ(outcome.err, "");
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("\"job\": \"finetune\", \"step\": 0"), HasSubstr("\"mean\": 6,"),
                                 HasSubstr("\"least\": -1, \"largest\": 1}"), HasSubstr("\"dtype\": \"F32\"")));
  const v1::JobState state = Imported();
  EXPECT_EQ(state.spec().name(), "finetune");
  EXPECT_EQ(state.version().step(), 0u);
  EXPECT_EQ(state.position(), 0u);
  EXPECT_NE(state.fingerprint(), 0u);
  ASSERT_EQ(state.layers_size(), 2);
  EXPECT_THAT(state.layers(0).bias(), ElementsAre(1, 0, -1, 0));
  EXPECT_THAT(state.layers(1).bias(), ElementsAre(1, -1, 0, 0));
  EXPECT_THAT(state.layers(0).ema(), Each(0));
  EXPECT_EQ(state.layers(0).ema_product(), 1);
}

TEST_F(ImportCommandTest, AStepMayBeNamed) {
  WriteTensors({{GateOf(0), {1, 0, 0, -1}}, {GateOf(1), {1, -1, 0, 0}}});
  ASSERT_EQ(ImportBySpec({"--step=1200"}).code, kExitOk);
  EXPECT_EQ(Imported().version().step(), 1200u);
  EXPECT_EQ(Imported().position(), 1200u);
}

TEST_F(ImportCommandTest, LikeAnExportedStateKeepsItsJobAndStep) {
  v1::JobSpec spec = TestSpec({"model.layers.0.mlp.gate", "model.layers.1.mlp.gate"}, "torchtitan");
  const v1::JobState like = TestState(spec, {{1, 0, 0, -1}, {1, 0, 0, -1}});
  WriteFile("like", job::EncodeSnapshot(like));
  WriteTensors({{GateOf(0), {7, 6, 5, 6}}, {GateOf(1), {1, -1, 0, 0}}});
  const Outcome outcome = Import({"--like", Path("like")});
  ASSERT_EQ(outcome.code, kExitOk) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("the state of job pretrain at step 40 is in"));
  const v1::JobState state = Imported();
  EXPECT_EQ(state.spec().SerializeAsString(), like.spec().SerializeAsString());
  EXPECT_EQ(state.fingerprint(), like.fingerprint());
  EXPECT_EQ(state.version().SerializeAsString(), like.version().SerializeAsString());
  EXPECT_EQ(state.position(), 38u);
  EXPECT_THAT(state.layers(0).bias(), ElementsAre(1, 0, -1, 0));
  EXPECT_THAT(state.layers(0).pending_counts(), Each(0u));
  EXPECT_THAT(state.layers(0).ema(), Each(0));
}

TEST_F(ImportCommandTest, WhatIsExportedIsImportedBitForBit) {
  std::mt19937 random(11);
  std::normal_distribution<float> spread(0, 0.3f);
  std::vector<float> bias(4);
  for (float& value : bias) value = spread(random);
  bias[3] = -(bias[0] + bias[1] + bias[2]);
  v1::JobSpec spec = TestSpec({"model.layers.0.mlp.gate", "model.layers.1.mlp.gate"});
  WriteFile("state", job::EncodeSnapshot(TestState(spec, {bias, {1, 0, 0, -1}})));
  for (const std::string scheme : {"hf", "megatron", "torchtitan", "olmo", "hyper_parallel", "axolotl"}) {
    ASSERT_EQ(
        RunCommand(kExportCommand, {"--state", Path("state"), "--scheme", scheme, "--out", Path("x.safetensors")}).code,
        kExitOk);
    const Outcome outcome = Import({"--like", Path("state")}, scheme);
    ASSERT_EQ(outcome.code, kExitOk) << outcome.err;
    const v1::JobState state = Imported();
    EXPECT_EQ(std::vector<float>(state.layers(0).bias().begin(), state.layers(0).bias().end()), bias) << scheme;
  }
}

// A layer's streams are the rows of one tensor, as in checkpoints of ERNIE's (row 0 text, row 1 vision); a layer after
// it has its own config.
TEST_F(ImportCommandTest, StreamsAreTheRowsOfATensor) {
  v1::JobSpec spec = TestSpec({"model.layers.0.mlp.gate", "model.layers.1.mlp.gate"}, "axolotl_noaux_tc");
  spec.mutable_layers(0)->set_streams(2);
  v1::LayerOverride* override = spec.add_overrides();
  override->set_layer("model.layers.1.mlp.gate");
  override->mutable_balance()->set_preset("loss_free");
  WriteFile("state", job::EncodeSnapshot(TestState(spec, {{1, 0, 0, -1}, {0, 2, -2, 0}, {0, 0, 3, -3}})));
  ASSERT_EQ(
      RunCommand(kExportCommand, {"--state", Path("state"), "--scheme=axolotl", "--out", Path("x.safetensors")}).code,
      kExitOk);
  const absl::StatusOr<SafetensorsSet> set = SafetensorsSet::Open(Path("x.safetensors"));
  ASSERT_TRUE(set.ok()) << set.status();
  EXPECT_THAT(set->Tensor("model.layers.0.mlp._afb_bias").shape, ElementsAre(2, 4));
  EXPECT_THAT(set->Tensor("model.layers.0.mlp._afb_ema").shape, ElementsAre(2, 4));
  EXPECT_THAT(set->Tensor("model.layers.1.mlp._afb_bias").shape, ElementsAre(4));
  EXPECT_FALSE(set->Has("model.layers.1.mlp._afb_ema")) << "its rule keeps none of shares";

  const Outcome outcome = Import({"--like", Path("state")}, "axolotl");
  ASSERT_EQ(outcome.code, kExitOk) << outcome.err;
  const v1::JobState state = Imported();
  ASSERT_EQ(state.layers_size(), 3);
  EXPECT_THAT(state.layers(0).bias(), ElementsAre(1, 0, 0, -1));
  EXPECT_EQ(state.layers(1).stream(), 1u);
  EXPECT_THAT(state.layers(1).bias(), ElementsAre(0, 2, -2, 0));
  EXPECT_THAT(state.layers(1).ema(), ElementsAre(0, 1.0f / 16, 2.0f / 16, 3.0f / 16));
  EXPECT_THAT(state.layers(2).bias(), ElementsAre(0, 0, 3, -3));
  EXPECT_THAT(state.layers(2).ema(), Each(0));
}

// A run of axolotl's goes on here as it would have there: same EMA, and the same bias but for what float32 loses when
// the mean comes off.
TEST_F(ImportCommandTest, ARunOfAxolotlsGoesOnWithItsEma) {
  constexpr int kExperts = 4;
  balance::BalanceConfig config = *balance::FromPreset("axolotl_noaux_tc");
  balance::LayerState theirs = balance::InitialState(kExperts);
  std::mt19937 random(3);
  const auto counts = [&random] {
    std::vector<uint64_t> counts(kExperts);
    for (size_t e = 0; e < counts.size(); ++e) counts[e] = 50 + random() % (100 * (e + 1));
    return counts;
  };
  uint64_t step = 0;
  while (step < 20) {
    ++step;
    balance::Update(config, {step, step}, counts(), 100, &theirs);
  }
  WriteTensors({{"model.layers.2.mlp._afb_bias", theirs.bias}, {"model.layers.2.mlp._afb_ema", theirs.ema}});
  WriteFile("job.yaml", R"({"name": "j", "contributors": 1, "balance": {"preset": "axolotl_noaux_tc"},
                            "layers": [{"name": "model.layers.2.mlp", "num_experts": 4, "top_k": 1}]})");
  const Outcome outcome = Import({"--spec", Path("job.yaml"), "--step=20"}, "axolotl");
  ASSERT_EQ(outcome.code, kExitOk) << outcome.err;
  EXPECT_EQ(outcome.err, "");

  const v1::JobState state = Imported();
  balance::LayerState ours = balance::InitialState(kExperts);
  ours.bias.assign(state.layers(0).bias().begin(), state.layers(0).bias().end());
  ours.ema.assign(state.layers(0).ema().begin(), state.layers(0).ema().end());
  ours.ema_product = state.layers(0).ema_product();
  EXPECT_EQ(ours.ema, theirs.ema);
  EXPECT_NEAR(ours.ema_product, theirs.ema_product, 1e-6);
  EXPECT_NEAR(ours.ema_product, std::pow(0.9, 20), 1e-5);
  while (step < 60) {
    ++step;
    const std::vector<uint64_t> now = counts();
    balance::Update(config, {step, step}, now, 100, &theirs);
    balance::Update(config, {step, step}, now, 100, &ours);
    EXPECT_EQ(ours.ema, theirs.ema) << "step " << step << ", seed 3";
    for (int e = 0; e < kExperts; ++e) EXPECT_NEAR(ours.bias[e], theirs.bias[e], 1e-6);
  }
}

TEST_F(ImportCommandTest, AnEmaOfAnotherRuleIsLeftOutAloud) {
  WriteTensors({{"model.layers.0.mlp._afb_bias", {1, 0, 0, -1}},
                {"model.layers.0.mlp._afb_ema", {.25f, .25f, .25f, .25f}},
                {"model.layers.1.mlp._afb_bias", {1, 0, 0, -1}}});
  const Outcome outcome = Import({"--spec", Path("job.yaml")}, "axolotl");
  ASSERT_EQ(outcome.code, kExitOk) << outcome.err;
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("warning: layer \"model.layers.0.mlp.gate\": the EMA of tensor"),
                                 HasSubstr("is of rule FREQUENCY")));
  EXPECT_THAT(Imported().layers(0).ema(), Each(0));
}

TEST_F(ImportCommandTest, AnEmaThatIsNotOfSharesIsRefused) {
  WriteFile("job.yaml", R"({"name": "j", "contributors": 1, "balance": {"preset": "axolotl_noaux_tc"},
                            "layers": [{"name": "model.layers.2.mlp", "num_experts": 4, "top_k": 1}]})");
  const auto refusal = [this](const std::vector<float>& ema) {
    WriteTensors({{"model.layers.2.mlp._afb_bias", {1, 0, 0, -1}}, {"model.layers.2.mlp._afb_ema", ema}});
    const Outcome outcome = Import({"--spec", Path("job.yaml")}, "axolotl");
    EXPECT_EQ(outcome.code, kExitFailed);
    return outcome.err;
  };
  EXPECT_THAT(refusal({.25f, -.1f, 0, 0}), AllOf(HasSubstr("_afb_ema"), HasSubstr("element 1: -0.1 is no share")));
  EXPECT_THAT(refusal({.5f, .5f, .5f, 0}), HasSubstr("add up to 1.5"));
  EXPECT_THAT(refusal({.25f, .25f, .25f}), AllOf(HasSubstr("[3]"), HasSubstr("[4]")));
}

TEST_F(ImportCommandTest, Pitfall01HalfPrecisionIsRefusedWithTheReasonUnlessAskedFor) {
  // 7.03125, 6.96875, 7, 7 in bfloat16.
  WriteBothAs("BF16", Bytes<uint16_t>({0x40e1, 0x40df, 0x40e0, 0x40e0, 0x40e1, 0x40df, 0x40e0, 0x40e0}));
  const Outcome refused = ImportBySpec();
  EXPECT_EQ(refused.code, kExitFailed);
  EXPECT_THAT(refused.err, AllOf(HasSubstr(GateOf(0)), HasSubstr("dtype BF16"), HasSubstr("rounded the bias to 8 bits"),
                                 HasSubstr("--allow-half")));
  ASSERT_EQ(ImportBySpec({"--allow-half"}).code, kExitOk);
  EXPECT_THAT(Imported().layers(1).bias(), ElementsAre(0.03125f, -0.03125f, 0, 0));
  WriteBothAs("F16", Bytes<uint16_t>({0, 0, 0, 0, 0, 0, 0, 0}));
  EXPECT_THAT(ImportBySpec().err, HasSubstr("dtype F16"));
  WriteBothAs("I32", Bytes<int32_t>({0, 0, 0, 0, 0, 0, 0, 0}));
  EXPECT_THAT(ImportBySpec({"--allow-half"}).err, HasSubstr("dtype I32 is none of"));
}

TEST_F(ImportCommandTest, Float64IsCentredBeforeItIsRounded) {
  WriteBothAs("F64", Bytes<double>({100 + 0x1p-30, 100 - 0x1p-30, 100, 100, 1, -1, 0, 0}));
  ASSERT_EQ(ImportBySpec().code, kExitOk);
  EXPECT_THAT(Imported().layers(0).bias(), ElementsAre(0x1p-30f, -0x1p-30f, 0, 0));
}

TEST_F(ImportCommandTest, AnotherShapeIsRefusedWithBoth) {
  WriteTensors({{GateOf(0), {1, 2, 3, 4, 5}}, {GateOf(1), {1, -1, 0, 0}}});
  const Outcome outcome = ImportBySpec();
  EXPECT_EQ(outcome.code, kExitFailed);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("layer \"model.layers.0.mlp.gate\""), HasSubstr(GateOf(0)),
                                 HasSubstr("has the shape [5], the layer [4]")));
}

TEST_F(ImportCommandTest, MissingLayersAndValuesThatAreNoneAreRefused) {
  WriteFile("out", "old");
  WriteTensors({{GateOf(0), {1, 2, 3, 4}}});
  EXPECT_THAT(ImportBySpec().err,
              AllOf(HasSubstr(Path("x.safetensors")), HasSubstr("layer \"model.layers.1.mlp.gate\"")));
  WriteTensors({{GateOf(0), {1, 2, 3, 4}}, {GateOf(1), {1, std::numeric_limits<float>::quiet_NaN(), 0, 0}}});
  EXPECT_THAT(ImportBySpec().err, AllOf(HasSubstr(GateOf(1)), HasSubstr("element 1: nan")));
  const Outcome by_pattern = RunCommand(kImportCommand, {"--tensors", Path("x.safetensors"), "--names=a.{}.b", "--spec",
                                                         Path("job.yaml"), "--out", Path("out")});
  EXPECT_THAT(by_pattern.err, AllOf(HasSubstr("layer \"model.layers.0.mlp.gate\": tensor \"a.0.b\" is not in")));
  EXPECT_EQ(ReadFile("out"), "old");
}

TEST_F(ImportCommandTest, WhatDeservesALookIsAWarning) {
  WriteFile("job.yaml", absl::StrCat(kJob, "overrides: [{layer: model.layers.1.mlp.gate, balance: {cap: 0.5}}]\n"));
  WriteTensors({{GateOf(0), {0, 0, 0, 0}}, {GateOf(1), {1, -1, 0, 0}}, {GateOf(2), {1, -1, 0, 0}}});
  const Outcome outcome = ImportBySpec();
  EXPECT_EQ(outcome.code, kExitOk) << outcome.err;
  EXPECT_THAT(outcome.err,
              HasSubstr("evenkeel import: warning: layer \"model.layers.0.mlp.gate\": the bias is 0 for all "
                        "experts of tensor"));
  EXPECT_THAT(outcome.err, HasSubstr("layer \"model.layers.1.mlp.gate\": the bias is up to 1 from 0, and the config's "
                                     "cap is 0.5"));
  EXPECT_THAT(outcome.err, HasSubstr(absl::StrCat("tensor \"", GateOf(2), "\" is of no layer of the job")));
}

TEST_F(ImportCommandTest, TakesNamesFromAModel) {
  WriteFile("config.json", R"({"model_type": "minimax_m2", "num_hidden_layers": 2, "num_local_experts": 4,
                               "num_experts_per_tok": 2})");
  for (const std::string suffix : {"block_sparse_moe.e_score_correction_bias", "mlp.e_score_correction_bias"}) {
    WriteTensors({{absl::StrCat("model.layers.0.", suffix), {1, -1, 0, 0}},
                  {absl::StrCat("model.layers.1.", suffix), {2, -2, 0, 0}}});
    const Outcome outcome =
        RunCommand(kImportCommand, {"--tensors", Path("x.safetensors"), "--model", Path("config.json"), "--spec",
                                    Path("job.yaml"), "--out", Path("out")});
    ASSERT_EQ(outcome.code, kExitOk) << outcome.err;
    EXPECT_THAT(Imported().layers(1).bias(), ElementsAre(2, -2, 0, 0));
  }
}

// Keeps what is put into it.
class FakeCoordinator : public v1::BiasCoordinator::Service {
 public:
  FakeCoordinator() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~FakeCoordinator() override { server_->Shutdown(); }

  std::string flag() const { return absl::StrCat("--coordinator=127.0.0.1:", port_); }
  const v1::PutStateRequest& request() const { return request_; }

  grpc::Status PutState(grpc::ServerContext*, const v1::PutStateRequest* request,
                        v1::PutStateResponse* response) override {
    request_ = *request;
    response->mutable_version()->set_step(job::OpenSnapshot(request->snapshot())->state.version().step());
    response->set_epoch(6);
    return grpc::Status::OK;
  }

 private:
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
  v1::PutStateRequest request_;
};

v1::JobState TrainedState(const std::vector<float>& first_bias, uint64_t steps = 9) {
  v1::JobSpec spec;
  EXPECT_EQ(config::ParseText(kJob, "job", &spec), absl::OkStatus());
  v1::JobState state = TestState(spec, {first_bias, {1, 0, 0, -1}});
  state.mutable_version()->set_step(steps);
  state.set_position(steps);
  for (v1::LayerState& layer : *state.mutable_layers()) {
    layer.set_last_commit(steps);
    layer.set_last_update(steps);
  }
  return state;
}

TEST_F(ImportCommandTest, AStateIsPutIntoARunningCoordinatorWhole) {
  FakeCoordinator coordinator;
  const v1::JobState state = TrainedState({1, -1, 0, 0});
  const v1::JobState before = TrainedState({0.5f, -0.5f, 0, 0}, /*steps=*/8);
  WriteFile("state", job::EncodeSnapshot(state, {before}));
  const Outcome outcome =
      RunCommand(kImportCommand, {"--state", Path("state"), "--job=finetune", coordinator.flag(), "--timeout=60"});
  EXPECT_EQ(outcome.code, kExitOk) << outcome.err;
  EXPECT_THAT(outcome.out,
              AllOf(HasSubstr("job finetune at 127.0.0.1:"), HasSubstr("is at step 9, in epoch 6; resume at step 10")));
  EXPECT_EQ(coordinator.request().job(), "finetune");
  EXPECT_EQ(coordinator.request().snapshot().SerializeAsString(), ReadFile("state"));
}

TEST_F(ImportCommandTest, TensorsArePutIntoARunningCoordinator) {
  FakeCoordinator coordinator;
  WriteTensors({{GateOf(0), {7, 6, 5, 6}}, {GateOf(1), {1, -1, 0, 0}}});
  const Outcome outcome =
      RunCommand(kImportCommand, {"--tensors", Path("x.safetensors"), "--scheme=hf", "--spec", Path("job.yaml"),
                                  "--job=finetune", coordinator.flag(), "--timeout=60"});
  EXPECT_EQ(outcome.code, kExitOk) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("is at step 0, in epoch 6"));
  EXPECT_THAT(job::OpenSnapshot(coordinator.request().snapshot())->state.layers(0).bias(), ElementsAre(1, 0, -1, 0));
}

TEST_F(ImportCommandTest, Pitfall11AStateWhoseBiasWasNotSavedIsRefused) {
  FakeCoordinator coordinator;
  WriteFile("state", job::EncodeSnapshot(TrainedState({0, 0, 0, 0})));
  std::vector<std::string> args = {"--state", Path("state"), "--job=finetune", coordinator.flag(), "--timeout=60"};
  const Outcome refused = RunCommand(kImportCommand, args);
  EXPECT_EQ(refused.code, kExitFailed);
  EXPECT_THAT(refused.err, HasSubstr("layer \"model.layers.0.mlp.gate\": the bias is 0 for all experts after step 9"));
  EXPECT_FALSE(coordinator.request().has_snapshot());
  args.push_back("--allow-zero-bias");
  EXPECT_EQ(RunCommand(kImportCommand, args).code, kExitOk);
  EXPECT_TRUE(coordinator.request().has_snapshot());
}

TEST_F(ImportCommandTest, WrongCommandLinesAreRefused) {
  const auto usage = [](const std::vector<std::string>& args) {
    const Outcome outcome = RunCommand(kImportCommand, args);
    EXPECT_EQ(outcome.code, kExitUsage) << outcome.err;
    return outcome.err;
  };
  EXPECT_THAT(usage({"--out=o", "--scheme=hf", "--spec=s"}), HasSubstr("give one of --tensors and --state"));
  EXPECT_THAT(usage({"--tensors=t", "--scheme=hf", "--spec=s"}), HasSubstr("give one of --out"));
  EXPECT_THAT(usage({"--state=t", "--out=o"}), HasSubstr("--state: give --job"));
  EXPECT_THAT(usage({"--state=t", "--job=j", "--spec=s"}), HasSubstr("are of --tensors"));
  EXPECT_THAT(usage({"--state=t", "--job=j", "--coordinator=x"}), HasSubstr("--coordinator"));
  EXPECT_THAT(usage({"--tensors=t", "--out=o", "--spec=s"}), HasSubstr("give one of --scheme"));
  EXPECT_THAT(usage({"--tensors=t", "--out=o", "--scheme=hf"}), HasSubstr("give one of --spec and --like"));
  EXPECT_THAT(usage({"--tensors=t", "--out=o", "--scheme=hf", "--spec=s", "--step=-1"}), HasSubstr("--step: -1"));
}

}  // namespace
}  // namespace evenkeel::tools
