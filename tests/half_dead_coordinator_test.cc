// Coordinators that are there and yet are not: one that is stopped, one that a process without manners stands in for,
// and one that is killed while pushes wait in it.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/check.h"
#include "gmock/gmock.h"
#include "grpcpp/generic/async_generic_service.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "tests/counting_bench.h"
#include "tests/protocol_client.h"

namespace evenkeel::tests {
namespace {

constexpr uint64_t kBefore = 15;
constexpr uint64_t kWithout = 45;
constexpr uint64_t kSteps = 80;

// Takes connections at an address, and never says a word to anybody. Connections are taken by the kernel.
class SilentListener {
 public:
  explicit SilentListener(const std::string& address) : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const std::vector<std::string> parts = absl::StrSplit(address, ':');
    sockaddr_in place = {};
    place.sin_family = AF_INET;
    place.sin_port = htons(std::stoi(parts[1]));
    EVENKEEL_CHECK(inet_pton(AF_INET, parts[0].c_str(), &place.sin_addr) == 1);
    const int yes = 1;
    EVENKEEL_CHECK(setsockopt(socket_, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) == 0);
    EVENKEEL_CHECK(bind(socket_, reinterpret_cast<sockaddr*>(&place), sizeof(place)) == 0);
    EVENKEEL_CHECK(listen(socket_, 64) == 0);
  }
  ~SilentListener() {
    for (const int caller : callers_) close(caller);
    close(socket_);
  }

  // Until somebody has connected, and has said something.
  void AwaitCaller() const {
    const int caller = accept4(socket_, nullptr, nullptr, SOCK_CLOEXEC);
    char byte = 0;
    EXPECT_GT(recv(caller, &byte, 1, MSG_PEEK), 0);
    callers_.push_back(caller);
  }

 private:
  const int socket_;
  mutable std::vector<int> callers_;
};

// Another service at an address: it answers every call in the words of gRPC, and knows nothing of ours.
class Stranger : public grpc::CallbackGenericService {
 public:
  Stranger(const std::string& address, grpc::StatusCode code) : code_(code) {
    grpc::ServerBuilder builder;
    builder.RegisterCallbackGenericService(this);
    builder.AddListeningPort(address, grpc::InsecureServerCredentials());
    server_ = builder.BuildAndStart();
    EVENKEEL_CHECK(server_ != nullptr);
  }

  int calls() const { return calls_; }

 private:
  class Refusal final : public grpc::ServerGenericBidiReactor {
   public:
    explicit Refusal(grpc::StatusCode code) { Finish(grpc::Status(code, "said a stranger")); }
    void OnDone() override { delete this; }
  };

  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext*) override {
    ++calls_;
    return new Refusal(code_);
  }

  const grpc::StatusCode code_;
  std::atomic<int> calls_{0};
  std::unique_ptr<grpc::Server> server_;  // ends before the others
};

class HalfDeadCoordinatorTest : public CountingBench {
 protected:
  void StartUntil(uint64_t step, const Flags& flags) {
    StartJob(Alone(3), kSteps, flags);
    GoTo(step);
    ASSERT_TRUE(AwaitLines(step));
  }

  void ExpectStale() {
    for (int rank = 0; rank < ranks(); ++rank) {
      EXPECT_GE(Lines(rank)[kWithout - 1].staleness, kWithout - kBefore - 2) << "rank " << rank;
    }
  }
};

TEST_F(HalfDeadCoordinatorTest, Pitfall28WorkersGoOnWithoutOneThatIsStopped) {
  StartUntil(kBefore, {{"on_loss", "hold"}, {"patience_ms", "200"}});
  coordinator_->Signal(SIGSTOP);
  GoTo(kWithout);
  ASSERT_TRUE(AwaitLines(kWithout));
  coordinator_->Signal(SIGCONT);
  AwaitCommitted(kWithout);
  ExpectReferenceAtTheEnd();
  ExpectStale();
}

TEST_F(HalfDeadCoordinatorTest, WorkersWaitForOneThatIsStoppedWhereTheyAreToldTo) {
  StartUntil(kBefore, {{"on_loss", "wait"}});
  coordinator_->Signal(SIGSTOP);
  GoTo(kWithout);
  coordinator_->Signal(SIGCONT);
  ExpectReferenceAtTheEnd();
  EXPECT_EQ(Lines(0)[kWithout - 1].staleness, 0);
}

TEST_F(HalfDeadCoordinatorTest, WorkersGoOnWhileSomebodyElseTakesTheirCallsAndSaysNothing) {
  StartUntil(kBefore, {{"on_loss", "hold"}, {"patience_ms", "200"}});
  KillCoordinator();
  {
    const SilentListener silent(coordinator_options_.listen);
    GoTo(kWithout);
    ASSERT_TRUE(AwaitLines(kWithout));
    for (int rank = 0; rank < ranks(); ++rank) silent.AwaitCaller();
  }
  StartCoordinator();
  AwaitCommitted(kWithout);
  ExpectReferenceAtTheEnd();
  ExpectStale();
}

TEST_F(HalfDeadCoordinatorTest, WorkersGoOnWhileAnotherServiceAnswersInItsPlace) {
  for (const grpc::StatusCode code : {grpc::StatusCode::UNIMPLEMENTED, grpc::StatusCode::PERMISSION_DENIED,
                                      grpc::StatusCode::UNAUTHENTICATED, grpc::StatusCode::NOT_FOUND}) {
    SCOPED_TRACE(absl::StrCat("code ", code));
    StartUntil(kBefore, {{"on_loss", "hold"}, {"patience_ms", "200"}});
    KillCoordinator();
    {
      const Stranger stranger(coordinator_options_.listen, code);
      GoTo(kWithout);
      ASSERT_TRUE(AwaitLines(kWithout));
      EXPECT_TRUE(Eventually([&] { return stranger.calls() >= 3 * ranks(); }));
    }
    StartCoordinator();
    AwaitCommitted(kWithout);
    ExpectReferenceAtTheEnd();
    if (HasFatalFailure()) return;
    ExpectStale();
  }
}

TEST_F(HalfDeadCoordinatorTest, PushesThatWaitInOneThatIsKilledAreMadeAgain) {
  StartUntil(kBefore, {{"on_loss", "wait"}});
  for (uint64_t step = kBefore + 1; step < kBefore + 4; ++step) {
    SCOPED_TRACE(absl::StrCat("step ", step));
    for (const int rank : {0, 2}) worker(rank).Tell(absl::StrCat(step));
    ASSERT_EQ(AwaitPushed(NewStub().get(), job_, {0, 2}), absl::OkStatus());
    KillCoordinator();
    StartCoordinator();
    worker(1).Tell(absl::StrCat(step));
    AwaitCommitted(step);
  }
  ExpectReferenceAtTheEnd();
  EXPECT_EQ(Lines(1).back().epoch, 4);
}

}  // namespace
}  // namespace evenkeel::tests
