#include "kernels/routing/route.h"

#include <cstdint>
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
  RouteInput input;
  RouteOutput output;

  Call() {
    spec.num_experts = 8;
    spec.top_k = 2;
    input.logits = memory;
    input.logits_dtype = DType::kBF16;
    input.rows = 3;
    input.logits_stride = 8;
    input.replay_stride = 2;
    output.ids = memory;
    output.ids_stride = 2;
    output.weights = memory;
    output.weights_stride = 2;
    output.dense_probabilities = reinterpret_cast<float*>(memory);
    output.dense_probabilities_stride = 8;
    output.dense_map = reinterpret_cast<uint8_t*>(memory);
    output.dense_map_stride = 8;
  }

  absl::Status Validate() const { return ValidateRoute(spec, input, output); }
};

TEST(RouteTest, ValidCalls) {
  EXPECT_TRUE(Call().Validate().ok()) << Call().Validate();

  Call nothing_wanted;
  nothing_wanted.output = RouteOutput();
  EXPECT_TRUE(nothing_wanted.Validate().ok());

  Call empty;
  empty.input.rows = 0;
  empty.input.logits = nullptr;
  empty.input.logits_stride = 0;
  EXPECT_TRUE(empty.Validate().ok());

  Call narrow_weights;
  narrow_weights.output.weights_dtype = DType::kBF16;
  EXPECT_TRUE(narrow_weights.Validate().ok());

  Call random;
  random.input.forced.mode = ForcedBalance::Mode::kRandom;
  random.input.forced.seed = 0;
  EXPECT_TRUE(random.Validate().ok());

  Call replay;
  replay.input.replay_ids = reinterpret_cast<const int32_t*>(memory);
  EXPECT_TRUE(replay.Validate().ok());
}

struct BadCall {
  std::string field_and_value;  // how the message begins
  std::function<void(Call&)> spoil;
};

TEST(RouteTest, EveryRefusalNamesFieldAndValue) {
  const std::vector<BadCall> bad_calls = {
      {"top_k = 9:", [](Call& c) { c.spec.top_k = 9; }},
      {"rows = -1:", [](Call& c) { c.input.rows = -1; }},
      {"logits = null:", [](Call& c) { c.input.logits = nullptr; }},
      {"logits_dtype = 3:", [](Call& c) { c.input.logits_dtype = static_cast<DType>(3); }},
      {"logits_stride = 7:", [](Call& c) { c.input.logits_stride = 7; }},
      {"logits_stride = -8:", [](Call& c) { c.input.logits_stride = -8; }},
      {"replay_stride = 1:",
       [](Call& c) {
         c.input.replay_ids = reinterpret_cast<const int32_t*>(memory);
         c.input.replay_stride = 1;
       }},
      {"forced.mode = 3:", [](Call& c) { c.input.forced.mode = static_cast<ForcedBalance::Mode>(3); }},
      {"forced.seed = absent:", [](Call& c) { c.input.forced.mode = ForcedBalance::Mode::kRandom; }},
      {"forced.mode = 1:",
       [](Call& c) {
         c.input.forced.mode = ForcedBalance::Mode::kRoundRobin;
         c.input.replay_ids = reinterpret_cast<const int32_t*>(memory);
       }},
      {"id_type = 2:", [](Call& c) { c.output.id_type = static_cast<IdType>(2); }},
      {"weights_dtype = -1:", [](Call& c) { c.output.weights_dtype = static_cast<DType>(-1); }},
      {"weights_dtype = 2:", [](Call& c) { c.output.weights_dtype = DType::kF16; }},
      {"ids_stride = 1:", [](Call& c) { c.output.ids_stride = 1; }},
      {"weights_stride = 0:", [](Call& c) { c.output.weights_stride = 0; }},
      {"dense_probabilities_stride = 7:", [](Call& c) { c.output.dense_probabilities_stride = 7; }},
      {"dense_map_stride = 7:", [](Call& c) { c.output.dense_map_stride = 7; }},
  };
  for (const BadCall& bad : bad_calls) {
    Call call;
    bad.spoil(call);
    const absl::Status status = call.Validate();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << bad.field_and_value;
    EXPECT_EQ(std::string(status.message()).rfind(bad.field_and_value, 0), 0)
        << bad.field_and_value << " expected, said: " << status.message();
  }
}

}  // namespace
}  // namespace evenkeel::routing
