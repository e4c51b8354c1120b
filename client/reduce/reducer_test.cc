// What every Reducer promises, by real processes: sums against plain ones, broadcasts, lost and silent ranks.

#include "client/reduce/reducer.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/device/test_runtime.h"
#include "client/reduce/fake_nccl_path.h"
#include "client/reduce/forked_process.h"
#include "client/reduce/gloo_reducer.h"
#include "client/reduce/nccl_library.h"
#include "client/reduce/nccl_reducer.h"
#include "client/reduce/staged_reducer.h"
#include "client/reduce/store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::client {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// ---------------------------------------------------------------------------------------------------------------------
// The reducers

struct Membership {
  std::string store;
  GroupPlace place;
  uint64_t incarnation = 0;
  std::chrono::milliseconds timeout{0};
};

// How a rank becomes one of a group. The rendezvous lives as long as the reducer.
struct Kind {
  std::string name;
  std::function<absl::StatusOr<std::unique_ptr<Reducer>>(const Membership&, Rendezvous*)> make;
};

absl::StatusOr<std::unique_ptr<Reducer>> MakeGloo(const Membership& member, Rendezvous* rendezvous) {
  GlooOptions options;
  options.rank = member.place.rank;
  options.size = member.place.size;
  options.timeout = member.timeout;
  options.toward = "127.0.0.1";
  return MakeGlooReducer(options, rendezvous);
}

// By the double of libnccl, on a device of plain memory, which lives as long as the process.
absl::StatusOr<std::unique_ptr<Reducer>> MakeNccl(const Membership& member, Rendezvous* rendezvous) {
  setenv("EVENKEEL_NCCL_LIBRARY", kFakeNcclPath, 1);
  auto library = OpenNccl();
  if (!library.ok()) return library.status();
  TestRuntimeOptions device;
  device.seed = member.incarnation;
  auto* const runtime = new TestRuntime(device);
  NcclOptions options;
  options.rank = member.place.rank;
  options.size = member.place.size;
  options.timeout = member.timeout;
  auto reducer = MakeNcclReducer(options, *library->release(), runtime, rendezvous);
  if (!reducer.ok()) return reducer.status();
  return MakeStagedReducer(*std::move(reducer), runtime, member.timeout);
}

// ---------------------------------------------------------------------------------------------------------------------
// Numbers that every process can make by itself

