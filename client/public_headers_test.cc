// First, so that they find nothing that they do not include themselves.
#include "evenkeel/status.h"
#include "evenkeel/worker.h"

#if defined(ABSL_BASE_CONFIG_H_) || defined(GOOGLE_PROTOBUF_VERSION) || defined(GRPC_GRPC_H) || \
    defined(GRPC_SUPPORT_PORT_PLATFORM_H)
#error "a public header includes Abseil, protobuf or gRPC"
#endif

#include "absl/status/status.h"
#include "gtest/gtest.h"

namespace evenkeel {
namespace {

TEST(StatusTest, IsOkUntilToldOtherwise) {
  EXPECT_TRUE(Status().ok());
  EXPECT_EQ(Status().message(), "");
  const Status status(StatusCode::kNotFound, "nothing there");
  EXPECT_FALSE(status.ok());
  EXPECT_EQ(status.code(), StatusCode::kNotFound);
  EXPECT_EQ(status.message(), "nothing there");
}

TEST(StatusTest, CodesHaveTheNumbersOfGrpc) {
  EXPECT_EQ(static_cast<int>(StatusCode::kOk), static_cast<int>(absl::StatusCode::kOk));
  EXPECT_EQ(static_cast<int>(StatusCode::kInvalidArgument), static_cast<int>(absl::StatusCode::kInvalidArgument));
  EXPECT_EQ(static_cast<int>(StatusCode::kDeadlineExceeded), static_cast<int>(absl::StatusCode::kDeadlineExceeded));
  EXPECT_EQ(static_cast<int>(StatusCode::kAlreadyExists), static_cast<int>(absl::StatusCode::kAlreadyExists));
  EXPECT_EQ(static_cast<int>(StatusCode::kFailedPrecondition), static_cast<int>(absl::StatusCode::kFailedPrecondition));
  EXPECT_EQ(static_cast<int>(StatusCode::kDataLoss), static_cast<int>(absl::StatusCode::kDataLoss));
  EXPECT_EQ(static_cast<int>(StatusCode::kUnauthenticated), static_cast<int>(absl::StatusCode::kUnauthenticated));
}

TEST(ResultTest, HoldsAValueOrAnError) {
  Result<int> value = 7;
  ASSERT_TRUE(value.ok());
  EXPECT_EQ(*value, 7);
  const Result<int> error = Status(StatusCode::kInvalidArgument, "no number");
  EXPECT_FALSE(error.ok());
  EXPECT_EQ(error.status().message(), "no number");
}

}  // namespace
}  // namespace evenkeel
