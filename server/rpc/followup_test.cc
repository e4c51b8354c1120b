#include "server/rpc/followup.h"

#include <atomic>
#include <future>
#include <memory>

#include "gtest/gtest.h"

namespace evenkeel::rpc {
namespace {

TEST(FollowupTest, IsDoneWhenItIsCalledAndOnlyOnce) {
  std::atomic<int> done{0};
  Followup followup([&] { ++done; });
  followup.Run();
  followup.Run();
  EXPECT_EQ(done, 1);
}

TEST(FollowupTest, IsDoneByItselfWhenNobodyCalls) {
  std::promise<void> done;
  Followup followup([&] { done.set_value(); });
  done.get_future().wait();
  followup.Run();  // would set the value again
}

// A call that ends before its followup is due takes it along.
TEST(FollowupTest, IsNotDoneOnceItIsDestroyed) {
  auto done = std::make_shared<std::promise<void>>();
  std::future<void> future = done->get_future();
  {
    const Followup followup([done = std::move(done)] { done->set_value(); });
  }
  EXPECT_THROW(future.get(), std::future_error);  // the promise is broken
}

}  // namespace
}  // namespace evenkeel::rpc
