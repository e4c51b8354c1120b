// The example in C, compiled by a C compiler and linked with the shared library, against a real evenkeeld: a worker
// like any other.

#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "evenkeel/worker.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/evenkeeld_process.h"

namespace evenkeel::tests {
namespace {

using ::testing::HasSubstr;

Ending RunCWorker(const std::string& address, const std::string& job) {
  return ChildProcess({BuiltProgram("client/examples/c_worker"), address, job, "20"}).Wait();
}

// What c_worker counts, by the C++ header.
uint64_t BiasHashOfCppWorker(const std::string& address, uint64_t steps) {
  constexpr int kTokens = 64;
  constexpr int kExperts = 8;
  WorkerOptions options;
  options.coordinator = address;
  options.job = "cpp";
  options.layers = {{"model.layers.0.gate", kExperts, 2, R"({"score": "SIGMOID"})"},
                    {"model.layers.1.gate", kExperts, 2, ""}};
  Result<std::unique_ptr<Worker>> worker = Worker::Join(options);
  if (!worker.ok()) return 0;
  const auto expect_ok = [](const Status& status) { EXPECT_TRUE(status.ok()) << status.message(); };
  for (uint64_t step = 1; step <= steps; ++step) {
    std::vector<float> logits(kTokens * kExperts);
    for (int i = 0; i < kTokens * kExperts; ++i) {
      logits[i] = static_cast<float>((i * 37 + static_cast<int>(step) * 11) % 101) / 50.0f -
                  static_cast<float>(i % kExperts) / 4.0f;
    }
    std::vector<int32_t> ids;
    for (int t = 0; t < kTokens; ++t) ids.insert(ids.end(), {t % 3, 3 + t % 5});
    expect_ok((*worker)->BeginStep(step));
    expect_ok((*worker)->Route(0, {kTokens, logits.data()}, {}));
    expect_ok((*worker)->Count(1, ids.data(), kTokens));
    expect_ok((*worker)->Commit(step));
  }
  expect_ok((*worker)->Leave());
  return (*worker)->report().bias_hash;
}

TEST(CWorkerTest, ComesToTheBiasOfACppWorker) {
  EvenkeeldProcess::Options options;
  options.state_dir = NewFolder("state");
  const auto coordinator = EvenkeeldProcess::Start(options);
  ASSERT_TRUE(coordinator.ok()) << coordinator.status();
  const std::string& address = (*coordinator)->address();

  const Ending ending = RunCWorker(address, "c");
  EXPECT_EQ(ending.exit_code, 0) << ending.stderr_text;
  EXPECT_EQ(ending.stdout_text, absl::StrFormat("step 20 bias %016x\n", BiasHashOfCppWorker(address, 20)));

  const Ending late = RunCWorker(address, "c");
  EXPECT_EQ(late.exit_code, 1);
  EXPECT_THAT(late.stderr_text, HasSubstr("c_worker: join: code 9: "));
}

}  // namespace
}  // namespace evenkeel::tests
