#include "rendezvous/table.h"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>
#include <random>
#include <thread>

#include "base/error_detail.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::rendezvous {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Reason = v1::ErrorDetail;

v1::RendezvousRequest RequestOf(int rank, int size, const std::string& value, const std::string& key = "join") {
  v1::RendezvousRequest request;
  request.set_job("run");
  request.set_group("world");
  request.set_rank(rank);
  request.set_size(size);
  request.set_key(key);
  request.set_value(value);
  return request;
}

// A call, and its answer once there is one; a second answer fails the test.
struct Asked {
  Table::CallId call = 0;
  std::optional<absl::StatusOr<Answer>> answer;

  std::vector<std::string> values() const {
    if (!answer.has_value() || !answer->ok()) return {"no answer"};
    return {(**answer)->values().begin(), (**answer)->values().end()};
  }
  absl::Status status() const { return answer.has_value() ? answer->status() : absl::UnknownError("no answer yet"); }
};

std::shared_ptr<Asked> Ask(Table* table, const v1::RendezvousRequest& request) {
  auto asked = std::make_shared<Asked>();
  asked->call = table->Call(request, [asked](absl::StatusOr<Answer> answer) {
    EXPECT_FALSE(asked->answer.has_value()) << "answered twice";
    asked->answer = std::move(answer);
  });
  return asked;
}

TEST(TableTest, AllAreAnsweredInRankOrderWhenTheLastHasCalled) {
  Table table;
  const auto two = Ask(&table, RequestOf(2, 3, "c"));
  const auto zero = Ask(&table, RequestOf(0, 3, "a"));
  EXPECT_FALSE(two->answer.has_value());
  EXPECT_FALSE(zero->answer.has_value());
  const auto one = Ask(&table, RequestOf(1, 3, ""));
  for (const auto& asked : {zero, one, two}) EXPECT_THAT(asked->values(), ElementsAre("a", "", "c"));
}

TEST(TableTest, ARankAloneIsAnsweredAtOnce) {
  Table table;
  EXPECT_THAT(Ask(&table, RequestOf(0, 1, "a"))->values(), ElementsAre("a"));
}

TEST(TableTest, JobsGroupsAndKeysAreApart) {
  Table table;
  std::vector<v1::RendezvousRequest> others(5, RequestOf(1, 2, "b"));
  others[0].set_job("run2");
  others[1].set_group("world2");
  others[2].set_key("join2");
  // Joined without a seam these would be the same name.
  others[3].set_job("runw");
  others[3].set_group("orld");
  others[4].set_group("worldj");
  others[4].set_key("oin");
  const auto zero = Ask(&table, RequestOf(0, 2, "a"));
  for (const auto& other : others) EXPECT_FALSE(Ask(&table, other)->answer.has_value()) << other.ShortDebugString();
  EXPECT_FALSE(zero->answer.has_value());
  Ask(&table, RequestOf(1, 2, "b"));
  EXPECT_THAT(zero->values(), ElementsAre("a", "b"));
}

TEST(TableTest, ALostAnswerIsGivenAgain) {
  Table table;
  Ask(&table, RequestOf(0, 2, "a"));
  Ask(&table, RequestOf(1, 2, "b"));
  EXPECT_THAT(Ask(&table, RequestOf(0, 2, "a"))->values(), ElementsAre("a", "b"));
  EXPECT_THAT(Ask(&table, RequestOf(1, 2, "b"))->values(), ElementsAre("a", "b"));
  EXPECT_THAT(Ask(&table, RequestOf(0, 2, "a"))->values(), ElementsAre("a", "b"));
}

TEST(TableTest, AProcessThatStartedAgainBeginsAnewForAll) {
  Table table;
  Ask(&table, RequestOf(0, 2, "a"));
  Ask(&table, RequestOf(1, 2, "b"));
  const auto restarted = Ask(&table, RequestOf(1, 2, "b2"));
  EXPECT_FALSE(restarted->answer.has_value());
  // Its own value of then is none of a complete exchange any more.
  const auto zero = Ask(&table, RequestOf(0, 2, "a"));
  EXPECT_THAT(zero->values(), ElementsAre("a", "b2"));
  EXPECT_THAT(restarted->values(), ElementsAre("a", "b2"));
}

TEST(TableTest, AGroupMayComeBackWithAnotherSize) {
  Table table;
  Ask(&table, RequestOf(0, 2, "a"));
  Ask(&table, RequestOf(1, 2, "b"));
  EXPECT_THAT(Ask(&table, RequestOf(0, 1, "a"))->values(), ElementsAre("a"));
}

