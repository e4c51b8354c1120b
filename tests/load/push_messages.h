#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "evenkeel/v1/bias_coordinator.pb.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/slice.h"
#include "tests/load/load_case.h"

namespace evenkeel::load {

// What the workers of a case say, as bytes that cost next to nothing to make: a push is a few words of its own and one
// of a few arrays of counts, prepared from the seeded generator and shared by all. Immutable, thread-safe.
class PushMessages {
 public:
  // Valid tokens of one worker's step at each layer.
  static constexpr int kTokens = 64;
  // Prime, so that the usual numbers of workers, which are no multiples of it, make other sums at other steps.
  static constexpr int kArrays = 17;

  explicit PushMessages(const LoadCase& load_case, uint64_t seed = 1);

  v1::JoinRequest Join(const std::string& job, int contributor) const;
  // A PushRequest, serialised: of an honest worker that routed with the version of the step before.
  grpc::ByteBuffer Push(const std::string& job, int contributor, uint64_t epoch, uint64_t step) const;

 private:
  const LoadCase load_case_;
  // Serialised PushRequests with valid_tokens and routed only; a message and another, one after the other, are both.
  std::vector<grpc::Slice> counts_;
};

}  // namespace evenkeel::load
