// Who may do what at a real evenkeeld: tokens, certificates, roles, jobs, quotas, and an identities file that changes.

#include <signal.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/error_detail.h"
#include "base/grpc_status.h"
#include "evenkeel/worker.h"
#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "server/security/token.h"
#include "tests/protocol_client.h"
#include "tests/secure_coordinator.h"

namespace evenkeel::tests {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class AccessTest : public SecureCoordinatorTest {
 protected:
  std::string IdentitiesFile(const std::string& quota = "{}") const {
    const auto hash = [](const std::string& token) { return security::HexOf(security::HashOf(token)); };
    return absl::StrCat("identities:\n",                                                                          //
                        "- {name: a, role: WORKER, jobs: ['team-a/*'], token_sha256: [", hash(a_), "], quota: ",  //
                        quota, "}\n",                                                                             //
                        "- {name: b, role: WORKER, jobs: ['team-b/*'], san: ['spiffe://example/b']}\n",           //
                        "- {name: reader, role: READER, jobs: ['team-b/*'], token_sha256: [", hash(reader_), "]}\n",
                        "- {name: operator, role: OPERATOR, token_sha256: [", hash(operator_), "]}\n");
  }

  std::unique_ptr<v1::BiasCoordinator::Stub> Stub(const Visitor& visitor) const {
    return StubOf(process_->address(), visitor);
  }
  Visitor A() const { return WithToken(a_); }
  Visitor B() const { return WithCertificate("URI:spiffe://example/b"); }

  static absl::Status JoinStatus(v1::BiasCoordinator::Stub* stub, const std::string& job) {
    return Join(stub, JoinOf(SmallJob(job, 1), 0, 7, 1)).status();
  }

  template <typename Request, typename Response>
  static absl::Status Call(v1::BiasCoordinator::Stub* stub,
                           grpc::Status (v1::BiasCoordinator::Stub::*method)(grpc::ClientContext*, const Request&,
                                                                             Response*),
                           const std::string& job) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    Request request;
    request.set_job(job);
    Response response;
    return FromGrpcStatus((stub->*method)(&context, request, &response));
  }

  const std::string a_ = security::NewToken();
  const std::string reader_ = security::NewToken();
  const std::string operator_ = security::NewToken();
};

TEST_F(AccessTest, StrangersAreNotKnown) {
  Start(/*mutual=*/false, IdentitiesFile());
  for (const Visitor& stranger : {Anonymous(), WithToken(security::NewToken()), WithToken("x")}) {
    const auto stub = Stub(stranger);
    for (const absl::Status& status :
         {JoinStatus(stub.get(), "team-a/run"), ListJobs(process_->address(), stranger).status(),
          Call(stub.get(), &v1::BiasCoordinator::Stub::GetState, "team-a/run"),
          Push(stub.get(), PushOf(SmallJob("team-a/run", 1), 0, 7, 1, v1::JoinResponse())).status()}) {
      EXPECT_EQ(status.code(), absl::StatusCode::kUnauthenticated) << status;
      EXPECT_EQ(ReasonOf(status), v1::ErrorDetail::NOT_KNOWN);
    }
  }
  EXPECT_THAT(process_->Log(), HasSubstr("refused Join: "));
  EXPECT_THAT(process_->Log(), Not(HasSubstr(a_)));
}

