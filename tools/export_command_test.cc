#include "tools/export_command.h"

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/error_detail.h"
#include "base/grpc_status.h"
#include "evenkeel/v1/bias_coordinator.grpc.pb.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "job/snapshot.h"
#include "tools/safetensors/safetensors_set.h"
#include "tools/test_job.h"
#include "tools/testing.h"

namespace evenkeel::tools {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::Pair;
using testing::StartsWith;

const std::vector<std::string> kLayers = {"model.layers.0.mlp.gate", "model.layers.1.mlp.gate"};

class ExportCommandTest : public FolderTest {
 protected:
  ExportCommandTest() { Save(TestState(TestSpec(kLayers), {{-0.5f, 0.25f, 0.125f, 0.125f}, {2.5f, 3, 4, 2.5f}})); }

  void Save(const v1::JobState& state) {
    state_ = state;
    WriteFile("state", job::EncodeSnapshot(state));
  }

  Outcome Export(const std::vector<std::string>& more) {
    std::vector<std::string> args = {"--state", Path("state"), "--out", Path("x.safetensors")};
    args.insert(args.end(), more.begin(), more.end());
    return RunCommand(kExportCommand, args);
  }

  // The values of a tensor that was exported.
  std::vector<double> Values(const std::string& tensor) {
    const absl::StatusOr<SafetensorsSet> set = SafetensorsSet::Open(Path("x.safetensors"));
    EXPECT_TRUE(set.ok()) << set.status();
    if (!set.ok() || !set->Has(tensor)) {
      ADD_FAILURE() << "no tensor " << tensor;
      return {};
    }
    return *set->ReadValues(tensor);
  }

  v1::JobState state_;
};

TEST_F(ExportCommandTest, WritesTheBiasesUnderTheNamesOfAScheme) {
  const Outcome outcome = Export({"--scheme", "megatron"});
  EXPECT_EQ(outcome.code, kExitOk) << outcome.err;
  EXPECT_EQ(outcome.err, "");
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("decoder.layers.1.mlp.router.expert_bias"),
                                 HasSubstr("2 layers of job pretrain after step 40 are in ")));
  EXPECT_THAT(Values("decoder.layers.0.mlp.router.expert_bias"), ElementsAre(-0.5, 0.25, 0.125, 0.125));
  EXPECT_THAT(Values("decoder.layers.1.mlp.router.expert_bias"), ElementsAre(2.5, 3, 4, 2.5));
  const absl::StatusOr<SafetensorsFile> file = SafetensorsFile::Open(Path("x.safetensors"));
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_THAT(file->header().metadata,
              ElementsAre(Pair("evenkeel.epoch", "3"), Pair("evenkeel.job", "pretrain"),
                          Pair("evenkeel.offset", "none"), Pair("evenkeel.step", "40"), Pair("format", "pt")));
  EXPECT_EQ(file->header().tensors[0].type.name, "F32");
  EXPECT_THAT(file->header().tensors[0].shape, ElementsAre(4));
  EXPECT_THAT(Names(), ElementsAre("state", "x.safetensors"));
}

TEST_F(ExportCommandTest, ThePositiveOffsetMovesAllExpertsOfALayerAlike) {
  const Outcome outcome = Export({"--names=moe.{}.bias", "--offset=positive", "--json"});
  EXPECT_EQ(outcome.code, kExitOk) << outcome.err;
  EXPECT_THAT(Values("moe.0.bias"), ElementsAre(0x1p-10, 0.75 + 0x1p-10, 0.625 + 0x1p-10, 0.625 + 0x1p-10));
  EXPECT_THAT(Values("moe.1.bias"), ElementsAre(2.5, 3, 4, 2.5));  // above it already
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("\"offset\": \"positive\""), HasSubstr("\"offset\": 0.5009765625"),
                                 HasSubstr("\"tensor\": \"moe.1.bias\"")));
}

