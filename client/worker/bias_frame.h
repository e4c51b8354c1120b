#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "client/worker/layer_table.h"
#include "evenkeel/options.h"
#include "evenkeel/v1/bias_coordinator.pb.h"

namespace evenkeel::client {

// What the leader of a group broadcasts on its device before each step, as plain memory: a header, (largest count -
// mean) / mean of each row, and the bias of all experts, both in protocol order. All ranks are of one machine type.
struct BiasFrame {
  enum class Kind : uint64_t { kNone, kVersion, kFailed };

  struct Header {
    Kind kind;
    uint64_t routes;  // the step that it is for, or Workspace::kLeaving
    uint64_t epoch;
    uint64_t step;
    uint64_t ok;
    uint64_t state_hash;
    uint64_t tokens;
    uint64_t violations;
    uint64_t halted;
    uint64_t contributors;
    int64_t code;  // of a failure, with the beginning of its sentence
    char message[448];
  };

  static size_t ViolationsAt() { return sizeof(Header); }
  static size_t BiasAt(const LayerTable& layers) { return sizeof(Header) + sizeof(float) * layers.total_rows(); }
  static size_t Bytes(const LayerTable& layers) { return BiasAt(layers) + sizeof(float) * layers.total_experts(); }
};

// Whether the job was halted at the step of that version. One that was not taken does not say.
bool IsHalted(const v1::CommittedVersion& version);

// The version that routes step `routes`, into a frame of Bytes. Its bias is of all experts, or empty for 0.
void WriteVersion(const v1::CommittedVersion& version, uint64_t routes, const LayerTable& layers, char* frame);
// Leaves the bias in it as it is. Of a very long sentence the end is left out.
void WriteFailure(const absl::Status& why, uint64_t routes, char* frame);
// For another step, with what it holds.
void Readdress(uint64_t routes, char* frame);

// What a frame's beginning, up to the bias, tells the step that it is read for: OK, with the version's part of
// `report`; or the failure, as the leader's. FAILED_PRECONDITION where it is for another step, DATA_LOSS where it is no
// frame; `report` is untouched then.
absl::Status ReadFrame(const char* frame, uint64_t routes, const LayerTable& layers, StepReport* report);
// Whether it tells that step of a failure.
bool IsFailure(const char* frame, uint64_t routes);

}  // namespace evenkeel::client