TEST_F(AccessTest, EachHasItsJobsAndItsCalls) {
  Start(/*mutual=*/true, IdentitiesFile());
  Visitor a = A();
  a.certificate = ca_.IssueClient("URI:spiffe://example/nobody");
  const auto a_stub = Stub(a);
  const auto b_stub = Stub(B());
  EXPECT_EQ(RunSteps(a_stub.get(), "team-a/run", 1, 3), 3);
  EXPECT_EQ(RunSteps(b_stub.get(), "team-b/run", 1, 3), 3);

  // The same words, whether there is such a job or not.
  const absl::Status theirs = JoinStatus(a_stub.get(), "team-b/run");
  const absl::Status nobodys = JoinStatus(a_stub.get(), "team-b/xyz");
  EXPECT_EQ(theirs.code(), absl::StatusCode::kPermissionDenied) << theirs;
  EXPECT_EQ(ReasonOf(theirs), v1::ErrorDetail::NOT_ALLOWED);
  EXPECT_EQ(theirs.message(), "\"team-b/run\" is no job of \"a\"");
  EXPECT_EQ(nobodys.message(), "\"team-b/xyz\" is no job of \"a\"");
  EXPECT_EQ(Push(a_stub.get(), PushOf(SmallJob("team-b/run", 1), 0, 7, 4, v1::JoinResponse())).status().code(),
            absl::StatusCode::kPermissionDenied);
  using Stub = v1::BiasCoordinator::Stub;
  for (const absl::Status& status :
       {Call(a_stub.get(), &Stub::GetState, "team-b/run"), Call(a_stub.get(), &Stub::Leave, "team-b/run"),
        Call(a_stub.get(), &Stub::Rendezvous, "team-b/run"), Call(a_stub.get(), &Stub::DescribeJob, "team-a/run"),
        Call(a_stub.get(), &Stub::GetHistory, "team-a/run"), Call(a_stub.get(), &Stub::UpdateConfig, "team-a/run"),
        Call(a_stub.get(), &Stub::PutState, "team-a/run")}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied) << status;
  }
  EXPECT_TRUE(Call(a_stub.get(), &Stub::GetState, "team-a/run").ok());

  Visitor reader = WithToken(reader_);
  reader.certificate = a.certificate;
  const auto reader_stub = this->Stub(reader);
  const auto seen = ListJobs(process_->address(), reader);
  ASSERT_TRUE(seen.ok()) << seen.status();
  ASSERT_EQ(seen->jobs_size(), 1) << "what others have is not named";
  EXPECT_EQ(seen->jobs(0).name(), "team-b/run");
  EXPECT_TRUE(Call(reader_stub.get(), &Stub::DescribeJob, "team-b/run").ok());
  EXPECT_TRUE(Call(reader_stub.get(), &Stub::GetHistory, "team-b/run").ok());
  EXPECT_EQ(Call(reader_stub.get(), &Stub::DescribeJob, "team-a/run").code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(JoinStatus(reader_stub.get(), "team-b/run").code(), absl::StatusCode::kPermissionDenied);

  Visitor admin = WithToken(operator_);
  admin.certificate = a.certificate;
  const auto all = ListJobs(process_->address(), admin);
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_EQ(all->jobs_size(), 2);
  EXPECT_NE(Call(this->Stub(admin).get(), &Stub::UpdateConfig, "team-a/run").code(),
            absl::StatusCode::kPermissionDenied);
}

TEST_F(AccessTest, AWorkerTrainsWithATokenFileAndAWrongOneIsFinal) {
  Start(/*mutual=*/false, IdentitiesFile());
  WorkerOptions options;
  options.coordinator = process_->address();
  options.job = "team-a/run";
  options.layers = {{"layer", 4, 1, ""}};
  options.tls.ca = Path("ca.pem");
  ReplaceFile(Path("token"), a_ + "\n");
  options.token_file = Path("token");
  auto worker = Worker::Join(options);
  ASSERT_TRUE(worker.ok()) << worker.status().message();
  EXPECT_TRUE((*worker)->BeginStep(1).ok());
  const int32_t ids[] = {0, 1};
  EXPECT_TRUE((*worker)->Count(0, ids, 2).ok());
  EXPECT_TRUE((*worker)->Commit(1).ok());
  EXPECT_TRUE((*worker)->Leave().ok());

  options.token_file.clear();
  options.token = security::NewToken();
  EXPECT_THAT(Worker::Join(options).status().message(), HasSubstr("the token is not known here"));
  options.tls.ca.clear();
  options.coordinator = "coordinator.example:7411";
  EXPECT_THAT(Worker::Join(options).status().message(), HasSubstr("not encrypted; set tls.ca"));
}

TEST_F(AccessTest, TheToolShowsWhoCalls) {
  Start(/*mutual=*/false, IdentitiesFile());
  ReplaceFile(Path("token"), operator_);
  const std::vector<std::string> command = {BuiltProgram("tools/evenkeel"), "status",
                                            "--coordinator=" + process_->address(), "--tls-ca=" + Path("ca.pem")};
  const Ending stranger = ChildProcess(command).Wait();
  EXPECT_EQ(stranger.exit_code, 1);
  EXPECT_THAT(stranger.stderr_text, HasSubstr("--token-file"));
  std::vector<std::string> with_token = command;
  with_token.push_back("--token-file=" + Path("token"));
  const Ending known = ChildProcess(with_token).Wait();
  EXPECT_EQ(known.exit_code, 0) << known.stderr_text;
}

