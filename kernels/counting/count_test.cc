#include "kernels/counting/count.h"

#include <functional>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace evenkeel::counting {
namespace {

// Pointers are looked at, never followed.
alignas(8) char memory[8];

CountOutput Output() {
  return {reinterpret_cast<uint64_t*>(memory), reinterpret_cast<routing::RouteStats*>(memory),
          reinterpret_cast<uint64_t*>(memory)};
}

struct IdsCall {
  IdsInput input;
  CountOutput output = Output();

  IdsCall() {
    input.num_experts = 8;
    input.top_k = 2;
    input.ids = memory;
    input.rows = 3;
    input.ids_stride = 2;
  }
};

struct CountsCall {
  CountsInput input;
  CountOutput output = Output();

  CountsCall() {
    input.num_experts = 8;
    input.top_k = 3;
    input.counts = memory;
    input.valid_rows = 10;
    input.short_slots = 4;
  }
};

// A call that is spoilt, and how the message about it begins.
template <typename Call>
struct BadCall {
  std::string field_and_value;
  std::function<void(Call&)> spoil;
};

template <typename Call>
void ExpectRefused(const std::vector<BadCall<Call>>& bad_calls) {
  for (const BadCall<Call>& bad : bad_calls) {
    Call call;
    bad.spoil(call);
    const absl::Status status = ValidateCount(call.input, call.output);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << bad.field_and_value;
    EXPECT_EQ(status.message().substr(0, bad.field_and_value.size()), bad.field_and_value) << status;
  }
}

template <typename Call>
void ExpectTaken(const std::function<void(Call&)>& change) {
  Call call;
  change(call);
  const absl::Status status = ValidateCount(call.input, call.output);
  EXPECT_TRUE(status.ok()) << status;
}

TEST(CountTest, IdsThatMayBeCounted) {
  ExpectTaken<IdsCall>([](IdsCall&) {});
  ExpectTaken<IdsCall>([](IdsCall& c) { c.input.id_type = routing::IdType::kInt64; });
  ExpectTaken<IdsCall>([](IdsCall& c) { c.input.valid_mask = reinterpret_cast<uint8_t*>(memory); });
  ExpectTaken<IdsCall>([](IdsCall& c) { c.input.top_k = c.input.ids_stride = 8; });
  ExpectTaken<IdsCall>([](IdsCall& c) {
    c.input.rows = c.input.ids_stride = 0;
    c.input.ids = nullptr;
  });
  ExpectTaken<IdsCall>([](IdsCall& c) { c.input.rows = c.input.ids_stride = 0; });
  ExpectTaken<IdsCall>([](IdsCall& c) {
    c.input.num_experts = c.input.top_k = routing::kMaxExperts;
    c.input.ids_stride = routing::kMaxExperts;
  });
}

TEST(CountTest, IdsThatMayNot) {
  ExpectRefused<IdsCall>({
      {"num_experts = 0:", [](IdsCall& c) { c.input.num_experts = 0; }},
      {"num_experts = 16385:", [](IdsCall& c) { c.input.num_experts = routing::kMaxExperts + 1; }},
      {"top_k = 0:", [](IdsCall& c) { c.input.top_k = 0; }},
      {"top_k = 9:", [](IdsCall& c) { c.input.top_k = 9; }},
      {"ids = null:", [](IdsCall& c) { c.input.ids = nullptr; }},
      {"id_type = 2:", [](IdsCall& c) { c.input.id_type = static_cast<routing::IdType>(2); }},
      {"rows = -1:", [](IdsCall& c) { c.input.rows = -1; }},
      {"ids_stride = 1:", [](IdsCall& c) { c.input.ids_stride = 1; }},
      {"output.counts = null:", [](IdsCall& c) { c.output.counts = nullptr; }},
      {"output.stats = null:", [](IdsCall& c) { c.output.stats = nullptr; }},
      {"output.refused = null:", [](IdsCall& c) { c.output.refused = nullptr; }},
  });
}

TEST(CountTest, CountsThatMayBeAdded) {
  ExpectTaken<CountsCall>([](CountsCall&) {});
  ExpectTaken<CountsCall>([](CountsCall& c) { c.input.type = CountType::kFloat32; });
  ExpectTaken<CountsCall>([](CountsCall& c) { c.input.valid_rows = c.input.short_slots = 0; });
  ExpectTaken<CountsCall>([](CountsCall& c) { c.input.short_slots = 30; });
  ExpectTaken<CountsCall>([](CountsCall& c) { c.input.valid_rows = kMaxCount / 3; });
}

TEST(CountTest, CountsThatMayNot) {
  ExpectRefused<CountsCall>({
      {"num_experts = -1:", [](CountsCall& c) { c.input.num_experts = -1; }},
      {"top_k = 9:", [](CountsCall& c) { c.input.top_k = 9; }},
      {"counts = null:", [](CountsCall& c) { c.input.counts = nullptr; }},
      {"type = 3:", [](CountsCall& c) { c.input.type = static_cast<CountType>(3); }},
      {"valid_rows = 93824992236886:", [](CountsCall& c) { c.input.valid_rows = kMaxCount / 3 + 1; }},
      {"valid_rows = 18446744073709551615:", [](CountsCall& c) { c.input.valid_rows = ~uint64_t{0}; }},
      {"short_slots = 31:", [](CountsCall& c) { c.input.short_slots = 31; }},
      {"output.counts = null:", [](CountsCall& c) { c.output.counts = nullptr; }},
      {"output.stats = null:", [](CountsCall& c) { c.output.stats = nullptr; }},
      {"output.refused = null:", [](CountsCall& c) { c.output.refused = nullptr; }},
  });
}

}  // namespace
}  // namespace evenkeel::counting
