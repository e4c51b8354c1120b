// Networks that cut, refuse, delay, throttle and freeze, at any byte and in either direction: whatever they do, the
// trajectory is the one that the counts lead to, each push counted once.

#include <functional>
#include <iostream>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "tests/proxied_bench.h"

namespace evenkeel::tests {
namespace {

using std::chrono::milliseconds;
using Random = std::mt19937_64;

struct Fault {
  const char* name;
  std::function<void(Random*, TcpProxy*)> inject;
  // That connections are cut within a message is known when it has happened.
  bool counts_itself = false;
};

TcpProxy::Direction DrawDirection(Random* random) {
  return (*random)() % 2 == 0 ? TcpProxy::kToServer : TcpProxy::kToClient;
}

TcpProxy::End DrawEnd(Random* random) { return (*random)() % 2 == 0 ? TcpProxy::End::kFin : TcpProxy::End::kReset; }

// A step of counting_bench's job takes some 150 bytes to the server, and 500 back.
const std::vector<Fault>& Faults() {
  static const std::vector<Fault>& faults = *new std::vector<Fault>{
      {"cut", [](Random* random, TcpProxy* way) { way->Cut(DrawEnd(random)); }},
      {"cut within a message",
       [](Random* random, TcpProxy* way) {
         way->CutAfter(DrawDirection(random), static_cast<int64_t>(1 + (*random)() % 700), DrawEnd(random));
       },
       /*counts_itself=*/true},
      {"cut of which one end hears",
       [](Random* random, TcpProxy* way) {
         way->Cut(DrawEnd(random), (*random)() % 2 == 0 ? TcpProxy::Told::kOnlyClient : TcpProxy::Told::kOnlyServer);
       }},
      {"refusal",
       [](Random* random, TcpProxy* way) {
         way->SetTarget("");
         way->Cut(DrawEnd(random));
       }},
      {"delay",
       [](Random* random, TcpProxy* way) { way->Delay(DrawDirection(random), milliseconds(1 + (*random)() % 40)); }},
      {"throttling",
       [](Random* random, TcpProxy* way) { way->Throttle(DrawDirection(random), 2'000 + (*random)() % 20'000); }},
      {"one way only", [](Random* random, TcpProxy* way) { way->Block(DrawDirection(random)); }},
      {"freeze",
       [](Random*, TcpProxy* way) {
         way->Block(TcpProxy::kToServer);
         way->Block(TcpProxy::kToClient);
       }},
      {"half-open connection", [](Random*, TcpProxy* way) { way->Forsake(); }},
  };
  return faults;
}

class NetworkFaultTest : public ProxiedBench {
 protected:
  void Start(uint64_t seed, std::vector<Contributor> contributors, uint64_t steps, Flags flags) {
    std::cout << "seed " << seed << "\n";
    random_.seed(seed);
    seed_ = seed;
    flags.insert({{"patience_ms", "100"}, {"lag", absl::StrCat(seed % 2)}});
    StartProxiedJob(std::move(contributors), steps, flags);
  }

  uint64_t Draw(uint64_t first, uint64_t last) { return first + random_() % (last - first + 1); }
  void LetTimePass(uint64_t most_us) { absl::SleepFor(absl::Microseconds(Draw(0, most_us))); }

  // Each rank's network, but for at least one and some of the others, remains as it is.
  void InjectFaults() {
    const int surely = static_cast<int>(Draw(0, ranks() - 1));
    for (int rank = 0; rank < ranks(); ++rank) {
      if (rank != surely && Draw(0, 2) > 0) continue;
      const Fault& fault = Faults()[Draw(0, Faults().size() - 1)];
      // A fault that meets no connection is none.
      if (!fault.counts_itself && way(rank).tally().open > 0) tally_.Add(fault.name);
      fault.inject(&random_, &way(rank));
    }
  }

  // What nobody was told of would be found within half a minute; a test cannot wait for that at every turn.
  void Heal() {
    for (int rank = 0; rank < ranks(); ++rank) {
      const TcpProxy::Tally tally = way(rank).tally();
      way(rank).SetTarget(coordinator_->address());
      way(rank).Heal();
      if (tally.open == 0 || Draw(0, 3) == 0) way(rank).Cut(TcpProxy::End::kReset);
    }
  }

