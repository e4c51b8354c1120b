#include "client/capi/last_error.h"

#include <stdexcept>
#include <string>
#include <thread>

#include "gtest/gtest.h"

namespace evenkeel::client {
namespace {

TEST(LastErrorTest, IsThatOfTheLastCall) {
  EXPECT_EQ(Report(absl::NotFoundError("no such layer")), 5);
  EXPECT_STREQ(LastError(), "no such layer");
  EXPECT_EQ(Report(absl::OkStatus()), 0);
  EXPECT_STREQ(LastError(), "");
}

TEST(LastErrorTest, IsTheThreadsOwn) {
  Report(absl::NotFoundError("here"));
  std::thread([] {
    EXPECT_STREQ(LastError(), "");
    Report(absl::InternalError("there"));
  }).join();
  EXPECT_STREQ(LastError(), "here");
}

TEST(LastErrorTest, LeavesOutTheEndOfALongMessage) {
  Report(absl::InternalError(std::string(4095, 'a')));
  EXPECT_EQ(std::string(LastError()), std::string(4095, 'a'));
  Report(absl::InternalError(std::string(4095, 'b') + "the end"));
  EXPECT_EQ(std::string(LastError()), std::string(4095, 'b'));
}

TEST(LastErrorTest, HasNoZeroByte) {
  Report(absl::InternalError(absl::string_view("before\0after", 12)));
  EXPECT_STREQ(LastError(), "before after");
}

TEST(GuardedTest, AnExceptionIsAStatus) {
  EXPECT_EQ(Guarded([] { return absl::DataLossError("lost"); }), 15);
  EXPECT_STREQ(LastError(), "lost");
  EXPECT_EQ(Guarded([]() -> absl::Status { throw std::bad_alloc(); }), 8);
  EXPECT_STREQ(LastError(), "out of memory");
  EXPECT_EQ(Guarded([]() -> absl::Status { throw std::runtime_error("thrown"); }), 13);
  EXPECT_STREQ(LastError(), "thrown");
  EXPECT_EQ(Guarded([]() -> absl::Status { throw 7; }), 13);
}

}  // namespace
}  // namespace evenkeel::client
