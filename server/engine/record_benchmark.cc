// What a record costs: durable commits of jobs of 61 layers with 256 experts, of which one engine keeps a record and
// the other none, turn by turn on the same disk; and how large the record is.
//
//   record_benchmark [DIRECTORY]     the disk to measure; default: the temporary directory

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "server/core/simulation/random.h"
#include "server/engine/engine.h"
#include "server/recorder/folder.h"
#include "server/recorder/recorder.h"
#include "server/store/store.h"
#include "server/telemetry/metrics.h"

namespace evenkeel::engine {
namespace {

constexpr int kLayers = 61;
constexpr int kExperts = 256;
constexpr int kTopK = 8;
constexpr int kTokens = 1 << 20;
constexpr int kRounds = 12;
constexpr int kCommits = 50;

v1::JobSpec Spec() {
  v1::JobSpec spec;
  spec.set_name("bench");
  spec.set_contributors(1);
  for (int i = 0; i < kLayers; ++i) {
    v1::LayerSpec* layer = spec.add_layers();
    layer->set_name(absl::StrCat("model.layers.", i, ".mlp.gate"));
    layer->set_num_experts(kExperts);
    layer->set_top_k(kTopK);
  }
  return spec;
}

// An engine of its own, with one contributor.
class Bench {
 public:
  Bench(const std::string& directory, bool records) {
    auto store = store::Store::Open(directory + "/state");
    EVENKEEL_CHECK(store.ok());
    if (records) {
      recorder::Recorder::Options options;
      options.directory = directory + "/record";
      recorder_ = recorder::Recorder::Start(options, {Tell, [this](const std::string&) { ++gaps; }}).value();
    }
    engine_ =
        Engine::Start(v1::CoordinatorConfig(), *std::move(store), &metrics_, recorder_.get(), {Tell, Die}).value();
    v1::JoinRequest join;
    join.set_protocol_version(1);
    *join.mutable_job() = Spec();
    join.set_incarnation(1);
    join.set_next_step(1);
    std::promise<v1::JoinResponse> joined;
    engine_->Join(join, [&](absl::StatusOr<v1::JoinResponse> response) { joined.set_value(*response); });
    routed_with_ = joined.get_future().get().version().version();
  }

  // Seconds for kCommits.
  double Run(const std::vector<v1::PushRequest>& pushes) {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < kCommits; ++i) {
      v1::PushRequest push = pushes[step_ % pushes.size()];
      push.set_step(++step_);
      *push.mutable_routed_with() = routed_with_;
      std::promise<v1::Version> committed;
      engine_->Push(std::move(push), [&](absl::StatusOr<std::shared_ptr<const v1::CommittedVersion>> reply, bool) {
        committed.set_value((*reply)->version());
      });
      routed_with_ = committed.get_future().get();
    }
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }

  void Flush() {
    if (recorder_ != nullptr) recorder_->Flush();
  }

  int gaps = 0;

 private:
  static void Tell(const LogEvent& event) { std::printf("%s\n", event.message.c_str()); }
  static void Die(const absl::Status& status) {
    Tell(ErrorEvent("store_failed", std::string(status.message())));
    std::abort();
  }

  telemetry::Metrics metrics_;
  std::unique_ptr<recorder::Recorder> recorder_;
  std::unique_ptr<Engine> engine_;
  v1::Version routed_with_;
  uint64_t step_ = 0;
};

// Counts of a million tokens that are unevenly spread.
v1::PushRequest Push(core::simulation::Random* random) {
  v1::PushRequest push;
  push.set_job("bench");
  push.set_incarnation(1);
  push.set_epoch(1);
  push.set_ok(true);
  for (int layer = 0; layer < kLayers; ++layer) {
    int left = kTokens * kTopK;
    for (int expert = 0; expert < kExperts; ++expert) {
      const int mean = left / (kExperts - expert);
      const int count = expert + 1 == kExperts ? left : random->Between(mean / 2, mean + mean / 2);
      push.mutable_routed()->add_low(count);
      left -= count;
    }
    push.add_valid_tokens(kTokens);
  }
  return push;
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void Run(const std::string& parent) {
  std::string directory = parent + "/evenkeel_record_benchmark_XXXXXX";
  EVENKEEL_CHECK(mkdtemp(directory.data()) != nullptr);
  for (const char* name : {"/plain", "/recorded"}) std::filesystem::create_directory(directory + name);
  core::simulation::Random random(1);
  std::vector<v1::PushRequest> pushes;
  for (int i = 0; i < 16; ++i) pushes.push_back(Push(&random));
  {
    Bench plain(directory + "/plain", false);
    Bench recorded(directory + "/recorded", true);
    std::vector<double> without, with;
    for (int round = 0; round < kRounds; ++round) {
      without.push_back(plain.Run(pushes));
      with.push_back(recorded.Run(pushes));
    }
    recorded.Flush();
    uint64_t bytes = 0;
    const auto files = recorder::ListFiles(directory + "/recorded/record/bench").value();
    for (const recorder::RecordFile& file : files) bytes += file.bytes;
    std::printf("%d x %d commits of %d x %d experts, in %s\n", kRounds, kCommits, kLayers, kExperts, directory.c_str());
    std::printf("commits/s without a record %.0f, with %.0f; ratio %.3f\n", kCommits / Median(without),
                kCommits / Median(with), Median(without) / Median(with));
    std::printf("%.0f bytes of record a step (%zu files), %d gaps\n", static_cast<double>(bytes) / (kRounds * kCommits),
                files.size(), recorded.gaps);
  }
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace evenkeel::engine

int main(int argc, char** argv) {
  evenkeel::engine::Run(argc > 1 ? argv[1] : std::filesystem::temp_directory_path().string());
  return 0;
}
