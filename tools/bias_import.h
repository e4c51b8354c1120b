#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "evenkeel/v1/snapshot.pb.h"
#include "job/job_plan.h"
#include "tools/bias_tensors.h"
#include "tools/safetensors/safetensors_set.h"

namespace evenkeel::tools {

// One layer and stream that was imported.
struct ImportedLayer {
  std::string layer;
  uint32_t stream = 0;
  std::string tensor;
  std::string ema_tensor;  // empty: the EMA begins at 0
  std::string type;        // of the tensor: "F32"
  double mean = 0;         // that was taken off
  float least = 0;         // of the bias, after that
  float largest = 0;
};

struct BiasImport {
  std::vector<ImportedLayer> layers;
  std::vector<std::string> warnings;  // sentences that name the layer or the tensor
};

// Sets the bias of every layer of `state`, a state of `plan` that no step has touched, to that of its tensor, recentred
// by kernels/balance/gauge.h; and, where the rule is FREQUENCY and the naming has one, its EMA. `allow_half` takes
// tensors of F16 and BF16, whose values other software has rounded.
//
// Errors are those of TensorsToRead, and INVALID_ARGUMENT, naming the tensor, the place and the value, for a dtype that
// is no float, or that is not allowed; for values that are not finite, or not as float32; and for an EMA that is not of
// shares. `state` is then no longer of use.
absl::StatusOr<BiasImport> ImportBiases(const job::JobPlan& plan, const NamingOptions& naming,
                                        const SafetensorsSet& tensors, bool allow_half, v1::JobState* state);

}  // namespace evenkeel::tools
