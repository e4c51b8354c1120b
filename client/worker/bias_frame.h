#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "client/worker/layer_table.h"
#include "evenkeel/options.h"
#include "evenkeel/v1/bias_coordinator.pb.h"

namespace evenkeel::client {

// What the leader of a group broadcasts on its device before each step, as plain memory: a header, (largest count -
// mean) / mean of each layer, and the bias of all experts, both in protocol order. All ranks are of one machine type.
struct BiasFrame {
  enum class Kind : uint64_t { kNone, kVersion, kFailed };

  struct Header {
    Kind kind;
    uint64_t epoch;
    uint64_t step;
    uint64_t ok;
    uint64_t state_hash;
    uint64_t tokens;
    int64_t code;  // of a failure, with the beginning of its sentence
    char message[200];
  };

  static size_t ViolationsAt() { return sizeof(Header); }
  static size_t BiasAt(const LayerTable& layers) { return sizeof(Header) + sizeof(float) * layers.size(); }
  static size_t Bytes(const LayerTable& layers) { return BiasAt(layers) + sizeof(float) * layers.total_experts(); }
};

// Into a frame of Bytes.
void WriteVersion(const v1::CommittedVersion& version, const LayerTable& layers, char* frame);
// Leaves the bias in it as it is.
void WriteFailure(const absl::Status& why, char* frame);

// What a frame's beginning, up to the bias, tells: writes into `report`, or gives the failure, as the leader's.
absl::Status ReadFrame(const char* frame, const LayerTable& layers, StepReport* report);

}  // namespace evenkeel::client
