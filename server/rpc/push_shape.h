#pragma once

#include <cstddef>
#include <map>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "evenkeel/v1/bias_coordinator.pb.h"
#include "grpcpp/support/byte_buffer.h"

namespace evenkeel::rpc {

// The job that the bytes of a PushRequest name, found without reading what else they hold. INVALID_ARGUMENT for bytes
// that are no PushRequest.
absl::StatusOr<std::string> JobOf(const grpc::ByteBuffer& push);

// Bytes of the largest push that a contributor which stands for `ranks` ranks can have a reason to send.
size_t MaxPushBytes(const v1::JobSpec& job, int ranks);

// How large a push of each job may be, so that one that is larger costs no more than its way here. Thread-safe.
class PushShapes {
 public:
  // A contributor has joined.
  void Learn(const v1::JobSpec& job, int ranks);

  // INVALID_ARGUMENT (SHAPE_MISMATCH) for a push that is larger than any of its job. Of a job that nobody has joined
  // since the start nothing is known here, and the server's limit holds.
  absl::Status Check(const std::string& job, size_t bytes);

 private:
  Mutex mutex_;
  std::map<std::string, size_t> most_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace evenkeel::rpc
