#include <cstdint>
#include <filesystem>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "config/route_spec.h"
#include "config/text.h"
#include "evenkeel/v1/route_spec.pb.h"
#include "kernels/routing/cpu/cpu_backward.h"
#include "kernels/routing/reference/reference_backward.h"
#include "tools/npy/npy.h"
#include "tools/npy/npy_check.h"

// The backward pass of routing on files, for the checks of this folder:
//
//   backward_runner reference|cpu FOLDER
//
// FOLDER has spec.json (a RouteSpec), logits.npy [tokens, experts] and ids.npy (int32 [tokens, top_k]), and one or both
// of d_weights.npy [tokens, top_k] and d_probabilities.npy (float32 [tokens, experts]). logits are float32 or float16,
// d_weights float32 or the logits' type. d_logits.npy (float32 [tokens, experts]) is written there.
namespace evenkeel {
namespace {

using tools::kAnySize;
using tools::NpyArray;
using tools::NpyType;

absl::StatusOr<routing::RouteSpec> ReadSpec(const std::string& path) {
  v1::RouteSpec message;
  EVENKEEL_RETURN_IF_ERROR(config::ParseFile(path, &message));
  return config::RouteSpecFromProto(message);
}

absl::StatusOr<NpyArray> Read(const std::string& path, const std::vector<NpyType>& types, int64_t tokens,
                              int64_t columns) {
  EVENKEEL_ASSIGN_OR_RETURN(NpyArray array, tools::ReadNpy(path));
  EVENKEEL_RETURN_IF_ERROR(tools::CheckType(path, array, types));
  EVENKEEL_RETURN_IF_ERROR(tools::CheckShape(path, array, {{"tokens", tokens}, {"columns", columns}}));
  return array;
}

absl::StatusOr<std::optional<NpyArray>> ReadOptional(const std::string& path, const std::vector<NpyType>& types,
                                                     int64_t tokens, int64_t columns) {
  if (!std::filesystem::exists(path)) return std::nullopt;
  EVENKEEL_ASSIGN_OR_RETURN(NpyArray array, Read(path, types, tokens, columns));
  return array;
}

routing::DType DTypeOf(const NpyArray& array) {
  return array.type() == NpyType::kFloat16 ? routing::DType::kF16 : routing::DType::kF32;
}

absl::Status Run(const std::string& device, const std::string& folder) {
  if (device != "reference" && device != "cpu") {
    return absl::InvalidArgumentError(absl::StrCat("\"", device, "\" is none of reference, cpu"));
  }
  const std::vector<NpyType> floats = {NpyType::kFloat32, NpyType::kFloat16};
  EVENKEEL_ASSIGN_OR_RETURN(const routing::RouteSpec spec, ReadSpec(folder + "/spec.json"));
  EVENKEEL_ASSIGN_OR_RETURN(const NpyArray logits, Read(folder + "/logits.npy", floats, kAnySize, spec.num_experts));
  const int64_t tokens = logits.shape()[0];
  EVENKEEL_ASSIGN_OR_RETURN(const NpyArray ids, Read(folder + "/ids.npy", {NpyType::kInt32}, tokens, spec.top_k));
  EVENKEEL_ASSIGN_OR_RETURN(const std::optional<NpyArray> d_weights,
                            ReadOptional(folder + "/d_weights.npy", floats, tokens, spec.top_k));
  EVENKEEL_ASSIGN_OR_RETURN(
      const std::optional<NpyArray> d_probabilities,
      ReadOptional(folder + "/d_probabilities.npy", {NpyType::kFloat32}, tokens, spec.num_experts));

  routing::RouteBackwardInput input;
  input.logits = logits.data();
  input.logits_dtype = DTypeOf(logits);
  input.rows = tokens;
  input.logits_stride = input.d_probabilities_stride = spec.num_experts;
  input.ids = ids.data();
  input.ids_stride = input.d_weights_stride = spec.top_k;
  if (d_weights.has_value()) {
    input.d_weights = d_weights->data();
    input.d_weights_dtype = DTypeOf(*d_weights);
  }
  if (d_probabilities.has_value()) input.d_probabilities = d_probabilities->values<float>().data();
  std::vector<float> d_logits(tokens * spec.num_experts);
  routing::RouteBackwardOutput output;
  output.d_logits = d_logits.data();
  output.d_logits_stride = spec.num_experts;
  EVENKEEL_RETURN_IF_ERROR(
      (device == "cpu" ? routing::RouteBackwardCpu : routing::RouteBackwardReference)(spec, input, output));
  return tools::WriteNpy({{folder + "/d_logits.npy", NpyType::kFloat32, {tokens, spec.num_experts}, d_logits.data()}});
}

}  // namespace
}  // namespace evenkeel

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: backward_runner reference|cpu FOLDER\n";
    return 2;
  }
  const absl::Status status = evenkeel::Run(argv[1], argv[2]);
  if (!status.ok()) std::cerr << "backward_runner: " << status << '\n';
  return status.ok() ? 0 : 1;
}
