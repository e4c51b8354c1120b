#include "tools/status_command.h"

#include <arpa/inet.h>
#include <grpcpp/grpcpp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/error_detail.h"
#include "base/grpc_status.h"
#include "evenkeel/v1/bias_coordinator.grpc.pb.h"
#include "gmock/gmock.h"
#include "google/protobuf/util/json_util.h"
#include "gtest/gtest.h"
#include "tools/testing.h"

namespace evenkeel::tools {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

// Knows one job, "pretrain".
class FakeCoordinator : public v1::BiasCoordinator::Service {
 public:
  grpc::Status ListJobs(grpc::ServerContext*, const v1::ListJobsRequest*, v1::ListJobsResponse* response) override {
    *response->add_jobs() = Summary();
    return grpc::Status::OK;
  }

  grpc::Status DescribeJob(grpc::ServerContext*, const v1::DescribeJobRequest* request,
                           v1::DescribeJobResponse* response) override {
    if (request->job() == "stopping") {
      return ToGrpcStatus(
          ServiceError(absl::StatusCode::kUnavailable, v1::ErrorDetail::SHUTTING_DOWN, "the coordinator is stopping"));
    }
    if (request->job() != "pretrain") {
      return ToGrpcStatus(ServiceError(absl::StatusCode::kNotFound, v1::ErrorDetail::JOB_UNKNOWN,
                                       absl::StrCat("job: no job is called \"", request->job(), "\"")));
    }
    *response->mutable_summary() = Summary();
    if (is_halted) response->mutable_halt()->set_step(70);
    // Larger than the 4 MiB that gRPC receives if nobody says otherwise.
    for (int i = 0; i < 300; ++i) {
      v1::ContributorStatus* contributor = response->add_contributors();
      contributor->set_contributor(i);
      contributor->mutable_worker()->set_hostname(std::string(20000, 'h'));
    }
    return grpc::Status::OK;
  }

  bool is_halted = false;

 private:
  static v1::JobSummary Summary() {
    v1::JobSummary summary;
    summary.set_name("pretrain");
    summary.set_open_step(81);
    summary.set_joined(3);
    summary.set_state_hash(0xfeed);
    return summary;
  }
};

class StatusCommandTest : public testing::Test {
 protected:
  StatusCommandTest() {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    address_ = absl::StrCat("127.0.0.1:", port);
  }

  Outcome Status(std::vector<std::string> args = {}) const {
    args.push_back("--coordinator=" + address_);
    return RunCommand(kStatusCommand, args);
  }

  FakeCoordinator service_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
};

TEST_F(StatusCommandTest, ListsTheJobs) {
  const Outcome outcome = Status();
  ASSERT_EQ(outcome.code, kExitOk) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("pretrain"));
  EXPECT_THAT(outcome.out, HasSubstr("000000000000feed"));
}

TEST_F(StatusCommandTest, AListSaysWhichJobsAreHalted) {
  EXPECT_THAT(Status().out, testing::Not(HasSubstr("halted")));
  service_.is_halted = true;
  EXPECT_THAT(Status().out, HasSubstr("\n  ! pretrain: halted\n"));
}

TEST_F(StatusCommandTest, DescribesOneJobHoweverLarge) {
  const Outcome outcome = Status({"--job", "pretrain", "--contributors", "all"});
  ASSERT_EQ(outcome.code, kExitOk) << outcome.err;
  EXPECT_THAT(outcome.out, StartsWith("job pretrain: "));
  EXPECT_THAT(outcome.out, HasSubstr("\n          299  "));
}

TEST_F(StatusCommandTest, JsonIsTheWholeAnswer) {
  v1::ListJobsResponse jobs;
  const Outcome list = Status({"--json"});
  ASSERT_EQ(list.code, kExitOk) << list.err;
  ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(list.out, &jobs).ok()) << list.out;
  EXPECT_EQ(jobs.jobs(0).state_hash(), 0xfeed);
  EXPECT_THAT(list.out, HasSubstr("\"open_step\": \"81\""));
  EXPECT_THAT(list.out, HasSubstr("\"layers\": 0"));

  v1::DescribeJobResponse job;
  const Outcome describe = Status({"--json", "--job", "pretrain"});
  ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(describe.out, &job).ok());
  EXPECT_EQ(job.contributors_size(), 300);
}

TEST_F(StatusCommandTest, AnUnknownJobSaysWhatToDo) {
  const Outcome outcome = Status({"--job", "pretrian"});
  EXPECT_EQ(outcome.code, kExitFailed);
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(outcome.err,
            "evenkeel status: job: no job is called \"pretrian\"; 'evenkeel status' without --job lists the jobs there "
            "are\n");
}

TEST_F(StatusCommandTest, ErrorsOfTheCoordinatorAreItsOwnWords) {
  const Outcome outcome = Status({"--job", "stopping"});
  EXPECT_EQ(outcome.code, kExitFailed);
  EXPECT_EQ(outcome.err, "evenkeel status: the coordinator is stopping\n");
}

TEST_F(StatusCommandTest, WithoutACoordinatorItSaysWhatToDo) {
  server_->Shutdown();
  const Outcome outcome = Status();
  EXPECT_EQ(outcome.code, kExitFailed);
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(outcome.err, StartsWith(absl::StrCat("evenkeel status: no coordinator answers at ", address_)));
  EXPECT_THAT(outcome.err, HasSubstr("evenkeeld --state_dir DIR"));
}

// A socket to which connections succeed, and from which nothing ever comes.
class SilentSocket {
 public:
  SilentSocket() : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(bind(socket_, generic, size), 0);
    EXPECT_EQ(listen(socket_, 8), 0);
    EXPECT_EQ(getsockname(socket_, generic, &size), 0);
    address_ = absl::StrCat("127.0.0.1:", ntohs(address.sin_port));
  }
  ~SilentSocket() { close(socket_); }

  const std::string& address() const { return address_; }

 private:
  const int socket_;
  std::string address_;
};

TEST(StatusCommandTimeoutTest, AnAnswerThatDoesNotComeIsTimedOut) {
  const SilentSocket silent;
  const Outcome outcome = RunCommand(kStatusCommand, {"--coordinator", silent.address(), "--timeout", "0.2"});
  EXPECT_EQ(outcome.code, kExitFailed);
  EXPECT_THAT(outcome.err, StartsWith(absl::StrCat("evenkeel status: the coordinator at ", silent.address(),
                                                   " did not answer within 0.2 s; ")));
}

TEST(StatusCommandUsageTest, WrongCommandLinesExitWith2) {
  for (const std::vector<std::string>& args : {std::vector<std::string>{"--jobs", "x"},
                                               {"--timeout", "0"},
                                               {"--timeout", "nan"},
                                               {"--timeout", "1e9"},
                                               {"--layers", "some"},
                                               {"--layers", "-1"},
                                               {"--contributors", "1.5"},
                                               {"--sort", "age"},
                                               {"--coordinator", "localhost"},
                                               {"--coordinator", ":7411"},
                                               {"--coordinator", "localhost:0"},
                                               {"--coordinator", "localhost:65536"},
                                               {"--coordinator", "localhost:http"},
                                               {"pretrain"}}) {
    const Outcome outcome = RunCommand(kStatusCommand, args);
    EXPECT_EQ(outcome.code, kExitUsage);
    EXPECT_THAT(outcome.err, HasSubstr("Try 'evenkeel status --help'."));
  }
}

}  // namespace
}  // namespace evenkeel::tools
