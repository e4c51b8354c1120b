#include "rendezvous/host.h"

#include <chrono>
#include <future>
#include <utility>

#include "base/error_detail.h"
#include "base/grpc_status.h"
#include "evenkeel/v1/bias_coordinator.grpc.pb.h"
#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"

namespace evenkeel::rendezvous {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Reason = v1::ErrorDetail;

std::unique_ptr<Host> StartHost() {
  absl::StatusOr<std::unique_ptr<Host>> host = Host::Start("127.0.0.1:0");
  EXPECT_TRUE(host.ok()) << host.status();
  return *std::move(host);
}

v1::RendezvousRequest RequestOf(int rank, int size, const std::string& value) {
  v1::RendezvousRequest request;
  request.set_job("run");
  request.set_group("world");
  request.set_rank(rank);
  request.set_size(size);
  request.set_key("join");
  request.set_value(value);
  return request;
}

// A call in a thread of its own.
class Caller {
 public:
  Caller(const Host& host, const v1::RendezvousRequest& request, std::chrono::milliseconds timeout = kLong)
      : stub_(v1::BiasCoordinator::NewStub(grpc::CreateChannel(host.address(), grpc::InsecureChannelCredentials()))) {
    context_.set_deadline(std::chrono::system_clock::now() + timeout);
    answer_ = std::async(std::launch::async, [this, request] {
      v1::RendezvousResponse response;
      const absl::Status status = FromGrpcStatus(stub_->Rendezvous(&context_, request, &response));
      return std::make_pair(status, std::vector<std::string>(response.values().begin(), response.values().end()));
    });
  }

  void Cancel() { context_.TryCancel(); }
  bool IsAnswered() const { return answer_.wait_for(std::chrono::milliseconds(1)) == std::future_status::ready; }
  std::pair<absl::Status, std::vector<std::string>> Answer() { return answer_.get(); }

  static constexpr std::chrono::milliseconds kLong{60'000};

 private:
  const std::unique_ptr<v1::BiasCoordinator::Stub> stub_;
  grpc::ClientContext context_;
  std::future<std::pair<absl::Status, std::vector<std::string>>> answer_;
};

TEST(HostTest, RanksMeet) {
  const std::unique_ptr<Host> host = StartHost();
  Caller zero(*host, RequestOf(0, 2, "a"));
  Caller one(*host, RequestOf(1, 2, std::string(1 << 20, 'b')));
  const auto [status, values] = zero.Answer();
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_THAT(values, ElementsAre("a", std::string(1 << 20, 'b')));
  EXPECT_EQ(one.Answer().second, values);
}

TEST(HostTest, WhoIsMissingIsNamedBeforeTheDeadline) {
  const std::unique_ptr<Host> host = StartHost();
  const auto [status, values] = Caller(*host, RequestOf(1, 3, "b"), std::chrono::milliseconds(1'000)).Answer();
  EXPECT_EQ(ReasonOf(status), Reason::RANKS_MISSING) << status;
  EXPECT_EQ(status.message(), "ranks 0 and 2 of 3 did not come");
}

// A call of rank 0 of 2, of which it is known that it waits at the host: it took the place of another.
std::unique_ptr<Caller> WaitingCaller(const Host& host) {
  auto first = std::make_unique<Caller>(host, RequestOf(0, 2, "a"));
  auto second = std::make_unique<Caller>(host, RequestOf(0, 2, "a"));
  while (!first->IsAnswered() && !second->IsAnswered()) {
  }
  if (!first->IsAnswered()) std::swap(first, second);
  EXPECT_EQ(ReasonOf(first->Answer().first), Reason::REPLACED);
  return second;
}

TEST(HostTest, ACancelledCallTakesItsValueWithIt) {
  const std::unique_ptr<Host> host = StartHost();
  const std::unique_ptr<Caller> gone = WaitingCaller(*host);
  gone->Cancel();
  EXPECT_EQ(gone->Answer().first.code(), absl::StatusCode::kCancelled);
  // The cancellation may still be on its way, but not for ever; another value begins a complete exchange anew.
  for (int life = 0;; ++life) {
    const std::string value = "b" + std::to_string(life);
    const auto [status, values] = Caller(*host, RequestOf(1, 2, value), std::chrono::milliseconds(500)).Answer();
    if (status.ok()) {
      EXPECT_EQ(life, 0);
      EXPECT_THAT(values, ElementsAre("a", value));
      continue;
    }
    EXPECT_EQ(ReasonOf(status), Reason::RANKS_MISSING) << status;
    break;
  }
}

TEST(HostTest, ACallNeedsADeadlineAndKnownFields) {
  const std::unique_ptr<Host> host = StartHost();
  const auto stub =
      v1::BiasCoordinator::NewStub(grpc::CreateChannel(host->address(), grpc::InsecureChannelCredentials()));
  grpc::ClientContext endless;
  v1::RendezvousResponse response;
  EXPECT_EQ(ReasonOf(FromGrpcStatus(stub->Rendezvous(&endless, RequestOf(0, 1, "a"), &response))),
            Reason::DEADLINE_REQUIRED);
  v1::RendezvousRequest newer = RequestOf(0, 1, "a");
  newer.GetReflection()->MutableUnknownFields(&newer)->AddVarint(4711, 1);
  EXPECT_THAT(std::string(Caller(*host, newer).Answer().first.message()), HasSubstr("4711"));
  EXPECT_EQ(ReasonOf(Caller(*host, RequestOf(1, 1, "a")).Answer().first), Reason::INVALID_FIELD);
}

TEST(HostTest, OtherCallsAreUnimplemented) {
  const std::unique_ptr<Host> host = StartHost();
  const auto stub =
      v1::BiasCoordinator::NewStub(grpc::CreateChannel(host->address(), grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + Caller::kLong);
  v1::ListJobsResponse response;
  EXPECT_EQ(stub->ListJobs(&context, v1::ListJobsRequest(), &response).error_code(), grpc::StatusCode::UNIMPLEMENTED);
}

TEST(HostTest, ItsEndAnswersWhoeverWaits) {
  std::unique_ptr<Host> host = StartHost();
  const std::unique_ptr<Caller> waits = WaitingCaller(*host);
  host.reset();
  const absl::Status status = waits->Answer().first;
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ReasonOf(status), Reason::SHUTTING_DOWN);
}

TEST(HostTest, AnAddressThatIsTakenIsNamed) {
  const std::unique_ptr<Host> host = StartHost();
  const absl::Status status = Host::Start(host->address()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr(host->address()));
}

}  // namespace
}  // namespace evenkeel::rendezvous
