#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "evenkeel/v1/bias_coordinator.grpc.pb.h"
#include "gtest/gtest.h"
#include "server/security/test_certificates.h"
#include "tests/evenkeeld_process.h"

namespace evenkeel::tests {

// What a client brings. Empty: nothing.
struct Visitor {
  std::string ca;  // PEM; empty: plaintext
  security::TestCertificate certificate;
  std::string token;
};

// A stub on a connection of its own, which shows what the visitor brings.
std::unique_ptr<v1::BiasCoordinator::Stub> StubOf(const std::string& address, const Visitor& visitor);

// ListJobs, with a deadline, over a connection of its own.
absl::StatusOr<v1::ListJobsResponse> ListJobs(const std::string& address, const Visitor& visitor);

// Joins a job of one contributor as SmallJob has it and commits its steps first..last: how many were committed.
int RunSteps(v1::BiasCoordinator::Stub* stub, const std::string& job, uint64_t first, uint64_t last);

// Writes a file as a careful administrator does: whole, and then in its place.
void ReplaceFile(const std::string& path, const std::string& text);

// Asks until it holds, or a minute has passed.
bool Eventually(const std::function<bool()>& condition);

// Resident memory of a process, bytes.
int64_t ResidentBytes(pid_t pid);

// An evenkeeld with TLS and files of its own, which a test may replace.
class SecureCoordinatorTest : public ::testing::Test {
 protected:
  std::string Path(const std::string& name) const { return folder_ + "/" + name; }

  void WriteServerCertificate(const security::TestCertificate& certificate) const;
  // With TLS, client certificates (mutual) and an identities file, each where asked for.
  void Start(bool mutual, const std::string& identities = "");

  // What trusts the coordinator and brings nothing.
  Visitor Anonymous() const { return {ca_.certificate(), {}, {}}; }
  Visitor WithCertificate(const std::string& san) const { return {ca_.certificate(), ca_.IssueClient(san), {}}; }
  Visitor WithToken(const std::string& token) const { return {ca_.certificate(), {}, token}; }

  const security::TestCa ca_{"the CA"};
  const std::string folder_ = NewFolder("secure");
  EvenkeeldProcess::Options options_;
  std::unique_ptr<EvenkeeldProcess> process_;
};

}  // namespace evenkeel::tests