TEST(TableTest, ANewerCallOfARankReplacesItsOlderOne) {
  Table table;
  const auto older = Ask(&table, RequestOf(0, 2, "a"));
  const auto newer = Ask(&table, RequestOf(0, 2, "a2"));
  EXPECT_EQ(older->status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(ReasonOf(older->status()), Reason::REPLACED);
  EXPECT_THAT(std::string(older->status().message()), HasSubstr("rank 0"));
  EXPECT_THAT(Ask(&table, RequestOf(1, 2, "b"))->values(), ElementsAre("a2", "b"));
  EXPECT_THAT(newer->values(), ElementsAre("a2", "b"));
}

TEST(TableTest, ACancelledCallTakesItsValueWithIt) {
  Table table;
  const auto gone = Ask(&table, RequestOf(0, 2, "a"));
  table.Cancel(gone->call);
  EXPECT_EQ(gone->status().code(), absl::StatusCode::kCancelled);
  const auto one = Ask(&table, RequestOf(1, 2, "b"));
  EXPECT_FALSE(one->answer.has_value());
  // What is over is over.
  table.Cancel(gone->call);
  table.Expire(gone->call);
  Ask(&table, RequestOf(0, 2, "a2"));
  EXPECT_THAT(one->values(), ElementsAre("a2", "b"));
  table.Cancel(one->call);
  EXPECT_THAT(one->values(), ElementsAre("a2", "b"));
}

TEST(TableTest, ACallThatExpiresHearsWhoIsMissing) {
  Table table;
  Ask(&table, RequestOf(1, 6, "b"));
  const auto expired = Ask(&table, RequestOf(4, 6, "e"));
  table.Expire(expired->call);
  EXPECT_EQ(expired->status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(ReasonOf(expired->status()), Reason::RANKS_MISSING);
  EXPECT_EQ(expired->status().message(), "ranks 0, 2, 3 and 1 more of 6 did not come");
}

TEST(TableTest, StopAnswersWhoeverWaitsAndWhoeverComes) {
  Table table;
  Ask(&table, RequestOf(0, 1, "done", "other"));
  const auto waits = Ask(&table, RequestOf(0, 2, "a"));
  table.Stop();
  for (const auto& asked : {waits, Ask(&table, RequestOf(1, 2, "b")), Ask(&table, RequestOf(0, 1, "done", "other"))}) {
    EXPECT_EQ(asked->status().code(), absl::StatusCode::kUnavailable);
    EXPECT_EQ(ReasonOf(asked->status()), Reason::SHUTTING_DOWN);
  }
}

TEST(TableTest, WrongFieldsAreNamed) {
  Table table;
  const auto refusal = [&table](const v1::RendezvousRequest& request) {
    const absl::Status status = Ask(&table, request)->status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    EXPECT_EQ(ReasonOf(status), Reason::INVALID_FIELD);
    return std::string(status.message());
  };
  EXPECT_THAT(refusal(RequestOf(0, 0, "a")), HasSubstr("size 0"));
  EXPECT_THAT(refusal(RequestOf(0, -1, "a")), HasSubstr("size -1"));
  EXPECT_THAT(refusal(RequestOf(0, 65'537, "a")), HasSubstr("size 65537"));
  EXPECT_THAT(refusal(RequestOf(2, 2, "a")), HasSubstr("rank 2"));
  EXPECT_THAT(refusal(RequestOf(-1, 2, "a")), HasSubstr("rank -1"));
  EXPECT_THAT(refusal(RequestOf(0, 2, std::string((1 << 20) + 1, 'x'))), HasSubstr("value has 1048577 bytes"));
  for (const char* field : {"job", "group", "key"}) {
    for (const size_t length : {0, 257}) {
      v1::RendezvousRequest request = RequestOf(0, 2, "a");
      const auto* descriptor = request.GetDescriptor()->FindFieldByName(field);
      request.GetReflection()->SetString(&request, descriptor, std::string(length, 'x'));
      EXPECT_THAT(refusal(request), HasSubstr(std::string(field) + " has " + std::to_string(length)));
    }
  }
  Ask(&table, RequestOf(0, 2, "a"));
  EXPECT_THAT(refusal(RequestOf(1, 3, "b")), HasSubstr("size 3 must be the 2"));
  EXPECT_THAT(Ask(&table, RequestOf(1, 2, "b"))->values(), ElementsAre("a", "b"));
}

TEST(TableTest, LargestFieldsAreAccepted) {
  Table table;
  v1::RendezvousRequest request = RequestOf(0, 1, std::string(1 << 20, 'x'), std::string(256, 'k'));
  request.set_job(std::string(256, 'j'));
  request.set_group(std::string(256, 'g'));
  EXPECT_EQ(Ask(&table, request)->values().at(0).size(), 1 << 20);
  EXPECT_FALSE(Ask(&table, RequestOf(65'535, 65'536, "last"))->answer.has_value());
}

TEST(TableTest, OneExchangeIsBounded) {
  Limits limits;
  limits.exchange = 10'000;
  Table table(limits);
  Ask(&table, RequestOf(2, 3, "small"));
  const auto zero = Ask(&table, RequestOf(0, 3, std::string(8'000, 'x')));
  const auto one = Ask(&table, RequestOf(1, 3, std::string(8'000, 'x')));
  EXPECT_FALSE(zero->answer.has_value());
  EXPECT_EQ(one->status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ReasonOf(one->status()), Reason::LIMIT_EXCEEDED);
  EXPECT_THAT(std::string(one->status().message()), HasSubstr("10000 bytes"));
  // A call that is repeated is not counted twice.
  EXPECT_FALSE(Ask(&table, RequestOf(0, 3, std::string(8'000, 'x')))->answer.has_value());
}

TEST(TableTest, AllThatWaitIsBounded) {
  Limits limits;
  limits.waiting = 10'000;
  Table table(limits);
  const auto first = Ask(&table, RequestOf(0, 2, std::string(8'000, 'x'), "first"));
  EXPECT_EQ(ReasonOf(Ask(&table, RequestOf(0, 2, std::string(8'000, 'x'), "second"))->status()),
            Reason::LIMIT_EXCEEDED);
  table.Cancel(first->call);
  EXPECT_FALSE(Ask(&table, RequestOf(0, 2, std::string(8'000, 'x'), "second"))->answer.has_value());
}

TEST(TableTest, WhatIsForgottenBeginsAnew) {
  Limits limits;
  limits.complete = 10'000;
  Table table(limits);
  for (const char* key : {"first", "second"}) {
    Ask(&table, RequestOf(0, 2, std::string(4'000, 'a'), key));
    Ask(&table, RequestOf(1, 2, std::string(4'000, 'b'), key));
  }
  EXPECT_FALSE(Ask(&table, RequestOf(0, 2, std::string(4'000, 'a'), "first"))->answer.has_value());
  EXPECT_TRUE(Ask(&table, RequestOf(0, 2, std::string(4'000, 'a'), "second"))->answer.has_value());
}

// Random calls, cancellations, restarts and repeats, against rules that are simple to say: an answer is complete, holds
// the caller's own value, and holds for every rank a value that it gave and that waited at the time.
TEST(TableTest, RandomHistoriesKeepThePromise) {
  for (uint32_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    Table table;
    const int size = 1 + random() % 4;
    int lives = 0;
    struct Call {
      int rank;
      std::string value;
      std::shared_ptr<Asked> asked;
    };
    std::vector<Call> calls;
    std::vector<std::string> current(size);
    std::vector<std::vector<std::string>> complete;
    for (int rank = 0; rank < size; ++rank) current[rank] = "life " + std::to_string(lives++);
    for (int event = 0; event < 60; ++event) {
      const int rank = random() % size;
      if (random() % 8 == 0) current[rank] = "life " + std::to_string(lives++);
      if (random() % 4 == 0 && !calls.empty()) {
        table.Cancel(calls[random() % calls.size()].asked->call);
        continue;
      }
      // Who waits now, by rank.
      std::map<int, std::string> waiting;
      for (const Call& call : calls) {
        if (!call.asked->answer.has_value()) {
          EXPECT_TRUE(waiting.emplace(call.rank, call.value).second) << "two calls of rank " << call.rank << " wait";
        }
      }
      const auto asked = Ask(&table, RequestOf(rank, size, current[rank]));
      calls.push_back({rank, current[rank], asked});
      waiting[rank] = current[rank];
      if (!asked->answer.has_value()) {
        EXPECT_LT(waiting.size(), size);
        continue;
      }
      const std::vector<std::string> values = asked->values();
      ASSERT_EQ(values.size(), size);
      if (!complete.empty() && values == complete.back() && waiting.size() < size) continue;  // given again
      for (int peer = 0; peer < size; ++peer) EXPECT_EQ(values[peer], waiting[peer]);
      complete.push_back(values);
      // All who waited have this answer.
      for (const Call& call : calls) EXPECT_TRUE(call.asked->answer.has_value());
    }
  }
}

TEST(TableTest, ThreadsMeet) {
  constexpr int kRanks = 4;
  constexpr int kKeys = 200;
  Table table;
  std::vector<std::vector<std::shared_ptr<Asked>>> asked(kRanks);
  std::vector<std::thread> ranks;
  for (int rank = 0; rank < kRanks; ++rank) {
    ranks.emplace_back([&table, &asked, rank] {
      for (int key = 0; key < kKeys; ++key) {
        const std::string value = std::to_string(rank) + "/" + std::to_string(key);
        const auto request = RequestOf(rank, kRanks, value, std::to_string(key));
        if (key % 3 == rank % 3) table.Cancel(Ask(&table, request)->call);
        asked[rank].push_back(Ask(&table, request));
      }
    });
  }
  for (std::thread& rank : ranks) rank.join();
  for (int rank = 0; rank < kRanks; ++rank) {
    for (int key = 0; key < kKeys; ++key) {
      const std::string suffix = "/" + std::to_string(key);
      EXPECT_THAT(asked[rank][key]->values(), ElementsAre("0" + suffix, "1" + suffix, "2" + suffix, "3" + suffix));
    }
  }
}

}  // namespace
}  // namespace evenkeel::rendezvous