TEST_F(ExportCommandTest, NoOffsetMakesLogitsPositive) {
  v1::JobSpec spec = TestSpec({"layers.3.router"});
  spec.mutable_layers(0)->mutable_route()->set_num_experts(4);
  spec.mutable_layers(0)->mutable_route()->set_top_k(2);
  spec.mutable_layers(0)->mutable_route()->set_score(v1::RouteSpec::Score::LOGIT);
  Save(TestState(spec, {{-1, 0, 1, 0}}));
  const Outcome outcome = Export({"--scheme=olmo", "--offset=positive"});
  EXPECT_EQ(outcome.code, kExitFailed);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("layer \"layers.3.router\""), HasSubstr("on the logits")));
  EXPECT_THAT(Names(), ElementsAre("state"));
  EXPECT_EQ(Export({"--scheme=olmo"}).code, kExitOk);
}

TEST_F(ExportCommandTest, TakesNamesAndShapesFromAModel) {
  WriteFile("config.json", R"({"model_type": "ernie4_5_moe", "num_hidden_layers": 2, "moe_num_experts": 4, "moe_k": 2,
                               "moe_layer_interval": 1, "moe_layer_start_index": 0, "moe_layer_end_index": -1})");
  const Outcome outcome = Export({"--model", Path("config.json")});
  ASSERT_EQ(outcome.code, kExitOk) << outcome.err;
  const std::string tensor = "model.layers.1.mlp.moe_statics.e_score_correction_bias";
  EXPECT_THAT(Values(tensor), ElementsAre(2.5, 3, 4, 2.5));
  EXPECT_THAT(SafetensorsSet::Open(Path("x.safetensors"))->Tensor(tensor).shape, ElementsAre(1, 4));

  // By number, where the job's layers are named by another trainer.
  Save(TestState(TestSpec({"decoder.layers.1.mlp.router"}), {{1, 0, 0, -1}}));
  EXPECT_EQ(Export({"--model", Path("config.json")}).code, kExitOk);
  EXPECT_THAT(Values(tensor), ElementsAre(1, 0, 0, -1));

  Save(TestState(TestSpec({"decoder.layers.7.mlp.router"}), {{1, 0, 0, -1}}));
  EXPECT_THAT(Export({"--model", Path("config.json")}).err,
              AllOf(HasSubstr("layer \"decoder.layers.7.mlp.router\""), HasSubstr("has no experts")));
  WriteFile("config.json", R"({"model_type": "olmoe", "num_hidden_layers": 8, "num_experts": 4,
                               "num_experts_per_tok": 2})");
  EXPECT_THAT(Export({"--model", Path("config.json")}).err, HasSubstr("without a bias of its own"));
}

TEST_F(ExportCommandTest, TheEmaGoesWithTheBiasWhereItIsOfShares) {
  Save(TestState(TestSpec({"model.layers.5.mlp"}, "axolotl_noaux_tc"), {{-1, 0, 1, 0}}));
  ASSERT_EQ(Export({"--scheme=axolotl"}).code, kExitOk);
  EXPECT_THAT(Values("model.layers.5.mlp._afb_bias"), ElementsAre(-1, 0, 1, 0));
  EXPECT_THAT(Values("model.layers.5.mlp._afb_ema"), ElementsAre(0, 1.0 / 16, 2.0 / 16, 3.0 / 16));

  Save(TestState(TestSpec({"model.layers.5.mlp"}, "loss_free"), {{-1, 0, 1, 0}}));
  ASSERT_EQ(Export({"--scheme=axolotl"}).code, kExitOk);
  EXPECT_FALSE(SafetensorsSet::Open(Path("x.safetensors"))->Has("model.layers.5.mlp._afb_ema"));
}

TEST_F(ExportCommandTest, AZeroBiasIsAWarning) {
  Save(TestState(TestSpec(kLayers), {{0, 0, 0, 0}, {1, 0, 0, -1}}));
  const Outcome outcome = Export({"--scheme=hf", "--json"});
  EXPECT_EQ(outcome.code, kExitOk);
  EXPECT_EQ(outcome.err,
            "evenkeel export: warning: layer \"model.layers.0.mlp.gate\": the bias is 0 for all experts; "
            "it has never moved\n");
  EXPECT_THAT(outcome.out, HasSubstr("\"warnings\": [\"layer \\\"model.layers.0.mlp.gate\\\""));
}

