// What an NCCL reducer promises beyond reducer_test.cc's conformance: what is enqueued, who owns the communicator, who
// waits for whom. By the double of libnccl, ranks being threads or processes.

#include "client/reduce/nccl_reducer.h"

#include <sys/stat.h>

#include <atomic>
#include <cstdlib>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "client/device/test_runtime.h"
#include "client/reduce/fake_nccl_path.h"
#include "client/reduce/forked_process.h"
#include "client/reduce/nccl_library.h"
#include "client/reduce/staged_reducer.h"
#include "client/reduce/store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::client {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

const NcclLibrary& Library() {
  static const NcclLibrary* const library = [] {
    setenv("EVENKEEL_NCCL_LIBRARY", kFakeNcclPath, 1);
    return OpenNccl().value().release();
  }();
  return *library;
}

NcclOptions Options(int rank, int size, milliseconds timeout = milliseconds(60'000)) {
  NcclOptions options;
  options.rank = rank;
  options.size = size;
  options.timeout = timeout;
  return options;
}

// Gives every rank the same answer: what rank 0 brought, once it has, or what the test says; and for the others nothing
// that anybody reads.
class Table final : public Rendezvous {
 public:
  Table(int rank, int size, Table* leader) : rank_(rank), size_(size), leader_(leader) {}

  void Bring(const std::string& value) {
    MutexLock lock(&mutex_);
    value_ = value;
    brought_.NotifyAll();
  }

  absl::StatusOr<std::vector<std::string>> Exchange(const std::string&, const std::string& value, Deadline) override {
    if (rank_ == 0) Bring(value);
    Table& leader = rank_ == 0 ? *this : *leader_;
    MutexLock lock(&leader.mutex_);
    while (leader.value_.empty()) leader.brought_.Wait(&leader.mutex_);
    std::vector<std::string> values(size_, "another");
    values[0] = leader.value_;
    return values;
  }

 private:
  const int rank_;
  const int size_;
  Table* const leader_;
  Mutex mutex_;
  CondVar brought_;
  std::string value_;
};

std::unique_ptr<DeviceReducer> Alone(TestRuntime* runtime) {
  return MakeNcclReducer(Options(0, 1), Library(), runtime, /*rendezvous=*/nullptr).value();
}

// Two ranks of one process.
std::vector<std::unique_ptr<DeviceReducer>> Pair(TestRuntime* runtime) {
  Table first(0, 2, nullptr);
  Table second(1, 2, &first);
  std::vector<std::unique_ptr<DeviceReducer>> reducers(2);
  std::thread other([&] { reducers[1] = MakeNcclReducer(Options(1, 2), Library(), runtime, &second).value(); });
  reducers[0] = MakeNcclReducer(Options(0, 2), Library(), runtime, &first).value();
  other.join();
  return reducers;
}

// Numbers in the memory of the device.
uint64_t* Numbers(TestRuntime* runtime, size_t count, uint64_t number) {
  auto* const values = static_cast<uint64_t*>(runtime->Allocate(count * sizeof(uint64_t)).value());
  std::fill(values, values + count, number);
  return values;
}

// A world of four in groups of two: each is made by its own ranks, whether the other is there or not. First
// of all, before there are threads.
TEST(NcclProcessTest, GroupsDoNotWaitForEachOther) {
  const std::string folder = absl::StrCat(getenv("TEST_TMPDIR"), "/groups");
  ASSERT_EQ(mkdir(folder.c_str(), 0755), 0);
  std::vector<std::unique_ptr<ForkedProcess>> world;
  for (int rank = 0; rank < 4; ++rank) {
    world.push_back(std::make_unique<ForkedProcess>([folder, rank](Talk& talk) {
      talk.Hear();
      GroupPlace place;
      place.job = "run";
      place.group = absl::StrCat("ep ", rank / 2);
      place.rank = rank % 2;
      place.size = 2;
      const auto rendezvous = MakeRendezvous("file://" + folder, place, 1 + rank).value();
      TestRuntime runtime;
      auto inner = MakeNcclReducer(Options(place.rank, 2), Library(), &runtime, rendezvous.get());
      if (!inner.ok()) return talk.Say(inner.status().ToString());
      const auto reducer = MakeStagedReducer(*std::move(inner), &runtime, milliseconds(60'000)).value();
      std::vector<uint64_t> values = {uint64_t{1} << (8 * rank)};
      const absl::Status status = reducer->Sum(absl::MakeSpan(values));
      talk.Say(status.ok() ? absl::StrCat(values[0]) : status.ToString());
      talk.Hear();
    }));
  }
  // The second group first, which is over when the first begins.
  for (const int rank : {2, 3}) world[rank]->Say("go");
  for (const int rank : {2, 3}) EXPECT_EQ(world[rank]->Hear(), absl::StrCat((1 << 16) + (1 << 24)));
  for (const int rank : {0, 1}) world[rank]->Say("go");
  for (const int rank : {0, 1}) EXPECT_EQ(world[rank]->Hear(), absl::StrCat(1 + (1 << 8)));
}

TEST(NcclReducerTest, IsOnTheStreamWhenTheCallReturns) {
  TestRuntime runtime;
  const DeviceStream stream = runtime.CreateStream().value();
  uint64_t* const values = Numbers(&runtime, 3, 7);
  {
    const auto reducer = Alone(&runtime);
    EXPECT_EQ(reducer->rank(), 0);
    EXPECT_EQ(reducer->size(), 1);
    // The first is one that NCCL finishes in the background.
    for (int call = 1; call <= 3; ++call) {
      ASSERT_TRUE(reducer->EnqueueSum(values, 3, stream).ok());
      EXPECT_EQ(runtime.CountOf(stream).collectives, call);
    }
    ASSERT_TRUE(reducer->EnqueueBroadcast(values, 24, stream).ok());
    EXPECT_EQ(runtime.CountOf(stream).collectives, 4);
    // What is nothing, is not enqueued.
    ASSERT_TRUE(reducer->EnqueueSum(values, 0, stream).ok());
    ASSERT_TRUE(reducer->EnqueueBroadcast(values, 0, stream).ok());
    EXPECT_EQ(runtime.CountOf(stream).collectives, 4);
    EXPECT_TRUE(reducer->Health().ok());
    runtime.RunAll();
  }
  EXPECT_EQ(values[2], 7);
  runtime.Free(values);
}

// Ranks that enqueue on several streams, in one order: each collective runs when both have come to it.
TEST(NcclReducerTest, RunsInTheOrderOfTheCalls) {
  for (int seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    TestRuntimeOptions options;
    options.seed = seed;
    TestRuntime runtime(options);
    auto ranks = Pair(&runtime);
    uint64_t* values[] = {Numbers(&runtime, 100, 1), Numbers(&runtime, 100, 2)};
    for (int rank = 0; rank < 2; ++rank) {
      const DeviceStream streams[] = {runtime.CreateStream().value(), runtime.CreateStream().value()};
      for (int call = 0; call < 6; ++call) {
        // One rank takes turns with its streams, the other changes at half: the order is that of the calls all the
        // same.
        const DeviceStream stream = streams[rank == 0 ? call % 2 : call / 3];
        ASSERT_TRUE(call % 3 < 2 ? ranks[rank]->EnqueueSum(values[rank], 100, stream).ok()
                                 : ranks[rank]->EnqueueBroadcast(values[rank], 800, stream).ok());
      }
    }
    runtime.RunAll();
    for (uint64_t* const own : values) {
      // 1 + 2 = 3, then all is doubled three times over.
      EXPECT_EQ(own[0], 24);
      EXPECT_EQ(own[99], 24);
    }
    for (uint64_t* const own : values) runtime.Free(own);
  }
}

TEST(NcclReducerTest, AbortEndsWhatIsEnqueuedAndWhatIsNot) {
  TestRuntime runtime;
  auto ranks = Pair(&runtime);
  const DeviceStream streams[] = {runtime.CreateStream().value(), runtime.CreateStream().value()};
  uint64_t* const values = Numbers(&runtime, 10, 1);
  const DeviceEvent done = runtime.CreateEvent().value();
  ASSERT_TRUE(ranks[0]->EnqueueSum(values, 10, streams[0]).ok());
  ASSERT_TRUE(runtime.Record(done, streams[0]).ok());
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(runtime.Happened(done).value());
  EXPECT_TRUE(ranks[0]->Health().ok());
  ranks[0]->Abort();
  ranks[0]->Abort();
  runtime.RunAll();
  EXPECT_TRUE(runtime.Happened(done).value());
  EXPECT_EQ(ranks[0]->Health().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(ranks[0]->EnqueueSum(values, 10, streams[0]).code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(ranks[0]->EnqueueSum(values, 0, streams[0]).code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(ranks[0]->EnqueueBroadcast(values, 10, streams[0]).code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(runtime.CountOf(streams[0]).collectives, 1);

  // The other finds it gone when it needs it, and not before.
  EXPECT_TRUE(ranks[1]->Health().ok());
  ASSERT_TRUE(ranks[1]->EnqueueSum(values, 10, streams[1]).ok());
  ASSERT_TRUE(runtime.Record(done, streams[1]).ok());
  absl::Status health;
  while (health.ok()) {
    EXPECT_FALSE(runtime.Happened(done).value());
    health = ranks[1]->Health();
  }
  EXPECT_EQ(health.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(health.message()), HasSubstr("remote process exited"));
  ranks[1]->Abort();
  runtime.Free(values);
}

// While one thread enqueues, others ask and abort: each call is before the abort, or is cancelled.
TEST(NcclReducerTest, AbortComesFromAnyThread) {
  for (int round = 0; round < 30; ++round) {
    TestRuntimeOptions options;
    options.threads = true;
    TestRuntime runtime(options);
    uint64_t* const values = Numbers(&runtime, 10, 1);
    const DeviceStream stream = runtime.CreateStream().value();
    const auto reducer = Alone(&runtime);
    std::atomic<int> enqueued = 0;
    std::vector<std::thread> others;
    for (int i = 0; i < 2; ++i) {
      others.emplace_back([&] {
        while (enqueued < round && reducer->Health().ok()) {
        }
        reducer->Abort();
      });
    }
    absl::Status status;
    while (status.ok()) {
      status = reducer->EnqueueSum(values, 10, stream);
      enqueued += status.ok();
    }
    EXPECT_EQ(status.code(), absl::StatusCode::kCancelled) << status;
    for (std::thread& other : others) other.join();
    runtime.Free(values);
  }
}

TEST(NcclReducerTest, RanksThatDoNotConnectAreAnError) {
  TestRuntime runtime;
  Table table(0, 3, nullptr);
  const absl::Status status = MakeNcclReducer(Options(0, 3, milliseconds(50)), Library(), &runtime, &table).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(status.message()), HasSubstr("not all of 3 ranks connected within 50 ms"));
}

TEST(NcclReducerTest, ALeaderThatIsGoneIsAnError) {
  TestRuntime runtime;
  Table leader(0, 2, nullptr);
  leader.Bring(std::string(8 + 128, 'x'));
  Table table(1, 2, &leader);
  EXPECT_EQ(MakeNcclReducer(Options(1, 2), Library(), &runtime, &table).status().code(),
            absl::StatusCode::kUnavailable);
}

TEST(NcclReducerTest, ALeaderThatReducesByOtherMeansIsAnError) {
  TestRuntime runtime;
  Table leader(0, 2, nullptr);
  leader.Bring("127.0.0.1:1");
  Table table(1, 2, &leader);
  const absl::Status status = MakeNcclReducer(Options(1, 2), Library(), &runtime, &table).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("rank 0 of 2 brought 11 bytes"));
}

TEST(NcclReducerTest, OptionsAreChecked) {
  TestRuntime runtime;
  for (const auto& [options, what] : {std::pair(Options(2, 2), "rank 2 must lie in 0 .. size - 1"),
                                      {Options(-1, 2), "rank -1"},
                                      {Options(0, 0), "size is 0"},
                                      {Options(0, 1, milliseconds(0)), "timeout 0 ms"}}) {
    const absl::Status status = MakeNcclReducer(options, Library(), &runtime, nullptr).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr(what));
  }
}

// A communicator that the test owns.
class AdoptedTest : public testing::Test {
 protected:
  AdoptedTest() {
    NcclUniqueId id;
    NcclConfig config;
    EXPECT_EQ(Library().GetUniqueId(&id), nccl::kSuccess);
    EXPECT_EQ(Library().CommInitRankConfig(&comm_, 1, id, 0, &config), nccl::kInProgress);
    while (State() == nccl::kInProgress) {
    }
  }
  ~AdoptedTest() override { Library().CommDestroy(comm_); }

  int State() {
    int state = -1;
    EXPECT_EQ(Library().CommGetAsyncError(comm_, &state), nccl::kSuccess);
    return state;
  }

  NcclComm comm_ = nullptr;
  TestRuntime runtime_;
};

TEST_F(AdoptedTest, StaysItsOwners) {
  uint64_t* const values = Numbers(&runtime_, 10, 1);
  const DeviceStream stream = runtime_.CreateStream().value();
  {
    const auto reducer = AdoptNcclReducer(comm_, Options(0, 1), Library()).value();
    EXPECT_TRUE(reducer->EnqueueSum(values, 10, stream).ok());
    EXPECT_TRUE(reducer->Health().ok());
  }
  {
    const auto reducer = AdoptNcclReducer(comm_, Options(0, 1), Library()).value();
    EXPECT_TRUE(reducer->EnqueueSum(values, 10, stream).ok());
    reducer->Abort();
    EXPECT_EQ(reducer->Health().code(), absl::StatusCode::kCancelled);
    EXPECT_EQ(reducer->EnqueueSum(values, 10, stream).code(), absl::StatusCode::kCancelled);
  }
  EXPECT_EQ(State(), nccl::kSuccess);
  EXPECT_EQ(Library().AllReduce(values, values, 10, nccl::kUint64, nccl::kSum, comm_, stream), nccl::kSuccess);
  EXPECT_EQ(runtime_.CountOf(stream).collectives, 3);
  runtime_.Free(values);
}

TEST_F(AdoptedTest, OfAnotherRankOrGroupIsRefused) {
  const absl::Status other = AdoptNcclReducer(comm_, Options(1, 4), Library()).status();
  EXPECT_EQ(other.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(other.message()), HasSubstr("that of rank 0 of 1; it must be that of rank 1 of 4"));
  EXPECT_EQ(AdoptNcclReducer(nullptr, Options(0, 1), Library()).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(StagedReducerTest, WithoutMemoryItIsBroken) {
  TestRuntimeOptions options;
  options.memory = 1'000;
  TestRuntime runtime(options);
  const auto reducer = MakeStagedReducer(Alone(&runtime), &runtime, milliseconds(60'000)).value();
  std::vector<uint64_t> few(10, 3);
  EXPECT_TRUE(reducer->Sum(absl::MakeSpan(few)).ok());
  EXPECT_EQ(few, std::vector<uint64_t>(10, 3));
  std::vector<uint64_t> many(1'000, 3);
  const absl::Status status = reducer->Sum(absl::MakeSpan(many));
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()), HasSubstr("sum of 8000 bytes on rank 0 of 1: "));
  EXPECT_EQ(reducer->Sum(absl::MakeSpan(few)), status);
}

}  // namespace
}  // namespace evenkeel::client