  void ExpectNothingLostByFaults() {
    Heal();
    ASSERT_NO_FATAL_FAILURE(ExpectNothingLost());
    for (int rank = 0; rank < ranks(); ++rank) tally_.Add("cut within a message", way(rank).tally().cut_within);
  }

  Random random_;
};

TEST_F(NetworkFaultTest, WorkersThatHoldGoOnAndLoseNothing) {
  for (const uint64_t seed : {41, 42, 43}) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    constexpr int kRounds = 100;
    Start(seed, seed == 43 ? Groups(4, 2) : Alone(4), /*steps=*/9 * kRounds, {{"on_loss", "hold"}});
    uint64_t step = 1;
    GoTo(step);  // who has not joined yet holds nothing
    ASSERT_TRUE(AwaitLines(step));
    for (int round = 0; round < kRounds; ++round) {
      step += Draw(1, 7);
      GoTo(step);
      LetTimePass(3'000);
      InjectFaults();
      step += Draw(0, 1);
      GoTo(step);
      ASSERT_TRUE(AwaitLines(step)) << "round " << round;
      if (Draw(0, 2) == 0) continue;  // upon which more comes
      Heal();
      if (Draw(0, 1) == 0) AwaitCommitted(step);
    }
    ASSERT_NO_FATAL_FAILURE(ExpectNothingLostByFaults());
  }
}

TEST_F(NetworkFaultTest, WorkersThatWaitHaveTheTrajectoryOfARunWithoutFaults) {
  for (const uint64_t seed : {51, 52}) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    constexpr int kRounds = 100;
    Start(seed, Alone(3), /*steps=*/8 * kRounds, {{"on_loss", "wait"}});
    uint64_t step = 0;
    for (int round = 0; round < kRounds; ++round) {
      step += Draw(1, 8);
      GoTo(step);
      LetTimePass(3'000);
      InjectFaults();
      LetTimePass(30'000);
      Heal();
      ASSERT_TRUE(AwaitLines(step)) << "round " << round;
    }
    ASSERT_NO_FATAL_FAILURE(ExpectNothingLostByFaults());
    for (int rank = 0; rank < ranks(); ++rank) {
      for (const StepLine& line : Lines(rank)) {
        ASSERT_EQ(line.staleness, 0) << "rank " << rank << ", step " << line.step;
      }
    }
  }
}

// From the first byte of a push, or of its answer, to the last: there is none behind which a cut would matter.
TEST_F(NetworkFaultTest, ACutBehindAnyByteOfAStepChangesNothing) {
  constexpr int kCuts = 40;
  constexpr uint64_t kMeasured = 10;
  Start(/*seed=*/60, Alone(2), /*steps=*/1000, {{"on_loss", "wait"}});
  uint64_t step = 2;
  GoTo(step);
  ASSERT_TRUE(AwaitLines(step));
  const TcpProxy::Tally before = way(0).tally();
  GoTo(step += kMeasured);
  ASSERT_TRUE(AwaitLines(step));
  const TcpProxy::Tally after = way(0).tally();
  for (const TcpProxy::Direction direction : {TcpProxy::kToServer, TcpProxy::kToClient}) {
    const int64_t bytes = (after.bytes[direction] - before.bytes[direction]) / static_cast<int64_t>(kMeasured);
    std::cout << bytes << " bytes of a step, direction " << direction << "\n";
    for (int cut = 0; cut < kCuts; ++cut) {
      const int64_t earlier = way(0).tally().cut_within;
      way(0).CutAfter(direction, 1 + cut * bytes / kCuts, DrawEnd(&random_));
      while (way(0).tally().cut_within == earlier) {
        GoTo(++step);
        ASSERT_TRUE(AwaitLines(step));
      }
    }
  }
  ASSERT_NO_FATAL_FAILURE(ExpectNothingLostByFaults());
}

}  // namespace
}  // namespace evenkeel::tests