TEST_F(ExportCommandTest, ErrorsLeaveTheFileAsItWas) {
  WriteFile("x.safetensors", "old");
  EXPECT_THAT(Export({"--names=no-number"}).err, HasSubstr("has not one {}"));
  WriteFile("state", "damaged");
  const Outcome damaged = Export({"--scheme=hf"});
  EXPECT_EQ(damaged.code, kExitFailed);
  EXPECT_THAT(damaged.err, HasSubstr(Path("state")));
  EXPECT_EQ(ReadFile("x.safetensors"), "old");
}

TEST_F(ExportCommandTest, WrongCommandLinesAreRefused) {
  const auto usage = [](const std::vector<std::string>& args) {
    const Outcome outcome = RunCommand(kExportCommand, args);
    EXPECT_EQ(outcome.code, kExitUsage) << outcome.err;
    return outcome.err;
  };
  EXPECT_THAT(usage({"--out=o"}), HasSubstr("give one of --job"));
  EXPECT_THAT(usage({"--out=o", "--job=a", "--state=b"}), HasSubstr("give one of --job"));
  EXPECT_THAT(usage({"--state=s", "--out=o", "--scheme=hg"}), HasSubstr("--scheme: \"hg\" is no naming scheme"));
  EXPECT_THAT(usage({"--state=s", "--out=o", "--scheme=hf", "--names={}"}), HasSubstr("give one of --scheme"));
  EXPECT_THAT(usage({"--state=s", "--out=o.safetensors"}), HasSubstr("would hold a state blob"));
  EXPECT_THAT(usage({"--state=s", "--out=o", "--scheme=hf", "--offset=some"}), HasSubstr("--offset: \"some\""));
  EXPECT_THAT(usage({"--state=s", "--out=o", "--offset=positive"}), HasSubstr("--offset is of tensors"));
  EXPECT_THAT(usage({"--job=j", "--out=o", "--coordinator=here"}), HasSubstr("--coordinator: \"here\""));
}

// Has one job, "pretrain".
class FakeCoordinator : public v1::BiasCoordinator::Service {
 public:
  explicit FakeCoordinator(v1::Snapshot snapshot) : snapshot_(std::move(snapshot)) {}

  grpc::Status GetState(grpc::ServerContext*, const v1::GetStateRequest* request,
                        v1::GetStateResponse* response) override {
    if (request->job() != "pretrain") {
      return ToGrpcStatus(ServiceError(absl::StatusCode::kNotFound, v1::ErrorDetail::JOB_UNKNOWN, "no such job"));
    }
    *response->mutable_snapshot() = snapshot_;
    return grpc::Status::OK;
  }

 private:
  const v1::Snapshot snapshot_;
};

TEST_F(ExportCommandTest, AsksARunningCoordinator) {
  FakeCoordinator coordinator(job::MakeSnapshot(state_));
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&coordinator);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  const std::string address = absl::StrCat("--coordinator=127.0.0.1:", port);

  const Outcome outcome =
      RunCommand(kExportCommand, {address, "--job=pretrain", "--out", Path("blob"), "--timeout=60"});
  EXPECT_EQ(outcome.code, kExitOk) << outcome.err;
  EXPECT_THAT(outcome.out, StartsWith("2 layers of job pretrain after step 40 are in "));
  const absl::StatusOr<job::SnapshotStates> states = job::DecodeSnapshot(ReadFile("blob"));
  ASSERT_TRUE(states.ok()) << states.status();
  EXPECT_EQ(states->state.SerializeAsString(), state_.SerializeAsString());

  const Outcome unknown = RunCommand(kExportCommand, {address, "--job=another", "--out", Path("no"), "--timeout=60"});
  EXPECT_EQ(unknown.code, kExitFailed);
  EXPECT_THAT(unknown.err, HasSubstr("'evenkeel status' without --job lists the jobs"));
  EXPECT_THAT(Names(), Not(testing::Contains("no")));
}

}  // namespace
}  // namespace evenkeel::tools
