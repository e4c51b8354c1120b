#pragma once

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "base/error_detail.h"

namespace evenkeel::dashboard {

// Starts a call that answers later, on any thread, and waits for the answer: DEADLINE_EXCEEDED where it has not come in
// `longest`. It may come after that, to nobody.
template <typename T>
absl::StatusOr<T> Await(std::chrono::milliseconds longest,
                        const std::function<void(std::function<void(absl::StatusOr<T>)>)>& start) {
  const auto promise = std::make_shared<std::promise<absl::StatusOr<T>>>();
  std::future<absl::StatusOr<T>> answer = promise->get_future();
  start([promise](absl::StatusOr<T> value) { promise->set_value(std::move(value)); });
  if (answer.wait_for(longest) == std::future_status::ready) return answer.get();
  return ServiceError(absl::StatusCode::kDeadlineExceeded, v1::ErrorDetail::REASON_UNSPECIFIED,
                      "the coordinator is too busy to answer; ask again later");
}

}  // namespace evenkeel::dashboard
