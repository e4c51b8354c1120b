#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "adapters/hf/model_routing.h"
#include "base/check.h"
#include "kernels/routing/route_spec.h"

namespace evenkeel::hf {
namespace {

// No text may crash the reader, and what it accepts is whole: every layer accounted for once, every spec valid.
void ReadAll(absl::string_view text) {
  const auto model = ReadModelConfig(text, "fuzz");
  if (!model.ok()) {
    EVENKEEL_CHECK(absl::IsInvalidArgument(model.status()) || absl::IsUnimplemented(model.status()));
    return;
  }
  EVENKEEL_CHECK(!model->decoders.empty());
  for (const Decoder& decoder : model->decoders) {
    EVENKEEL_CHECK(decoder.moe_layers.size() + decoder.dense_layers.size() + decoder.excluded_layers.size() ==
                   static_cast<size_t>(decoder.num_layers));
    for (const MoeLayer& layer : decoder.moe_layers) {
      EVENKEEL_CHECK(routing::Validate(layer.spec).ok());
      EVENKEEL_CHECK(!layer.name.empty());
      EVENKEEL_CHECK(layer.bias.has_value() == decoder.natively_bias_balanced);
      EVENKEEL_CHECK(layer.num_balanced_experts >= 1 && layer.num_balanced_experts <= layer.spec.num_experts);
    }
  }
}

}  // namespace
}  // namespace evenkeel::hf

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  evenkeel::hf::ReadAll(absl::string_view(reinterpret_cast<const char*>(data), size));
  return 0;
}
