#include "client/link/verdict.h"

#include "base/error_detail.h"
#include "gtest/gtest.h"

namespace evenkeel::client {
namespace {

Verdict JudgeOf(absl::StatusCode code, v1::ErrorDetail::Reason reason) {
  return Judge(ServiceError(code, reason, "said the coordinator"));
}

TEST(VerdictTest, WhatTheTransportSaysIsTriedAgain) {
  for (const absl::StatusCode code :
       {absl::StatusCode::kUnavailable, absl::StatusCode::kDeadlineExceeded, absl::StatusCode::kCancelled,
        absl::StatusCode::kUnknown, absl::StatusCode::kInternal, absl::StatusCode::kResourceExhausted}) {
    EXPECT_EQ(Judge(absl::Status(code, "no detail")), Verdict::kRetry) << absl::StatusCodeToString(code);
  }
}

TEST(VerdictTest, WhatNoRepetitionMendsIsFinal) {
  for (const absl::StatusCode code :
       {absl::StatusCode::kInvalidArgument, absl::StatusCode::kUnimplemented, absl::StatusCode::kPermissionDenied,
        absl::StatusCode::kUnauthenticated, absl::StatusCode::kDataLoss}) {
    EXPECT_EQ(Judge(absl::Status(code, "no detail")), Verdict::kFinal) << absl::StatusCodeToString(code);
  }
}

TEST(VerdictTest, AStrangerJoinsAgain) {
  EXPECT_EQ(JudgeOf(absl::StatusCode::kFailedPrecondition, v1::ErrorDetail::STALE_EPOCH), Verdict::kJoinAgain);
  EXPECT_EQ(JudgeOf(absl::StatusCode::kFailedPrecondition, v1::ErrorDetail::NOT_JOINED), Verdict::kJoinAgain);
  EXPECT_EQ(JudgeOf(absl::StatusCode::kNotFound, v1::ErrorDetail::JOB_UNKNOWN), Verdict::kJoinAgain);
}

TEST(VerdictTest, AStaleOrStoppingCoordinatorIsWaitedOut) {
  EXPECT_EQ(JudgeOf(absl::StatusCode::kFailedPrecondition, v1::ErrorDetail::EPOCH_AHEAD), Verdict::kRetry);
  EXPECT_EQ(JudgeOf(absl::StatusCode::kUnavailable, v1::ErrorDetail::SHUTTING_DOWN), Verdict::kRetry);
}

TEST(VerdictTest, AQuotaIsWaitedOutWhereWaitingHelps) {
  v1::ErrorDetail detail;
  detail.set_reason(v1::ErrorDetail::QUOTA_EXCEEDED);
  EXPECT_EQ(Judge(ServiceError(absl::StatusCode::kResourceExhausted, detail, "too many jobs")), Verdict::kFinal);
  detail.set_retry_after_ms(100);
  EXPECT_EQ(Judge(ServiceError(absl::StatusCode::kResourceExhausted, detail, "too fast")), Verdict::kRetry);
}

TEST(VerdictTest, EveryOtherReasonIsFinal) {
  EXPECT_EQ(JudgeOf(absl::StatusCode::kAlreadyExists, v1::ErrorDetail::REPLACED), Verdict::kFinal);
  EXPECT_EQ(JudgeOf(absl::StatusCode::kFailedPrecondition, v1::ErrorDetail::STEP_AHEAD), Verdict::kFinal);
  EXPECT_EQ(JudgeOf(absl::StatusCode::kFailedPrecondition, v1::ErrorDetail::LATE_STEP), Verdict::kFinal);
  EXPECT_EQ(JudgeOf(absl::StatusCode::kInvalidArgument, v1::ErrorDetail::PAYLOAD_DIFFERS), Verdict::kFinal);
  EXPECT_EQ(JudgeOf(absl::StatusCode::kResourceExhausted, v1::ErrorDetail::LIMIT_EXCEEDED), Verdict::kFinal);
  EXPECT_EQ(JudgeOf(absl::StatusCode::kInternal, v1::ErrorDetail::UNKNOWN_VERSION), Verdict::kFinal);
  EXPECT_EQ(JudgeOf(absl::StatusCode::kUnauthenticated, v1::ErrorDetail::NOT_KNOWN), Verdict::kFinal);
  EXPECT_EQ(JudgeOf(absl::StatusCode::kPermissionDenied, v1::ErrorDetail::NOT_ALLOWED), Verdict::kFinal);
}

}  // namespace
}  // namespace evenkeel::client
