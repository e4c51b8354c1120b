// What every store promises to ranks that look for each other, by real processes: a folder, a first rank that serves,
// and a real evenkeeld.

#include <signal.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/reduce/forked_process.h"
#include "client/reduce/store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/child_process.h"
#include "tests/evenkeeld_process.h"

namespace evenkeel::tests {
namespace {

using client::ForkedProcess;
using client::GroupPlace;
using client::Rendezvous;
using client::Talk;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// The value that a rank gives: told apart by everything there is, and as long as it is told to be.
std::string Value(const std::string& group, int rank, int life, const std::string& key, size_t bytes) {
  std::string value = absl::StrCat(group, " ", rank, " ", life, " ", key);
  value.resize(bytes, '.');
  return value;
}

std::string Digest(const std::vector<std::string>& values) {
  std::string digest = "OK";
  for (const std::string& value : values) {
    absl::StrAppend(&digest, " ", value.size(), ":", XXH3_64bits(value.data(), value.size()));
  }
  return digest;
}

// Does what it is told line by line, "exchange KEY LIFE BYTES MILLISECONDS", and answers with a digest of the values or
// with the error.
void RunRank(const std::string& store, const GroupPlace& place, uint64_t incarnation, Talk& talk) {
  const absl::StatusOr<std::unique_ptr<Rendezvous>> rendezvous = client::MakeRendezvous(store, place, incarnation);
  talk.Say(rendezvous.status().ToString());
  while (rendezvous.ok()) {
    const std::vector<std::string> words = absl::StrSplit(talk.Hear(), ' ');
    if (words[0] != "exchange") return;
    const std::string value = Value(place.group, place.rank, std::stoi(words[2]), words[1], std::stoul(words[3]));
    const auto values =
        (*rendezvous)
            ->Exchange(words[1], value,
                       std::chrono::steady_clock::now() + std::chrono::milliseconds(std::stoi(words[4])));
    talk.Say(values.ok() ? Digest(*values) : values.status().ToString());
  }
}

constexpr int kLong = 60'000;  // milliseconds
constexpr int kShort = 1'500;
constexpr size_t kBytes = 100;

// Where a group meets. Started for every test anew.
class Store {
 public:
  virtual ~Store() = default;
  virtual std::string AddressOf(const std::string& group) = 0;
};

class FolderStore final : public Store {
 public:
  std::string AddressOf(const std::string&) override { return "file://" + folder_; }

 private:
  const std::string folder_ = NewFolder("store");
};

class FirstRankStore final : public Store {
 public:
  // On a loopback address that no other process of this machine has heard of, instead of a port that might be taken.
  std::string AddressOf(const std::string& group) override {
    const uint64_t hash = XXH3_64bits_withSeed(group.data(), group.size(), seed_);
    return absl::StrCat("tcp://127.", 1 + hash % 250, ".", hash / 250 % 250, ".", 1 + hash / 62'500 % 250, ":27413");
  }

 private:
  const uint64_t seed_ = std::random_device()();
};

class CoordinatorStore final : public Store {
 public:
  CoordinatorStore() {
    EvenkeeldProcess::Options options;
    options.state_dir = NewFolder("state");
    auto process = EvenkeeldProcess::Start(options);
    EXPECT_TRUE(process.ok()) << process.status();
    if (process.ok()) process_ = *std::move(process);
  }
  std::string AddressOf(const std::string&) override { return process_->address(); }

 private:
  std::unique_ptr<EvenkeeldProcess> process_;
};

struct Kind {
  std::string name;
  std::unique_ptr<Store> (*make)();
};

class RendezvousTest : public ::testing::TestWithParam<Kind> {
 protected:
  void SetUp() override { store_ = GetParam().make(); }

  // A process that stands for a rank; the same rank twice is a process that started again.
  std::unique_ptr<ForkedProcess> Start(int rank, int size, const std::string& group = "world") {
    GroupPlace place;
    place.job = "run/7";  // as good a name as any
    place.group = group;
    place.rank = rank;
    place.size = size;
    const std::string address = store_->AddressOf(group);
    const uint64_t incarnation = ++lives_;
    auto process = std::make_unique<ForkedProcess>(
        [address, place, incarnation](Talk& talk) { RunRank(address, place, incarnation, talk); });
    EXPECT_EQ(process->Hear(), "OK");
    return process;
  }

