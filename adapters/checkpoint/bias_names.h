#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

// What other software calls the bias tensors of a job's layers in its checkpoints, and back. A scheme is a row of a
// table. A layer of the job and a tensor are of the same decoder layer when their names have the same number in them:
// "model.layers.3.mlp.gate" is "decoder.layers.3.mlp.router.expert_bias". Pure, thread-safe.
namespace evenkeel::checkpoint {

// What comes after a layer's number.
struct Spelling {
  absl::string_view bias;
  absl::string_view ema = "";  // of the shares of the counts, uncorrected, from 0; none: the software keeps none
};

struct Scheme {
  absl::string_view name;                // "megatron"
  absl::string_view layers;              // what is written before a layer's number; anything is read
  absl::Span<const Spelling> spellings;  // all are read, the first is written
};

absl::Span<const Scheme> Schemes();

// The names of all schemes, for messages: "hf, megatron, ...".
std::string SchemeNames();

// INVALID_ARGUMENT, listing those there are, for a name that no scheme has.
absl::StatusOr<Scheme> FindScheme(absl::string_view name);

// The number in a layer's name. INVALID_ARGUMENT, naming the layer, where there is none, or several.
absl::StatusOr<int64_t> LayerNumber(const std::string& layer);

// The tensors of one layer of the job.
struct TensorNames {
  std::string bias;
  std::string ema;  // empty: none
};

// The names that `scheme` writes for these layers, in their order. INVALID_ARGUMENT, naming the layer or both, for one
// whose name has no number or several, and for two that would be one tensor.
absl::StatusOr<std::vector<TensorNames>> NamesToWrite(const Scheme& scheme, absl::Span<const std::string> layers);

// The same by a pattern, such as "model.layers.{}.moe.bias", whose {} is the layer's number. INVALID_ARGUMENT also for
// a pattern that has not one {}.
absl::StatusOr<std::vector<TensorNames>> NamesByPattern(absl::string_view pattern,
                                                        absl::Span<const std::string> layers);

struct FoundNames {
  std::vector<TensorNames> names;      // of the layers, in their order
  std::vector<std::string> left_over;  // tensors that the scheme knows and no layer has: of layers that predict further
                                       // tokens, say
};

// The tensors of these layers among `tensors`, in any spelling of the scheme. Of several with a layer's number, the one
// that has the same before the number as the layer's name is meant. INVALID_ARGUMENT, naming layer and tensors, where
// that leaves several; NOT_FOUND, naming the layer, where there is none; and as NamesToWrite.
absl::StatusOr<FoundNames> FindNames(const Scheme& scheme, absl::Span<const std::string> layers,
                                     absl::Span<const std::string> tensors);

}  // namespace evenkeel::checkpoint
