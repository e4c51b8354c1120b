// TLS and mutual TLS of a real evenkeeld: who is let in, and certificates that change while it serves.

#include <signal.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "evenkeel/worker.h"
#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "tests/secure_coordinator.h"

namespace evenkeel::tests {
namespace {

using ::testing::HasSubstr;

using TlsTest = SecureCoordinatorTest;

constexpr char kTrainer[] = "URI:spiffe://example/trainer";

absl::StatusCode CodeOf(const std::string& address, const Visitor& visitor) {
  return ListJobs(address, visitor).status().code();
}

TEST_F(TlsTest, WithoutClientCertificatesTheServerAloneShowsOne) {
  Start(/*mutual=*/false);
  EXPECT_TRUE(ListJobs(process_->address(), Anonymous()).ok());
  EXPECT_EQ(CodeOf(process_->address(), Visitor()), absl::StatusCode::kUnavailable) << "plaintext";
  Visitor deceived = Anonymous();
  deceived.ca = security::TestCa("another CA").certificate();
  EXPECT_EQ(CodeOf(process_->address(), deceived), absl::StatusCode::kUnavailable) << "the client knows another CA";
}

TEST_F(TlsTest, MutualTlsAsksForACertificateOfTheCa) {
  Start(/*mutual=*/true);
  EXPECT_TRUE(ListJobs(process_->address(), WithCertificate(kTrainer)).ok());
  EXPECT_EQ(CodeOf(process_->address(), Anonymous()), absl::StatusCode::kUnavailable) << "no certificate";

  Visitor stranger = Anonymous();
  stranger.certificate = security::TestCa("the CA").IssueClient(kTrainer);
  EXPECT_EQ(CodeOf(process_->address(), stranger), absl::StatusCode::kUnavailable)
      << "a CA of the same name with another key";

  security::TestCa::Request request;
  request.sans = {kTrainer};
  request.valid_to = -60;
  Visitor expired = Anonymous();
  expired.certificate = ca_.Issue(request);
  EXPECT_EQ(CodeOf(process_->address(), expired), absl::StatusCode::kUnavailable) << "expired";
  request.valid_from = 3600;
  request.valid_to = 7200;
  Visitor early = Anonymous();
  early.certificate = ca_.Issue(request);
  EXPECT_EQ(CodeOf(process_->address(), early), absl::StatusCode::kUnavailable) << "not valid yet";
  EXPECT_TRUE(ListJobs(process_->address(), WithCertificate(kTrainer)).ok());
}

TEST_F(TlsTest, CertificatesAreReplacedUnderLoadAndNoCallFails) {
  Start(/*mutual=*/true);
  const security::TestCa next("the next CA");
  Visitor caller = WithCertificate(kTrainer);
  caller.ca += next.certificate();

  // One connection stays open; the others each make a new one for every call.
  std::atomic<bool> done{false};
  std::atomic<int> calls{0};
  std::vector<std::thread> load;
  load.emplace_back([&] {
    const auto stub = StubOf(process_->address(), caller);
    uint64_t step = 1;
    for (; !done; step += 10) EXPECT_EQ(RunSteps(stub.get(), "run", step, step + 9), 10);
  });
  for (int i = 0; i < 2; ++i) {
    load.emplace_back([&] {
      while (!done) {
        const auto jobs = ListJobs(process_->address(), caller);
        EXPECT_TRUE(jobs.ok()) << jobs.status();
        ++calls;
      }
    });
  }
  Visitor of_next_only = caller;
  for (int round = 0; round < 3; ++round) {
    WriteServerCertificate(round % 2 == 0 ? next.IssueServer() : ca_.IssueServer());
    of_next_only.ca = round % 2 == 0 ? next.certificate() : ca_.certificate();
    EXPECT_TRUE(Eventually([&] { return ListJobs(process_->address(), of_next_only).ok(); })) << "round " << round;
  }
  done = true;
  for (std::thread& thread : load) thread.join();
  EXPECT_GT(calls, 10);
}

TEST_F(TlsTest, TheClientCaIsReplacedToo) {
  Start(/*mutual=*/true);
  const security::TestCa next("the next CA");
  Visitor newcomer = Anonymous();
  newcomer.certificate = next.IssueClient(kTrainer);
  EXPECT_EQ(CodeOf(process_->address(), newcomer), absl::StatusCode::kUnavailable);
  ReplaceFile(Path("ca.pem"), next.certificate());
  EXPECT_TRUE(Eventually([&] { return ListJobs(process_->address(), newcomer).ok(); }));
  EXPECT_EQ(CodeOf(process_->address(), WithCertificate(kTrainer)), absl::StatusCode::kUnavailable)
      << "a certificate of the CA that is known no more";
}

TEST_F(TlsTest, ABrokenFileIsToldAndTheOldCertificateKept) {
  Start(/*mutual=*/false);
  for (const std::string& broken : {std::string("hello"), std::string(), ca_.IssueServer().chain}) {
    const size_t before = process_->Log().size();
    ReplaceFile(Path("chain.pem"), broken);
    EXPECT_TRUE(Eventually([&] {
      return absl::StrContains(process_->Log().substr(before), "goes on with what was read before: tls.");
    })) << process_->Log();
    EXPECT_TRUE(ListJobs(process_->address(), Anonymous()).ok());
  }
  const security::TestCa next("the next CA");
  WriteServerCertificate(next.IssueServer());
  Visitor newcomer = Anonymous();
  newcomer.ca = next.certificate();
  EXPECT_TRUE(Eventually([&] { return ListJobs(process_->address(), newcomer).ok(); })) << "mended";
}

TEST_F(TlsTest, SighupReadsAgain) {
  Start(/*mutual=*/false);
  process_->Signal(SIGHUP);
  EXPECT_TRUE(Eventually([&] { return absl::StrContains(process_->Log(), "read again: " + Path("chain.pem")); }));
  EXPECT_TRUE(ListJobs(process_->address(), Anonymous()).ok());
}

TEST_F(TlsTest, AWorkerTrainsOverMutualTlsAndTakesUpItsNextCertificate) {
  Start(/*mutual=*/true);
  const security::TestCertificate own = ca_.IssueClient(kTrainer);
  ReplaceFile(Path("worker.pem"), own.chain);
  ReplaceFile(Path("worker-key.pem"), own.private_key);
  WorkerOptions options;
  options.coordinator = process_->address();
  options.job = "run";
  options.layers = {{"layer", 4, 1, ""}};
  options.tls = {Path("ca.pem"), Path("worker.pem"), Path("worker-key.pem"), "localhost"};
  auto joined = Worker::Join(options);
  ASSERT_TRUE(joined.ok()) << joined.status().message();
  const auto run_step = [&](uint64_t step) {
    const int32_t ids[] = {0, 0};
    Status status = (*joined)->BeginStep(step);
    if (status.ok()) status = (*joined)->Count(0, ids, 2);
    if (status.ok()) status = (*joined)->Commit(step);
    EXPECT_TRUE(status.ok()) << status.message();
  };
  for (uint64_t step = 1; step <= 3; ++step) run_step(step);

  // Another CA on both sides, and a coordinator that is started again, as a worker of long life meets it.
  const security::TestCa next("the next CA");
  options_.listen = process_->address();
  process_->Signal(SIGKILL);
  process_->Wait();
  const security::TestCertificate renewed = next.IssueClient(kTrainer);
  ReplaceFile(Path("worker.pem"), renewed.chain);
  ReplaceFile(Path("worker-key.pem"), renewed.private_key);
  WriteServerCertificate(next.IssueServer());
  ReplaceFile(Path("ca.pem"), next.certificate());
  absl::StatusOr<std::unique_ptr<EvenkeeldProcess>> again = EvenkeeldProcess::Start(options_);
  ASSERT_TRUE(again.ok()) << again.status();
  process_ = *std::move(again);
  for (uint64_t step = 4; step <= 6; ++step) run_step(step);
  const Status left = (*joined)->Leave();
  EXPECT_TRUE(left.ok()) << left.message();
  Visitor reader = {next.certificate(), renewed, ""};
  const auto jobs = ListJobs(process_->address(), reader);
  ASSERT_TRUE(jobs.ok()) << jobs.status();
  ASSERT_EQ(jobs->jobs_size(), 1);
  EXPECT_EQ(jobs->jobs(0).version().step(), 6);
}

TEST(TlsStartTest, WhatCannotBeServedIsRefusedAtTheStart) {
  const std::string folder = NewFolder("tls");
  const security::TestCertificate certificate = security::TestCa("ca").IssueServer();
  ReplaceFile(folder + "/chain.pem", certificate.chain);
  ReplaceFile(folder + "/key.pem", security::TestCa("ca").IssueServer().private_key);
  const std::string state = "--state_dir=" + folder + "/state";
  const std::string chain = "--tls_certificate=" + folder + "/chain.pem";
  const Ending no_key = RunEvenkeeld({state, chain});
  EXPECT_EQ(no_key.exit_code, 1);
  EXPECT_THAT(no_key.stderr_text, HasSubstr("tls.private_key is not set"));
  const Ending wrong_key = RunEvenkeeld({state, chain, "--tls_private_key=" + folder + "/key.pem"});
  EXPECT_EQ(wrong_key.exit_code, 1);
  EXPECT_THAT(wrong_key.stderr_text, HasSubstr("is not the key of the certificate"));
  const Ending exposed = RunEvenkeeld({state, "--listen=0.0.0.0:0"});
  EXPECT_EQ(exposed.exit_code, 1);
  EXPECT_THAT(exposed.stderr_text, HasSubstr("set tls, or give --insecure"));
  const Ending readable = RunEvenkeeld({state, "--listen=0.0.0.0:0", "--insecure", "--identities=x.yaml"});
  EXPECT_EQ(readable.exit_code, 1);
  EXPECT_THAT(readable.stderr_text, HasSubstr("where tokens could be read; set tls"));
  const Ending admin = RunEvenkeeld({state, "--admin_listen=0.0.0.0:0", "--insecure"});
  EXPECT_EQ(admin.exit_code, 1);
  EXPECT_THAT(admin.stderr_text, HasSubstr("administration is for loopback"));
}

}  // namespace
}  // namespace evenkeel::tests
