#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/source/bias_source.h"
#include "client/worker/layer_table.h"
#include "client/worker/workspace.h"
#include "evenkeel/options.h"
#include "evenkeel/v1/job.pb.h"
#include "tests/gpu_check/worker/memory.h"
#include "tests/gpu_check/worker/worker_machine.h"

namespace evenkeel::gpu_check {

// Four layers: two that the worker routes, of float32 with groups and of bfloat16 in two streams, one whose ids it
// counts, and one whose sums it takes, both with what was dispatched. Their names are in another order than they are.
std::vector<LayerOptions> TrainingLayers();

// A job of one contributor with those layers, and the preset evenkeel.
v1::JobSpec TrainingJob(const client::LayerTable& layers, int lag);

// What a worker is made of, without what only a coordinator needs: the calls of client/worker/worker.cc, in its order.
struct Trainee {
  client::Workspace* workspace;
  client::BiasSource* source;
  Memory* memory;  // that the workspace's addresses are of
  // Null: a step's calls are enqueued one by one. Else they are captured in the first step of an even and of an odd
  // number, and replayed from then on.
  std::function<absl::StatusOr<WorkerMachine::Replay>(const std::function<absl::Status()>&)> capture;
};

struct Trained {
  // The bias of all layers and all that was routed, forwards and backwards, in every step; and the last bias.
  std::vector<char> notes;
  size_t notes_of_a_step = 0;
  v1::CommittedVersion version;  // the last, as the source told it
};

// Steps 1 to `steps` on random logits, ids, sums and masks, of which some optimizer steps are not taken; and Leave. Two
// runs with the same steps do the same.
absl::StatusOr<Trained> Train(const client::LayerTable& layers, uint64_t steps, const Trainee& trainee);

}  // namespace evenkeel::gpu_check
