#include "tools/set_command.h"

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "evenkeel/v1/bias_coordinator.grpc.pb.h"
#include "gmock/gmock.h"
#include "google/protobuf/util/json_util.h"
#include "gtest/gtest.h"
#include "tools/testing.h"

namespace evenkeel::tools {
namespace {

using testing::HasSubstr;

// Keeps what it is asked, and has one change.
class FakeCoordinator : public v1::BiasCoordinator::Service {
 public:
  grpc::Status UpdateConfig(grpc::ServerContext*, const v1::UpdateConfigRequest* request,
                            v1::UpdateConfigResponse* response) override {
    asked = *request;
    response->mutable_effective()->set_name(request->job());
    *response->mutable_changes() = Changes();
    return grpc::Status::OK;
  }

  grpc::Status DescribeJob(grpc::ServerContext*, const v1::DescribeJobRequest*,
                           v1::DescribeJobResponse* response) override {
    response->mutable_summary()->set_open_step(81);
    *response->mutable_changes() = Changes();
    return grpc::Status::OK;
  }

  v1::UpdateConfigRequest asked;

 private:
  static google::protobuf::RepeatedPtrField<v1::ConfigChange> Changes() {
    google::protobuf::RepeatedPtrField<v1::ConfigChange> changes;
    changes.Add()->mutable_balance()->set_rate(.5);
    changes.Add()->mutable_balance()->set_rate(.25);
    changes.Mutable(1)->set_from_step(90);
    changes.Mutable(1)->set_note("cool down");
    return changes;
  }
};

class SetCommandTest : public testing::Test {
 protected:
  SetCommandTest() {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    address_ = absl::StrCat("127.0.0.1:", port);
  }

  Outcome Set(std::vector<std::string> args) const {
    args.insert(args.end(), {"--job", "pretrain", "--coordinator", address_});
    return RunCommand(kSetCommand, args);
  }
  // What the coordinator was asked.
  std::string Asked(const std::vector<std::string>& args) {
    const Outcome outcome = Set(args);
    EXPECT_EQ(outcome.code, kExitOk) << outcome.err;
    EXPECT_EQ(service_.asked.job(), "pretrain");
    service_.asked.clear_job();
    return service_.asked.ShortDebugString();
  }

  FakeCoordinator service_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
};

TEST_F(SetCommandTest, AsksForWhatTheFlagsSay) {
  EXPECT_EQ(Asked({"--rate", "0.5"}), "balance { rate: 0.5 }");
  EXPECT_EQ(Asked({"--rate=0", "--from-step", "7", "--note", "a b"}), "from_step: 7 balance { rate: 0 } note: \"a b\"");
  EXPECT_EQ(Asked({"--balance", R"({"rule": "SIGN", "momentum": 0.5})", "--rate", "2"}),
            "balance { rule: SIGN rate: 2 momentum: 0.5 }");
  EXPECT_EQ(Asked({"--freeze"}), "mode: FROZEN");
  EXPECT_EQ(Asked({"--unfreeze", "--resume"}), "mode: BALANCE resume: true");
  EXPECT_EQ(Asked({"--undo", "--from-step=9"}), "from_step: 9 undo: true");
  EXPECT_EQ(Asked({"--resume"}), "resume: true");
  EXPECT_EQ(Asked({"--missing", "COMMIT_WITHOUT", "--membership", R"({"step_deadline_ms": 0})"}),
            "membership { step_deadline_ms: 0 } missing_policy: COMMIT_WITHOUT");
}

TEST_F(SetCommandTest, WithLayersThePatchIsTheirs) {
  EXPECT_EQ(Asked({"--layer", "a", "--layer", "b", "--freeze", "--rate", "0.5"}),
            "overrides { layer: \"a\" balance { rate: 0.5 frozen: true } } "
            "overrides { layer: \"b\" balance { rate: 0.5 frozen: true } }");
  EXPECT_EQ(Asked({"--layer", "a", "--unfreeze"}), "overrides { layer: \"a\" balance { frozen: false } }");
}

TEST_F(SetCommandTest, ShowsTheChanges) {
  EXPECT_EQ(Set({"--rate", "0.25"}).out,
            "job pretrain, step 81 is open:\n"
            "  from step            config               note\n"
            "          0  in force  as the job was made\n"
            "         90  to come   rate: 0.5 -> 0.25    cool down\n");
  v1::UpdateConfigResponse response;
  const Outcome json = Set({"--rate", "0.25", "--json"});
  ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(json.out, &response).ok()) << json.out;
  EXPECT_EQ(response.changes_size(), 2);
}

TEST_F(SetCommandTest, RefusalsSayWhatIsWrong) {
  const struct {
    std::vector<std::string> args;
    std::string message;
  } kCases[] = {
      {{}, "nothing to do"},
      {{"--note", "n"}, "nothing to do"},
      {{"--layer", "a"}, "--layer says what"},
      {{"--undo", "--rate", "1"}, "--undo takes a change back"},
      {{"--undo", "--missing", "FAIL"}, "--undo takes a change back"},
      {{"--missing", "perhaps"}, "--missing: perhaps is none of WAIT, FAIL and COMMIT_WITHOUT"},
      {{"--membership", "{patience: 2}"}, "--membership:1:2: \"patience\" is no field"},
      {{"--layer", "a", "--missing", "FAIL"}, "--layer says what"},
      {{"--freeze", "--unfreeze"}, "give one of --freeze and --unfreeze"},
      {{"--from-step", "0", "--freeze"}, "--from-step: 0 is not at least 1"},
      {{"--rate", "fast"}, "--rate: \"fast\" is not a number"},
      {{"--rate", "1", "--balance", "{rate: 2}"}, "--rate: --balance has a rate too"},
      {{"--balance", "{speed: 2}"}, "--balance:1:2: \"speed\" is no field"},
  };
  for (const auto& c : kCases) {
    const Outcome outcome = Set(c.args);
    EXPECT_EQ(outcome.code, kExitUsage) << c.message;
    EXPECT_THAT(outcome.err, HasSubstr(c.message));
    EXPECT_EQ(outcome.out, "");
  }
}

}  // namespace
}  // namespace evenkeel::tools