TEST_F(AccessTest, TheFileIsReadAgainAndABrokenOneIsNot) {
  Start(/*mutual=*/false, IdentitiesFile());
  const auto stub = Stub(A());
  EXPECT_EQ(RunSteps(stub.get(), "team-a/run", 1, 2), 2);
  ReplaceFile(Path("identities.yaml"), "identities: [{name: a, rolle: WORKER}]");
  EXPECT_TRUE(Eventually([&] { return absl::StrContains(process_->Log(), "identities.yaml:1"); })) << process_->Log();
  EXPECT_EQ(RunSteps(stub.get(), "team-a/run", 3, 4), 2) << "who was known is";
  ReplaceFile(Path("identities.yaml"), absl::StrCat("identities: [{name: operator, role: OPERATOR, token_sha256: [",
                                                    security::HexOf(security::HashOf(operator_)), "]}]"));
  EXPECT_TRUE(Eventually([&] {
    return JoinStatus(stub.get(), "team-a/run").code() == absl::StatusCode::kUnauthenticated;
  })) << "whoever is taken off the list is out, on open connections too";
  EXPECT_TRUE(ListJobs(process_->address(), WithToken(operator_)).ok());
}

TEST_F(AccessTest, QuotasOfJobsAndShapes) {
  Start(/*mutual=*/false, IdentitiesFile("{max_jobs: 2, max_layers: 2, max_experts: 12, max_ranks: 1}"));
  const auto stub = Stub(A());
  EXPECT_TRUE(JoinStatus(stub.get(), "team-a/1").ok());
  EXPECT_TRUE(JoinStatus(stub.get(), "team-a/2").ok());
  EXPECT_TRUE(JoinStatus(stub.get(), "team-a/2").ok());
  const absl::Status third = JoinStatus(stub.get(), "team-a/3");
  EXPECT_EQ(third.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ReasonOf(third), v1::ErrorDetail::QUOTA_EXCEEDED);
  EXPECT_THAT(std::string(third.message()), HasSubstr("max_jobs is 2"));
  const absl::Status ranks = Join(stub.get(), JoinOf(SmallJob("team-a/2", 2), 0, 7, 1)).status();
  EXPECT_THAT(std::string(ranks.message()), HasSubstr("2 ranks; max_ranks is 1"));
  v1::JobSpec wide = SmallJob("team-a/2", 1);
  wide.mutable_layers(0)->set_num_experts(5);
  EXPECT_THAT(std::string(Join(stub.get(), JoinOf(wide, 0, 7, 1)).status().message()),
              HasSubstr("13 experts; max_experts is 12"));
}

TEST_F(AccessTest, APushFloodOfOneLeavesTheOthersTheirSteps) {
  Start(/*mutual=*/true, IdentitiesFile("{requests_per_second: 20, bytes_per_second: 100000}"));
  Visitor a = A();
  a.certificate = ca_.IssueClient("URI:spiffe://example/nobody");
  const auto b_stub = Stub(B());
  EXPECT_EQ(RunSteps(b_stub.get(), "team-b/run", 1, 10), 10);
  const int64_t before = ResidentBytes(process_->pid());

  std::atomic<bool> done{false};
  std::atomic<int> refused{0};
  std::atomic<int> taken{0};
  std::vector<std::thread> flood;
  for (int i = 0; i < 4; ++i) {
    flood.emplace_back([&] {
      const auto stub = Stub(a);
      const v1::PushRequest push = PushOf(SmallJob("team-a/run", 1), 0, 7, 1, v1::JoinResponse());
      while (!done) {
        const absl::Status status = Push(stub.get(), push).status();
        if (ReasonOf(status) == v1::ErrorDetail::QUOTA_EXCEEDED) {
          EXPECT_GT(DetailOf(status).retry_after_ms(), 0);
          ++refused;
        } else {
          EXPECT_EQ(ReasonOf(status), v1::ErrorDetail::JOB_UNKNOWN) << status;
          ++taken;
        }
      }
    });
  }
  // The others' steps begin when the flood is on.
  EXPECT_TRUE(Eventually([&] { return refused > 100; }));
  EXPECT_EQ(RunSteps(b_stub.get(), "team-b/run", 11, 300), 290);
  done = true;
  for (std::thread& thread : flood) thread.join();
  const int64_t grown = ResidentBytes(process_->pid()) - before;
  std::printf("flood: %d calls taken, %d refused; evenkeeld grew by %ld KiB\n", taken.load(), refused.load(),
              static_cast<long>(grown >> 10));
  EXPECT_LT(grown, int64_t{128} << 20);
  EXPECT_GE(taken, 1);
}

}  // namespace
}  // namespace evenkeel::tests