std::vector<uint64_t> Numbers(uint64_t seed, int rank, size_t count) {
  std::mt19937_64 random(seed * 1'000 + rank);
  std::vector<uint64_t> numbers(count);
  for (uint64_t& number : numbers) number = random();
  return numbers;
}

std::string Digest(const void* data, size_t bytes) { return absl::StrCat(XXH3_64bits(data, bytes)); }

std::string PlainSum(uint64_t seed, int ranks, size_t count) {
  std::vector<uint64_t> sum(count);
  for (int rank = 0; rank < ranks; ++rank) {
    const std::vector<uint64_t> numbers = Numbers(seed, rank, count);
    for (size_t i = 0; i < count; ++i) sum[i] += numbers[i];
  }
  return Digest(sum.data(), count * sizeof(uint64_t));
}

std::string LeadersBytes(uint64_t seed, size_t count) {
  return Digest(Numbers(seed, 0, count).data(), count * sizeof(uint64_t));
}

// ---------------------------------------------------------------------------------------------------------------------
// A rank, which does what it is told line by line, and answers each with "OK ..." or with the error:
//   make
//   sum SEED COUNT                   OK, digest of the sums
//   broadcast SEED COUNT             OK, digest of the leader's numbers
//   many SEED CALLS COUNT            OK, digest over all sums and broadcasts
//   endless SEED COUNT               "OK, going on" after some sums and broadcasts, and then the error that ends them
//   abort SEED COUNT                 as sum, while another thread aborts

class Rank {
 public:
  Rank(const Kind& kind, const Membership& member) : kind_(kind), member_(member) {}

  void Run(Talk& talk) {
    while (true) {
      const std::string line = talk.Hear();
      const std::vector<std::string> words = absl::StrSplit(line, ' ');
      if (words[0] == "(silence)" || words[0] == "end") return;
      const absl::StatusOr<std::string> answer = Do(words, talk);
      talk.Say(answer.ok() ? absl::StrCat("OK ", *answer) : answer.status().ToString());
    }
  }

 private:
  absl::StatusOr<std::string> Do(const std::vector<std::string>& words, Talk& talk) {
    if (words[0] == "make") return Make();
    if (reducer_ == nullptr) return made_;
    std::vector<uint64_t> numbers;
    for (size_t i = 1; i < words.size(); ++i) numbers.push_back(std::stoull(words[i]));
    if (words[0] == "sum") return Sum(numbers.at(0), numbers.at(1));
    if (words[0] == "broadcast") return Broadcast(numbers.at(0), numbers.at(1));
    if (words[0] == "many") return Many(numbers.at(0), numbers.at(1), numbers.at(2));
    if (words[0] == "endless") return Endless(numbers.at(0), numbers.at(1), talk);
    if (words[0] == "abort") return Aborted(numbers.at(0), numbers.at(1));
    return absl::UnimplementedError(words[0]);
  }

  absl::StatusOr<std::string> Make() {
    auto rendezvous = MakeRendezvous(member_.store, member_.place, member_.incarnation);
    if (!rendezvous.ok()) return rendezvous.status();
    rendezvous_ = *std::move(rendezvous);
    auto reducer = kind_.make(member_, rendezvous_.get());
    made_ = reducer.status();
    if (!made_.ok()) return made_;
    reducer_ = *std::move(reducer);
    return absl::StrCat("rank ", reducer_->rank(), " of ", reducer_->size());
  }

  absl::StatusOr<std::string> Sum(uint64_t seed, size_t count) {
    std::vector<uint64_t> numbers = Numbers(seed, member_.place.rank, count);
    const absl::Status status = reducer_->Sum(absl::MakeSpan(numbers));
    if (!status.ok()) return status;
    return Digest(numbers.data(), count * sizeof(uint64_t));
  }

  absl::StatusOr<std::string> Broadcast(uint64_t seed, size_t count) {
    std::vector<uint64_t> numbers = Numbers(seed, member_.place.rank, count);
    const absl::Status status =
        reducer_->Broadcast(absl::MakeSpan(reinterpret_cast<char*>(numbers.data()), count * sizeof(uint64_t)));
    if (!status.ok()) return status;
    return Digest(numbers.data(), count * sizeof(uint64_t));
  }

  absl::StatusOr<std::string> Many(uint64_t seed, int calls, size_t count) {
    std::string digests;
    for (int call = 0; call < calls; ++call) {
      // Sizes differ from call to call, the same on all ranks.
      const size_t size = count + call % 7;
      auto digest = call % 3 == 2 ? Broadcast(seed + call, size) : Sum(seed + call, size);
      if (!digest.ok()) return digest.status();
      digests += *digest;
    }
    return Digest(digests.data(), digests.size());
  }

  absl::StatusOr<std::string> Endless(uint64_t seed, size_t count, Talk& talk) {
    for (int round = 0;; ++round) {
      const auto digest = Many(seed, 30, count);
      if (!digest.ok()) return digest.status();
      if (round == 3) talk.Say("OK, going on");
    }
  }

  absl::StatusOr<std::string> Aborted(uint64_t seed, size_t count) {
    std::atomic<bool> begins = false;
    std::thread aborter([this, &begins] {
      while (!begins) std::this_thread::yield();
      // More often than not the call waits by now; what comes of it is the same.
      for (int i = 0; i < 1'000; ++i) std::this_thread::yield();
      reducer_->Abort();
    });
    begins = true;
    absl::StatusOr<std::string> digest = Sum(seed, count);
    aborter.join();
    return reducer_->size() > 1 ? digest : Sum(seed, count);
  }

  const Kind& kind_;
  const Membership member_;
  std::unique_ptr<Rendezvous> rendezvous_;
  absl::Status made_;
  std::unique_ptr<Reducer> reducer_;
};

std::string PlainMany(uint64_t seed, int ranks, int calls, size_t count) {
  std::string digests;
  for (int call = 0; call < calls; ++call) {
    const size_t size = count + call % 7;
    digests += call % 3 == 2 ? LeadersBytes(seed + call, size) : PlainSum(seed + call, ranks, size);
  }
  return Digest(digests.data(), digests.size());
}

class Group {
 public:
  Group(const Kind& kind, int size, std::chrono::milliseconds timeout) {
    static int groups = 0;
    const std::string folder = absl::StrCat(getenv("TEST_TMPDIR"), "/group-", getpid(), "-", groups++);
    EXPECT_EQ(mkdir(folder.c_str(), 0755), 0);
    for (int rank = 0; rank < size; ++rank) {
      Membership member;
      member.store = "file://" + folder;
      member.place.job = "run";
      member.place.group = "world";
      member.place.rank = rank;
      member.place.size = size;
      member.incarnation = 1 + rank;
      member.timeout = timeout;
      ranks_.push_back(std::make_unique<ForkedProcess>([&kind, member](Talk& talk) { Rank(kind, member).Run(talk); }));
    }
  }

  int size() const { return static_cast<int>(ranks_.size()); }
  ForkedProcess& rank(int rank) { return *ranks_[rank]; }

  void Say(const std::string& line) {
    for (const auto& rank : ranks_) rank->Say(line);
  }
  std::vector<std::string> Hear() {
    std::vector<std::string> answers;
    for (const auto& rank : ranks_) answers.push_back(rank->Hear());
    return answers;
  }
  // All ranks are told the same, and are to give the same answer.
  void Expect(const std::string& line, const std::string& answer) {
    Say(line);
    for (const std::string& heard : Hear()) EXPECT_EQ(heard, answer) << line;
  }
  void Make() {
    Say("make");
    for (int rank = 0; rank < size(); ++rank) {
      ASSERT_EQ(ranks_[rank]->Hear(), absl::StrCat("OK rank ", rank, " of ", size()));
    }
  }

 private:
  std::vector<std::unique_ptr<ForkedProcess>> ranks_;
};

// ---------------------------------------------------------------------------------------------------------------------
// The promises

constexpr std::chrono::milliseconds kLong(60'000);
// For ranks to notice that one is lost: far shorter than a test waits for a line, a minute.
constexpr std::chrono::milliseconds kShort(3'000);

class ReducerTest : public ::testing::TestWithParam<Kind> {
 protected:
  // Has all ranks call without end, and ends or stops one of them in the middle of it.
  static void Lose(Group* group, int lost, int signal) {
    ASSERT_NO_FATAL_FAILURE(group->Make());
    group->Expect("endless 1 1000", "OK, going on");
    group->rank(lost).Signal(signal);
  }

  // All others have an error of a lost rank, and keep it.
  static void ExpectLost(Group* group, int lost) {
    for (int rank = 0; rank < group->size(); ++rank) {
      if (rank == lost) continue;
      const std::string first = group->rank(rank).Hear();
      EXPECT_THAT(first, AnyOf(StartsWith("UNAVAILABLE: "), StartsWith("DEADLINE_EXCEEDED: "))) << "rank " << rank;
      EXPECT_THAT(first, HasSubstr(absl::StrCat("rank ", rank, " of ", group->size())));
      for (const char* call : {"sum 1 1", "broadcast 1 1", "sum 1 0"}) {
        group->rank(rank).Say(call);
        EXPECT_EQ(group->rank(rank).Hear(), first) << call;
      }
    }
  }

  // A seed that is new in every run, and told.
  uint64_t Seed() {
    const uint64_t seed = std::random_device()() % 1'000'000;
    RecordProperty("seed", absl::StrCat(seed));
    std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
    return seed;
  }
};

TEST_P(ReducerTest, SumsAndBroadcastsOfEveryGroupSize) {
  const uint64_t seed = Seed();
  for (int size = 1; size <= 8; ++size) {
    SCOPED_TRACE(absl::StrCat(size, " ranks"));
    Group group(GetParam(), size, kLong);
    ASSERT_NO_FATAL_FAILURE(group.Make());
    for (const size_t count : {0, 1, 2, 7, 61 * 256, 100'003}) {
      group.Expect(absl::StrCat("sum ", seed, " ", count), "OK " + PlainSum(seed, size, count));
      group.Expect(absl::StrCat("broadcast ", seed, " ", count), "OK " + LeadersBytes(seed, count));
    }
  }
}

TEST_P(ReducerTest, SixteenMillionNumbers) {
  const uint64_t seed = Seed();
  Group group(GetParam(), 2, kLong);
  ASSERT_NO_FATAL_FAILURE(group.Make());
  constexpr size_t kCount = 16 << 20;
  group.Expect(absl::StrCat("sum ", seed, " ", kCount), "OK " + PlainSum(seed, 2, kCount));
  group.Expect(absl::StrCat("broadcast ", seed, " ", kCount), "OK " + LeadersBytes(seed, kCount));
}

TEST_P(ReducerTest, ManyCallsInSequence) {
  const uint64_t seed = Seed();
  for (const int size : {2, 3, 5}) {
    Group group(GetParam(), size, kLong);
    ASSERT_NO_FATAL_FAILURE(group.Make());
    group.Expect(absl::StrCat("many ", seed, " 500 1000"), "OK " + PlainMany(seed, size, 500, 1000));
  }
}

TEST_P(ReducerTest, ARankThatIsKilledIsAnErrorOnAllOthers) {
  for (const int lost : {0, 1, 3}) {
    SCOPED_TRACE(absl::StrCat("rank ", lost));
    Group group(GetParam(), 4, kShort);
    ASSERT_NO_FATAL_FAILURE(Lose(&group, lost, SIGKILL));
    ExpectLost(&group, lost);
  }
}

TEST_P(ReducerTest, ARankThatStandsStillIsAnErrorOnAllOthers) {
  for (const int lost : {0, 2}) {
    SCOPED_TRACE(absl::StrCat("rank ", lost));
    Group group(GetParam(), 3, kShort);
    ASSERT_NO_FATAL_FAILURE(Lose(&group, lost, SIGSTOP));
    ExpectLost(&group, lost);
    // When it goes on, it finds the others gone.
    group.rank(lost).Signal(SIGCONT);
    EXPECT_THAT(group.rank(lost).Hear(), AnyOf(StartsWith("UNAVAILABLE: "), StartsWith("DEADLINE_EXCEEDED: ")));
  }
}

TEST_P(ReducerTest, ARankThatDoesNotCallIsAnErrorOnAllOthers) {
  Group group(GetParam(), 3, kShort);
  ASSERT_NO_FATAL_FAILURE(group.Make());
  for (const int rank : {0, 2}) group.rank(rank).Say("sum 1 10");
  ExpectLost(&group, /*lost=*/1);
}

TEST_P(ReducerTest, ARankThatDoesNotComeIsNamed) {
  Group group(GetParam(), 3, kShort);
  for (const int rank : {0, 2}) group.rank(rank).Say("make");
  for (const int rank : {0, 2}) {
    EXPECT_THAT(group.rank(rank).Hear(),
                AllOf(StartsWith("DEADLINE_EXCEEDED: "), HasSubstr("rank 1 of 3 did not come")));
  }
}

TEST_P(ReducerTest, AbortEndsWhatWaitsAndWhatComesLater) {
  for (const int aborted : {0, 2}) {
    SCOPED_TRACE(absl::StrCat("rank ", aborted));
    // The time of the group is longer than a test waits for a line.
    Group group(GetParam(), 3, std::chrono::minutes(10));
    ASSERT_NO_FATAL_FAILURE(group.Make());
    // Rank 1 does not call: the others wait.
    group.rank(2 - aborted).Say("sum 1 10");
    group.rank(aborted).Say("abort 1 10");
    EXPECT_THAT(group.rank(aborted).Hear(), StartsWith("CANCELLED: "));
    group.rank(aborted).Say("broadcast 1 10");
    EXPECT_THAT(group.rank(aborted).Hear(), StartsWith("CANCELLED: "));
    // Whoever calls finds the rank gone; and so, at the latest by what then ends, does whoever waits for others.
    group.rank(1).Say("sum 1 10");
    EXPECT_THAT(group.rank(1).Hear(), StartsWith("UNAVAILABLE: "));
    EXPECT_THAT(group.rank(2 - aborted).Hear(), StartsWith("UNAVAILABLE: "));
  }
}

TEST_P(ReducerTest, ARankAloneCanBeAbortedToo) {
  Group group(GetParam(), 1, kLong);
  ASSERT_NO_FATAL_FAILURE(group.Make());
  group.Say("abort 1 10");
  EXPECT_THAT(group.rank(0).Hear(), StartsWith("CANCELLED: "));
}

// A rank that ends after its last call takes nothing from the others: what it has sent arrives.
TEST_P(ReducerTest, ARankMayEndWhenItsLastCallReturns) {
  const uint64_t seed = Seed();
  for (int life = 0; life < 10; ++life) {
    Group group(GetParam(), 4, kLong);
    ASSERT_NO_FATAL_FAILURE(group.Make());
    const std::string line = absl::StrCat("broadcast ", seed, " ", 61 * 256);
    group.Say(line);
    for (int rank = 0; rank < 4; ++rank) {
      EXPECT_EQ(group.rank(rank).Hear(), "OK " + LeadersBytes(seed, 61 * 256)) << "rank " << rank;
      group.rank(rank).Say("end");
    }
  }
}

// Whatever the others are doing at that moment, they end with an error, and not with the process.
TEST_P(ReducerTest, ARankThatIsKilledWhileTheGroupIsMadeIsAnErrorOnAllOthers) {
  std::mt19937 random(Seed());
  for (int life = 0; life < 12; ++life) {
    Group group(GetParam(), 4, std::chrono::milliseconds(500));
    group.Say("make");
    for (int spins = random() % 4'000; spins > 0; --spins) std::this_thread::yield();
    group.rank(life % 4).Signal(SIGKILL);
    for (int rank = 0; rank < 4; ++rank) {
      if (rank == life % 4) continue;
      const std::string made = group.rank(rank).Hear();
      group.rank(rank).Say("sum 1 10");
      EXPECT_THAT(group.rank(rank).Hear(), AnyOf(StartsWith("UNAVAILABLE: "), StartsWith("DEADLINE_EXCEEDED: ")))
          << "rank " << rank << " of group " << life << ", which it made with " << made;
    }
  }
}

// What a caller must not do, and what becomes of it: nobody gets a sum.
TEST_P(ReducerTest, SizesThatDifferAreAnError) {
  for (const std::pair<int, int>& sizes :
       {std::pair<int, int>(1'000, 1'001), {1'001, 1'000}, {10, 100'000}, {100'000, 10}}) {
    SCOPED_TRACE(absl::StrCat(sizes.first, " and ", sizes.second));
    Group group(GetParam(), 2, std::chrono::milliseconds(500));
    ASSERT_NO_FATAL_FAILURE(group.Make());
    group.rank(0).Say(absl::StrCat("sum 1 ", sizes.first));
    group.rank(1).Say(absl::StrCat("sum 1 ", sizes.second));
    for (const std::string& answer : group.Hear()) {
      EXPECT_THAT(answer, AnyOf(StartsWith("DEADLINE_EXCEEDED: "), StartsWith("UNAVAILABLE: ")));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, ReducerTest, ::testing::Values(Kind{"Gloo", MakeGloo}, Kind{"Nccl", MakeNccl}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace evenkeel::client