  std::vector<std::unique_ptr<ForkedProcess>> StartAll(int size, const std::string& group = "world") {
    std::vector<std::unique_ptr<ForkedProcess>> ranks;
    for (int rank = 0; rank < size; ++rank) ranks.push_back(Start(rank, size, group));
    return ranks;
  }

  static void Exchange(ForkedProcess* rank, const std::string& key, int life, size_t bytes, int milliseconds) {
    rank->Say(absl::StrCat("exchange ", key, " ", life, " ", bytes, " ", milliseconds));
  }

  // The answer when the ranks of `group` are in these lives.
  static std::string AnswerOf(const std::vector<int>& lives, const std::string& key, size_t bytes,
                              const std::string& group = "world") {
    std::vector<std::string> values;
    for (int rank = 0; rank < static_cast<int>(lives.size()); ++rank) {
      values.push_back(Value(group, rank, lives[rank], key, bytes));
    }
    return Digest(values);
  }

  std::unique_ptr<Store> store_;
  uint64_t lives_ = 0;
};

TEST_P(RendezvousTest, RanksMeetUnderOneKeyAfterTheOther) {
  std::mt19937 random(7);
  for (int size = 1; size <= 8; ++size) {
    SCOPED_TRACE(absl::StrCat(size, " ranks"));
    const std::string group = absl::StrCat("group of ", size);
    const auto ranks = StartAll(size, group);
    for (const std::string key : {"join", "gloo", "again"}) {
      std::vector<int> order(size);
      std::iota(order.begin(), order.end(), 0);
      std::shuffle(order.begin(), order.end(), random);
      for (const int rank : order) Exchange(ranks[rank].get(), key, 1, kBytes, kLong);
      for (const auto& rank : ranks) EXPECT_EQ(rank->Hear(), AnswerOf(std::vector<int>(size, 1), key, kBytes, group));
    }
  }
}

TEST_P(RendezvousTest, EmptyAndLargestValues) {
  const auto ranks = StartAll(4);
  for (const size_t bytes : {size_t{0}, client::kMaxRendezvousValue}) {
    const std::string key = absl::StrCat("of-", bytes);
    for (const auto& rank : ranks) Exchange(rank.get(), key, 1, bytes, kLong);
    for (const auto& rank : ranks) EXPECT_EQ(rank->Hear(), AnswerOf({1, 1, 1, 1}, key, bytes));
  }
  Exchange(ranks[0].get(), "over", 1, client::kMaxRendezvousValue + 1, kLong);
  EXPECT_THAT(ranks[0]->Hear(), AllOf(StartsWith("INVALID_ARGUMENT: "), HasSubstr("1048577 bytes")));
}

TEST_P(RendezvousTest, ALostAnswerIsGivenAgain) {
  const auto ranks = StartAll(2);
  for (const auto& rank : ranks) Exchange(rank.get(), "join", 1, kBytes, kLong);
  for (const auto& rank : ranks) EXPECT_EQ(rank->Hear(), AnswerOf({1, 1}, "join", kBytes));
  Exchange(ranks[1].get(), "join", 1, kBytes, kLong);
  EXPECT_EQ(ranks[1]->Hear(), AnswerOf({1, 1}, "join", kBytes));
}

TEST_P(RendezvousTest, WhoDoesNotComeIsNamed) {
  const auto ranks = StartAll(6);
  Exchange(ranks[4].get(), "join", 1, kBytes, kShort);
  EXPECT_THAT(ranks[4]->Hear(), AllOf(StartsWith("DEADLINE_EXCEEDED: "), HasSubstr("rank 4 of group \"world\""),
                                      HasSubstr("ranks 0, 1, 2 and 2 more of 6 did not come")));
  // Two at once.
  Exchange(ranks[1].get(), "later", 1, kBytes, kLong);
  Exchange(ranks[2].get(), "later", 1, kBytes, kShort);
  EXPECT_THAT(ranks[2]->Hear(), AllOf(StartsWith("DEADLINE_EXCEEDED: "), HasSubstr("did not come")));
}

TEST_P(RendezvousTest, WhatAnEarlierLifeLeftIsNoAnswer) {
  for (const int restarted : {0, 1, 2}) {
    SCOPED_TRACE(absl::StrCat("rank ", restarted));
    const std::string key = absl::StrCat("join-", restarted);
    auto ranks = StartAll(3);
    for (const auto& rank : ranks) Exchange(rank.get(), key, 1, kBytes, kLong);
    for (const auto& rank : ranks) EXPECT_EQ(rank->Hear(), AnswerOf({1, 1, 1}, key, kBytes));
    ranks[restarted]->Signal(SIGKILL);
    ranks[restarted] = Start(restarted, 3);
    // Alone it finds nobody, whatever the others said to its earlier life.
    Exchange(ranks[restarted].get(), key, 2, kBytes, kShort);
    EXPECT_THAT(ranks[restarted]->Hear(), AllOf(StartsWith("DEADLINE_EXCEEDED: "), HasSubstr("of 3 did not come")));
    for (const auto& rank : ranks) Exchange(rank.get(), key, 3, kBytes, kLong);
    for (const auto& rank : ranks) EXPECT_EQ(rank->Hear(), AnswerOf({3, 3, 3}, key, kBytes));
    // One's store ends with its group.
    ranks.clear();
  }
}

TEST_P(RendezvousTest, AProcessThatStartsAgainWhileOthersWaitIsAwaited) {
  auto ranks = StartAll(3);
  Exchange(ranks[1].get(), "join", 1, kBytes, kLong);
  // Until the two have found each other.
  std::string missing;
  do {
    Exchange(ranks[2].get(), "join", 1, kBytes, kShort);
    missing = ranks[2]->Hear();
    ASSERT_THAT(missing, AllOf(StartsWith("DEADLINE_EXCEEDED: "), HasSubstr(" of 3 did not come")));
  } while (missing.find("rank 0 of 3 did not come") == std::string::npos);
  ranks[2]->Signal(SIGKILL);
  ranks[2] = Start(2, 3);
  Exchange(ranks[0].get(), "join", 1, kBytes, kShort);
  EXPECT_THAT(ranks[0]->Hear(), AllOf(StartsWith("DEADLINE_EXCEEDED: "), HasSubstr("rank 2 of 3 did not come")));
  Exchange(ranks[0].get(), "join", 1, kBytes, kLong);
  Exchange(ranks[2].get(), "join", 2, kBytes, kLong);
  for (const auto& rank : ranks) EXPECT_EQ(rank->Hear(), AnswerOf({1, 1, 2}, "join", kBytes));
}

TEST_P(RendezvousTest, GroupsDoNotWaitForEachOther) {
  // A world of four, in groups of two: the first is done before the second has begun, and the other way round.
  const auto first = StartAll(2, "ep 0 of 2");
  const auto second = StartAll(2, "ep 1 of 2");
  Exchange(second[0].get(), "join", 1, kBytes, kLong);
  for (const auto& rank : first) Exchange(rank.get(), "join", 1, kBytes, kLong);
  for (const auto& rank : first) EXPECT_EQ(rank->Hear(), AnswerOf({1, 1}, "join", kBytes, "ep 0 of 2"));
  Exchange(second[1].get(), "join", 1, kBytes, kLong);
  for (const auto& rank : second) EXPECT_EQ(rank->Hear(), AnswerOf({1, 1}, "join", kBytes, "ep 1 of 2"));
}

INSTANTIATE_TEST_SUITE_P(Stores, RendezvousTest,
                         ::testing::Values(Kind{"Folder", [] { return std::unique_ptr<Store>(new FolderStore); }},
                                           Kind{"FirstRank", [] { return std::unique_ptr<Store>(new FirstRankStore); }},
                                           Kind{"Coordinator",
                                                [] { return std::unique_ptr<Store>(new CoordinatorStore); }}),
                         [](const auto& info) { return info.param.name; });

// ---------------------------------------------------------------------------------------------------------------------
// What is one store's own

TEST(CoordinatorRendezvousTest, OutlivesTheCoordinator) {
  EvenkeeldProcess::Options options;
  options.state_dir = NewFolder("state");
  auto process = EvenkeeldProcess::Start(options);
  ASSERT_TRUE(process.ok()) << process.status();
  const std::string address = (*process)->address();
  GroupPlace place;
  place.job = "run";
  place.group = "world";
  place.size = 2;
  std::vector<std::unique_ptr<ForkedProcess>> ranks;
  for (place.rank = 0; place.rank < 2; ++place.rank) {
    ranks.push_back(std::make_unique<ForkedProcess>(
        [&address, place](Talk& talk) { RunRank(address, place, 1 + place.rank, talk); }));
    EXPECT_EQ(ranks.back()->Hear(), "OK");
  }
  ranks[0]->Say("exchange join 1 100 60000");
  // Killed, and stopped in good order.
  for (const int signal : {SIGKILL, SIGTERM}) {
    (*process)->Signal(signal);
    (*process)->Wait();
    options.listen = address;
    process = EvenkeeldProcess::Start(options);
    ASSERT_TRUE(process.ok()) << process.status();
  }
  ranks[1]->Say("exchange join 1 100 60000");
  const std::string answer = Digest({Value("world", 0, 1, "join", 100), Value("world", 1, 1, "join", 100)});
  for (const auto& rank : ranks) EXPECT_EQ(rank->Hear(), answer);
}

TEST(CoordinatorRendezvousTest, ACoordinatorThatIsNotThereIsSaid) {
  GroupPlace place;
  place.job = "run";
  place.group = "world";
  place.size = 2;
  ForkedProcess rank([place](Talk& talk) { RunRank("127.0.0.1:9", place, 1, talk); });
  EXPECT_EQ(rank.Hear(), "OK");
  rank.Say("exchange join 1 100 500");
  EXPECT_THAT(rank.Hear(),
              AllOf(StartsWith("DEADLINE_EXCEEDED: "), HasSubstr("127.0.0.1:9"), HasSubstr("UNAVAILABLE")));
}

TEST(FileRendezvousTest, AForeignFileIsNamed) {
  const std::string folder = NewFolder("store");
  GroupPlace place;
  place.job = "run";
  place.group = "world";
  place.size = 2;
  const auto start = [&](int rank) {
    place.rank = rank;
    auto process = std::make_unique<ForkedProcess>(
        [&folder, place](Talk& talk) { RunRank("file://" + folder, place, 1 + place.rank, talk); });
    EXPECT_EQ(process->Hear(), "OK");
    return process;
  };
  const auto zero = start(0);
  zero->Say("exchange join 1 100 50");
  const std::string missing = zero->Hear();
  EXPECT_THAT(missing, AllOf(StartsWith("DEADLINE_EXCEEDED: "), HasSubstr(folder)));
  // Whatever the folder of the exchange is called, rank 1's record in it is not one.
  const size_t begin = missing.find(folder);
  const std::string path = missing.substr(begin, missing.find(':', begin) - begin) + "/1";
  FILE* file = std::fopen(path.c_str(), "w");
  ASSERT_NE(file, nullptr) << path;
  std::fputs("a shopping list", file);
  std::fclose(file);
  zero->Say("exchange join 1 100 50");
  EXPECT_THAT(zero->Hear(), AllOf(StartsWith("DATA_LOSS: "), HasSubstr(path)));
}

TEST(FileRendezvousTest, AFolderThatIsGoneIsNamed) {
  const std::string folder = NewFolder("store");
  GroupPlace place;
  place.job = "run";
  place.group = "world";
  ForkedProcess rank([&folder, place](Talk& talk) { RunRank("file://" + folder, place, 1, talk); });
  EXPECT_EQ(rank.Hear(), "OK");
  ASSERT_EQ(rmdir(folder.c_str()), 0);
  rank.Say("exchange join 1 100 50");
  EXPECT_THAT(rank.Hear(), AllOf(StartsWith("UNAVAILABLE: "), HasSubstr(folder)));
}

}  // namespace
}  // namespace evenkeel::tests
