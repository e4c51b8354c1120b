#include "tests/secure_coordinator.h"

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/check.h"
#include "base/grpc_status.h"
#include "grpcpp/grpcpp.h"
#include "tests/protocol_client.h"

namespace evenkeel::tests {
namespace {

std::shared_ptr<grpc::ChannelCredentials> CredentialsOf(const Visitor& visitor) {
  if (visitor.ca.empty()) return grpc::InsecureChannelCredentials();
  const auto ssl = grpc::SslCredentials({visitor.ca, visitor.certificate.private_key, visitor.certificate.chain});
  if (visitor.token.empty()) return ssl;
  return grpc::CompositeChannelCredentials(ssl, grpc::AccessTokenCredentials(visitor.token));
}

}  // namespace

std::unique_ptr<v1::BiasCoordinator::Stub> StubOf(const std::string& address, const Visitor& visitor) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetMaxSendMessageSize(-1);
  return v1::BiasCoordinator::NewStub(grpc::CreateCustomChannel(address, CredentialsOf(visitor), arguments));
}

absl::StatusOr<v1::ListJobsResponse> ListJobs(const std::string& address, const Visitor& visitor) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
  v1::ListJobsResponse response;
  const absl::Status status =
      FromGrpcStatus(StubOf(address, visitor)->ListJobs(&context, v1::ListJobsRequest(), &response));
  if (!status.ok()) return status;
  return response;
}

int RunSteps(v1::BiasCoordinator::Stub* stub, const std::string& job, uint64_t first, uint64_t last) {
  const v1::JobSpec spec = SmallJob(job, 1);
  absl::StatusOr<v1::JoinResponse> joined = Join(stub, JoinOf(spec, 0, /*incarnation=*/7, first));
  EXPECT_TRUE(joined.ok()) << joined.status();
  int committed = 0;
  for (uint64_t step = first; joined.ok() && step <= last; ++step) {
    absl::StatusOr<v1::CommittedVersion> version = Push(stub, PushOf(spec, 0, 7, step, *joined));
    EXPECT_TRUE(version.ok()) << version.status();
    if (!version.ok()) break;
    joined->mutable_version()->Swap(&*version);
    ++committed;
  }
  return committed;
}

void ReplaceFile(const std::string& path, const std::string& text) {
  std::ofstream(path + ".new") << text;
  EVENKEEL_CHECK(std::rename((path + ".new").c_str(), path.c_str()) == 0);
}

bool Eventually(const std::function<bool()>& condition) {
  for (const absl::Time deadline = absl::Now() + absl::Minutes(1); absl::Now() < deadline;) {
    if (condition()) return true;
    absl::SleepFor(absl::Milliseconds(20));
  }
  return condition();
}

int64_t ResidentBytes(pid_t pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/statm"));
  int64_t size = 0;
  int64_t resident = 0;
  file >> size >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

void SecureCoordinatorTest::WriteServerCertificate(const security::TestCertificate& certificate) const {
  ReplaceFile(Path("chain.pem"), certificate.chain);
  ReplaceFile(Path("key.pem"), certificate.private_key);
}

void SecureCoordinatorTest::Start(bool mutual, const std::string& identities) {
  WriteServerCertificate(ca_.IssueServer());
  ReplaceFile(Path("ca.pem"), ca_.certificate());
  options_.state_dir = Path("state");
  options_.flags.push_back("--tls_certificate=" + Path("chain.pem"));
  options_.flags.push_back("--tls_private_key=" + Path("key.pem"));
  if (mutual) options_.flags.push_back("--tls_client_ca=" + Path("ca.pem"));
  if (!identities.empty()) {
    ReplaceFile(Path("identities.yaml"), identities);
    options_.flags.push_back("--identities=" + Path("identities.yaml"));
  }
  absl::StatusOr<std::unique_ptr<EvenkeeldProcess>> process = EvenkeeldProcess::Start(options_);
  ASSERT_TRUE(process.ok()) << process.status();
  process_ = *std::move(process);
}

}  // namespace evenkeel::tests
