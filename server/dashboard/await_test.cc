#include "server/dashboard/await.h"

#include <string>
#include <thread>

#include "gtest/gtest.h"

namespace evenkeel::dashboard {
namespace {

using Done = std::function<void(absl::StatusOr<std::string>)>;

TEST(AwaitTest, ReturnsTheAnswerOfAnotherThread) {
  std::thread thread;
  const absl::StatusOr<std::string> answer =
      Await<std::string>(std::chrono::minutes(1), [&](Done done) { thread = std::thread([done] { done("yes"); }); });
  thread.join();
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(*answer, "yes");
}

TEST(AwaitTest, ReturnsAnErrorAsItIs) {
  const absl::Status status =
      Await<std::string>(std::chrono::minutes(1), [](Done done) { done(absl::NotFoundError("nobody")); }).status();
  EXPECT_EQ(status, absl::NotFoundError("nobody"));
}

TEST(AwaitTest, AnAnswerThatComesTooLateIsForNobody) {
  Done later;
  EXPECT_EQ(Await<std::string>(std::chrono::milliseconds(1), [&](Done done) { later = done; }).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  later("too late");
}

}  // namespace
}  // namespace evenkeel::dashboard
