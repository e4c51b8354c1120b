#include "kernels/routing/route_backward.h"

#include <functional>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace evenkeel::routing {
namespace {

// Pointers are looked at, never followed.
alignas(8) char memory[8];

struct Call {
  RouteSpec spec;
  RouteBackwardInput input;
  RouteBackwardOutput output;

  Call() {
    spec.num_experts = 8;
    spec.top_k = 2;
    input.logits = memory;
    input.logits_dtype = DType::kBF16;
    input.rows = 3;
    input.logits_stride = 8;
    input.ids = memory;
    input.ids_stride = 2;
    input.d_weights = memory;
    input.d_weights_stride = 2;
    input.d_probabilities = reinterpret_cast<const float*>(memory);
    input.d_probabilities_stride = 8;
    output.d_logits = memory;
    output.d_logits_stride = 8;
  }

  absl::Status Validate() const { return ValidateRouteBackward(spec, input, output); }
};

struct NamedCall {
  std::string name;
  std::function<void(Call&)> change;
};

TEST(RouteBackwardTest, ValidCalls) {
  const std::vector<NamedCall> calls = {
      {"as it is", [](Call&) {}},
      {"no dense gradient", [](Call& c) { c.input.d_probabilities = nullptr; }},
      {"a dense gradient alone", [](Call& c) { c.input.d_weights = nullptr; }},
      {"an absent gradient's stride is not read",
       [](Call& c) {
         c.input.d_weights = nullptr;
         c.input.d_weights_stride = 0;
       }},
      {"the logits' types",
       [](Call& c) {
         c.input.d_weights_dtype = DType::kBF16;
         c.output.d_logits_dtype = DType::kBF16;
       }},
      {"64-bit ids", [](Call& c) { c.input.id_type = IdType::kInt64; }},
      {"no rows, and nothing else",
       [](Call& c) {
         c.input = RouteBackwardInput();
         c.output = RouteBackwardOutput();
       }},
  };
  for (const NamedCall& valid : calls) {
    Call call;
    valid.change(call);
    EXPECT_TRUE(call.Validate().ok()) << valid.name << ": " << call.Validate();
  }
}

TEST(RouteBackwardTest, EveryRefusalNamesFieldAndValue) {
  const std::vector<NamedCall> bad_calls = {
      {"top_k = 9:", [](Call& c) { c.spec.top_k = 9; }},
      {"rows = -1:", [](Call& c) { c.input.rows = -1; }},
      {"logits = null:", [](Call& c) { c.input.logits = nullptr; }},
      {"logits_dtype = 3:", [](Call& c) { c.input.logits_dtype = static_cast<DType>(3); }},
      {"logits_stride = 7:", [](Call& c) { c.input.logits_stride = 7; }},
      {"ids = null:", [](Call& c) { c.input.ids = nullptr; }},
      {"id_type = 2:", [](Call& c) { c.input.id_type = static_cast<IdType>(2); }},
      {"ids_stride = 1:", [](Call& c) { c.input.ids_stride = 1; }},
      {"d_weights and d_probabilities = null:",
       [](Call& c) {
         c.input.d_weights = nullptr;
         c.input.d_probabilities = nullptr;
       }},
      {"d_weights_dtype = 2:", [](Call& c) { c.input.d_weights_dtype = DType::kF16; }},
      {"d_weights_dtype = -1:", [](Call& c) { c.input.d_weights_dtype = static_cast<DType>(-1); }},
      {"d_weights_stride = 1:", [](Call& c) { c.input.d_weights_stride = 1; }},
      {"d_weights_stride = -2:", [](Call& c) { c.input.d_weights_stride = -2; }},
      {"d_probabilities_stride = 7:", [](Call& c) { c.input.d_probabilities_stride = 7; }},
      {"d_logits = null:", [](Call& c) { c.output.d_logits = nullptr; }},
      {"d_logits_dtype = 2:", [](Call& c) { c.output.d_logits_dtype = DType::kF16; }},
      {"d_logits_dtype = 3:", [](Call& c) { c.output.d_logits_dtype = static_cast<DType>(3); }},
      {"d_logits_stride = 7:", [](Call& c) { c.output.d_logits_stride = 7; }},
  };
  for (const NamedCall& bad : bad_calls) {
    Call call;
    bad.change(call);
    const absl::Status status = call.Validate();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << bad.name;
    EXPECT_EQ(std::string(status.message()).rfind(bad.name, 0), 0)
        << bad.name << " expected, said: " << status.message();
  }
}

}  // namespace
}  // namespace evenkeel::routing
