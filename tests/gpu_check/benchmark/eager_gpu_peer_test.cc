#include "tests/gpu_check/benchmark/eager_gpu_peer.h"

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/gpu_check/benchmark/benchmark_cases.h"

namespace evenkeel::benchmarks {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr char kPython[] = "/usr/bin/python3";

// A peer without PyTorch, whose every row takes the same time, and which knows what it is to be asked for.
constexpr char kFake[] = R"(
import json, sys
assert sys.argv[1:] == ["--device=cuda"], sys.argv
prepared = None
for line in sys.stdin:
    request = json.loads(line)
    if request["op"] == "hello":
        answer = {"torch": "0.0", "threads": 2, "device": "NVIDIA Abacus"}
    elif request["op"] == "prepare":
        prepared = request
        spec = request["spec"]
        if spec["num_experts"] == 512:
            answer = {"error": "OutOfMemoryError: \"512\" is too much"}
        elif spec["score"] == "SIGMOID":
            assert spec["weight"] == "SCORE" and spec["normalize"] and spec["scale"] == 2.5, spec
            assert spec["num_groups"] in (0, 8) and spec["top_groups"] * 2 == spec["num_groups"], spec
            answer = {}
        else:
            assert (spec["score"], spec["weight"], spec["normalize"]) == ("LOGIT", "SOFTMAX_OF_SELECTED", False), spec
            answer = {}
    elif request["op"] == "turn":
        answer = {"route_seconds": 3e-6 * prepared["rows"], "count_seconds": 1e-6 * prepared["rows"], "calls": 7}
    elif request["op"] == "graph" and prepared["dtype"] == "f32":
        answer = {"seconds": 2e-6 * prepared["rows"], "calls": 10}
    else:
        answer = {"error": "RuntimeError: not in a graph"}
    print(json.dumps(answer), flush=True)
)";

RouteSeries Series(const std::string& router, int experts, routing::DType dtype) {
  for (const RouteSeries& series : ForwardSeries(/*quick=*/false)) {
    if (series.router == router && series.spec.num_experts == experts && series.dtype == dtype) return series;
  }
  ADD_FAILURE() << "no series " << router;
  return {};
}

TEST(EagerGpuPeerTest, MeasuresEachRouter) {
  const auto peer = EagerGpuPeer::Start(kPython, kFake);
  ASSERT_TRUE(peer.ok()) << peer.status();
  EXPECT_EQ((*peer)->name(), "PyTorch 0.0 on NVIDIA Abacus");
  for (const RouteSeries& series :
       {Series("sigmoid", 256, routing::DType::kF32), Series("sigmoid_groups", 64, routing::DType::kF32),
        Series("softmax", 128, routing::DType::kF32)}) {
    const auto times = (*peer)->Measure(series.spec, series.dtype, 100, 0.01);
    ASSERT_TRUE(times.ok()) << times.status();
    EXPECT_DOUBLE_EQ(times->route_seconds, 3e-4);
    EXPECT_DOUBLE_EQ(times->count_seconds, 1e-4);
    EXPECT_DOUBLE_EQ(times->graph_seconds, 2e-4);
    EXPECT_EQ(times->graph_error, "");
  }
}

TEST(EagerGpuPeerTest, WhatCannotBeInAGraphIsMeasuredWithout) {
  const auto peer = EagerGpuPeer::Start(kPython, kFake);
  ASSERT_TRUE(peer.ok()) << peer.status();
  const RouteSeries series = Series("softmax", 128, routing::DType::kBF16);
  const auto times = (*peer)->Measure(series.spec, series.dtype, 100, 0.01);
  ASSERT_TRUE(times.ok()) << times.status();
  EXPECT_DOUBLE_EQ(times->route_seconds, 3e-4);
  EXPECT_EQ(times->graph_seconds, 0);
  EXPECT_EQ(times->graph_error, "RuntimeError: not in a graph");
}

TEST(EagerGpuPeerTest, ACaseThatItCannotDoIsNotTheLast) {
  const auto peer = EagerGpuPeer::Start(kPython, kFake);
  ASSERT_TRUE(peer.ok()) << peer.status();
  const RouteSeries refused = Series("sigmoid", 512, routing::DType::kF32);
  const absl::Status status = (*peer)->Measure(refused.spec, refused.dtype, 1, 0.01).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("is too much"));
  const RouteSeries next = Series("sigmoid", 256, routing::DType::kF32);
  EXPECT_TRUE((*peer)->Measure(next.spec, next.dtype, 1, 0.01).ok());
}

TEST(EagerGpuPeerTest, APeerThatCannotBeUsedIsUnavailable) {
  for (const std::string script :
       {"raise SystemExit(77)", "print('hm'); input()", "input(); print('{\"error\": \"AssertionError: no GPU\"}')"}) {
    const absl::Status status = EagerGpuPeer::Start(kPython, script).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  }
  EXPECT_EQ(EagerGpuPeer::Start("/no/such/python", kFake).status().code(), absl::StatusCode::kUnavailable);
}

TEST(EagerGpuPeerTest, TheScriptIsThatOfTheTree) {
  EXPECT_THAT(std::string(kEagerRouterScript), StartsWith("\"\"\"The routers of the model families"));
  EXPECT_THAT(std::string(kEagerRouterScript), HasSubstr("def sigmoid_router(logits, bias, spec):"));
  EXPECT_THAT(std::string(kEagerRouterScript), ::testing::EndsWith("    main()\n"));
}

}  // namespace
}  // namespace evenkeel::benchmarks
