#include "base/error_detail.h"

#include "base/grpc_status.h"
#include "gtest/gtest.h"

namespace evenkeel {
namespace {

TEST(ErrorDetailTest, TravelsThroughGrpcUnchanged) {
  v1::ErrorDetail detail;
  detail.set_reason(v1::ErrorDetail::FUTURE_STEP);
  detail.set_open_step(81);
  detail.set_epoch(3);
  const absl::Status sent =
      ServiceError(absl::StatusCode::kFailedPrecondition, detail, "step 90 is not open; step 81 is");

  const absl::Status received = FromGrpcStatus(ToGrpcStatus(sent));

  EXPECT_EQ(received.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(received.message(), "step 90 is not open; step 81 is");
  EXPECT_EQ(DetailOf(received).SerializeAsString(), detail.SerializeAsString());
}

TEST(ErrorDetailTest, LongMessagesAreCutSoThatHeadersHoldThem) {
  const absl::Status sent = ServiceError(absl::StatusCode::kInvalidArgument, v1::ErrorDetail::INVALID_FIELD,
                                         "job.name: " + std::string(100'000, 'x'));
  const grpc::Status carried = ToGrpcStatus(sent);
  EXPECT_LT(carried.error_message().size() + carried.error_details().size(), 4096u);
  const absl::Status received = FromGrpcStatus(carried);
  EXPECT_EQ(received.message().substr(0, 12), "job.name: xx");
  EXPECT_EQ(ReasonOf(received), v1::ErrorDetail::INVALID_FIELD);
}

TEST(ErrorDetailTest, StatusOfAnotherOriginHasNoReason) {
  const absl::Status received =
      FromGrpcStatus(grpc::Status(grpc::StatusCode::UNAVAILABLE, "connection refused", "not a status at all"));
  EXPECT_EQ(received.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ReasonOf(received), v1::ErrorDetail::REASON_UNSPECIFIED);
  EXPECT_TRUE(FromGrpcStatus(grpc::Status::OK).ok());
  EXPECT_TRUE(ToGrpcStatus(absl::OkStatus()).ok());
}

}  // namespace
}  // namespace evenkeel
