#include "tests/gpu_check/worker/training.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <numeric>
#include <random>
#include <utility>

#include "base/status_macros.h"
#include "client/deadline.h"

namespace evenkeel::gpu_check {
namespace {

// By their index in TrainingLayers.
enum Layer { kGrouped, kCounted, kBFloat16, kSummed };

constexpr int64_t kRows = 48;
constexpr int kVariants = 5;
constexpr std::chrono::seconds kPatience(60);

// Arrays one after another in one piece of memory, as offsets.
class Arrays {
 public:
  template <typename Value>
  size_t Add(int64_t size) {
    const size_t offset = bytes_;
    bytes_ += (size * sizeof(Value) + 15) / 16 * 16;
    return offset;
  }
  size_t bytes() const { return bytes_; }

 private:
  size_t bytes_ = 0;
};

// What a micro-batch reads.
struct Input {
  explicit Input(const client::LayerTable& layers)
      : grouped_logits(arrays.Add<float>(kRows * layers[kGrouped].num_experts)),
        grouped_d_weights(arrays.Add<float>(kRows * layers[kGrouped].top_k)),
        bfloat16_logits(arrays.Add<uint16_t>(kRows * layers[kBFloat16].num_experts)),
        bfloat16_d_weights(arrays.Add<float>(kRows * layers[kBFloat16].top_k)),
        counted_ids(arrays.Add<int64_t>(kRows * layers[kCounted].top_k)),
        summed_counts(arrays.Add<uint64_t>(layers[kSummed].num_experts)),
        mask(arrays.Add<uint8_t>(kRows)) {}

  Arrays arrays;
  size_t grouped_logits, grouped_d_weights, bfloat16_logits, bfloat16_d_weights, counted_ids, summed_counts, mask;
};

// And writes.
struct Output {
  explicit Output(const client::LayerTable& layers)
      : grouped_ids(arrays.Add<int32_t>(kRows * layers[kGrouped].top_k)),
        grouped_weights(arrays.Add<float>(kRows * layers[kGrouped].top_k)),
        grouped_d_logits(arrays.Add<float>(kRows * layers[kGrouped].num_experts)),
        bfloat16_ids(arrays.Add<int64_t>(kRows * layers[kBFloat16].top_k)),
        bfloat16_weights(arrays.Add<uint16_t>(kRows * layers[kBFloat16].top_k)),
        bfloat16_d_logits(arrays.Add<uint16_t>(kRows * layers[kBFloat16].num_experts)) {}

  Arrays arrays;
  size_t grouped_ids, grouped_weights, grouped_d_logits, bfloat16_ids, bfloat16_weights, bfloat16_d_logits;
};

// Some experts are wanted more than others. The first row has an infinity and a NaN.
std::vector<float> Logits(int num_experts, std::mt19937_64* random) {
  std::normal_distribution<float> normal;
  std::vector<float> logits(kRows * num_experts);
  for (int64_t i = 0; i < logits.size(); ++i) {
    logits[i] = normal(*random) + 1.5f * static_cast<float>(i % num_experts) / static_cast<float>(num_experts);
  }
  logits[1] = INFINITY;
  logits[2] = NAN;
  return logits;
}

std::vector<float> Gradients(int top_k, std::mt19937_64* random) {
  std::normal_distribution<float> normal;
  std::vector<float> gradients(kRows * top_k);
  for (float& gradient : gradients) gradient = normal(*random);
  return gradients;
}

std::vector<uint16_t> BFloat16(const std::vector<float>& values) {
  std::vector<uint16_t> halves;
  for (const float value : values) {
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof(bits));
    halves.push_back(bits >> 16);
  }
  return halves;
}

// Distinct in a row; now and then a slot is short.
std::vector<int64_t> CountedIds(const client::LayerTable::Layer& layer, std::mt19937_64* random) {
  std::vector<int64_t> experts(layer.num_experts);
  std::iota(experts.begin(), experts.end(), 0);
  std::vector<int64_t> ids;
  for (int64_t row = 0; row < kRows; ++row) {
    std::shuffle(experts.begin(), experts.end(), *random);
    ids.insert(ids.end(), experts.begin(), experts.begin() + layer.top_k);
    if ((*random)() % 4 == 0) ids.back() = -1;
  }
  return ids;
}

std::vector<uint64_t> SummedCounts(const client::LayerTable::Layer& layer, std::mt19937_64* random) {
  std::vector<uint64_t> counts(layer.num_experts);
  for (int64_t i = 0; i < kRows * layer.top_k; ++i) ++counts[(*random)() % ((*random)() % layer.num_experts + 1)];
  return counts;
}

std::vector<char> RandomInput(const client::LayerTable& layers, const Input& input, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<char> bytes(input.arrays.bytes());
  const auto put = [&](size_t at, const auto& values) {
    std::memcpy(bytes.data() + at, values.data(), values.size() * sizeof(values[0]));
  };
  put(input.grouped_logits, Logits(layers[kGrouped].num_experts, &random));
  put(input.grouped_d_weights, Gradients(layers[kGrouped].top_k, &random));
  put(input.bfloat16_logits, BFloat16(Logits(layers[kBFloat16].num_experts, &random)));
  put(input.bfloat16_d_weights, Gradients(layers[kBFloat16].top_k, &random));
  put(input.counted_ids, CountedIds(layers[kCounted], &random));
  put(input.summed_counts, SummedCounts(layers[kSummed], &random));
  std::vector<uint8_t> mask(kRows);
  for (uint8_t& valid : mask) valid = random() % 5 != 0;
  put(input.mask, mask);
  return bytes;
}

class Training {
 public:
  Training(const client::LayerTable& layers, const Trainee& trainee)
      : layers_(layers),
        trainee_(trainee),
        workspace_(*trainee.workspace),
        memory_(*trainee.memory),
        input_(layers),
        output_(layers) {}

  absl::Status Allocate() {
    EVENKEEL_ASSIGN_OR_RETURN(in_, memory_.Make(input_.arrays.bytes()));
    EVENKEEL_ASSIGN_OR_RETURN(out_, memory_.Make(output_.arrays.bytes()));
    for (int variant = 0; variant < kVariants; ++variant) {
      EVENKEEL_ASSIGN_OR_RETURN(variants_[variant], memory_.Make(input_.arrays.bytes()));
      EVENKEEL_RETURN_IF_ERROR(memory_.Store(variants_[variant], RandomInput(layers_, input_, variant)));
    }
    return absl::OkStatus();
  }

  absl::Status Step(uint64_t step) {
    EVENKEEL_RETURN_IF_ERROR(memory_.Copy(in_, variants_[step % kVariants], input_.arrays.bytes()));
    EVENKEEL_RETURN_IF_ERROR(NoteBias());
    EVENKEEL_RETURN_IF_ERROR(trainee_.capture == nullptr ? Calls() : Replay(step % 2));
    return memory_.Note(out_, output_.arrays.bytes());
  }

  absl::Status NoteBias() {
    return memory_.Note(workspace_.bias(layers_.protocol_order()[0]), sizeof(float) * layers_.total_experts());
  }

  size_t notes_of_a_step() const { return sizeof(float) * layers_.total_experts() + output_.arrays.bytes(); }

 private:
  absl::Status Replay(int parity) {
    WorkerMachine::Replay& replay = replays_[parity];
    if (replay == nullptr) {
      EVENKEEL_ASSIGN_OR_RETURN(replay, trainee_.capture([this] { return Calls(); }));
    }
    return replay();
  }

  absl::Status Calls() {
    EVENKEEL_RETURN_IF_ERROR(RouteGrouped());
    EVENKEEL_RETURN_IF_ERROR(RouteBFloat16());
    Ids ids;
    ids.rows = kRows;
    ids.ids = in_ + input_.counted_ids;
    ids.ids_type = IntType::kInt64;
    ids.valid_mask = Mask();
    EVENKEEL_RETURN_IF_ERROR(workspace_.Count(kCounted, ids, /*counts=*/true));
    EVENKEEL_RETURN_IF_ERROR(workspace_.CountDispatched(kCounted, ids, /*counts=*/true));
    const auto* const counts = reinterpret_cast<const uint64_t*>(in_ + input_.summed_counts);
    EVENKEEL_RETURN_IF_ERROR(workspace_.AddCounts(kSummed, {counts, kRows}, /*counts=*/true));
    return workspace_.AddDispatched(kSummed, {counts}, /*counts=*/true);
  }

  // Once more without a mask, as a second micro-batch that is only counted.
  absl::Status RouteGrouped() {
    Tokens tokens;
    tokens.rows = kRows;
    tokens.logits = in_ + input_.grouped_logits;
    tokens.valid_mask = Mask();
    Assignments assignments;
    assignments.ids = out_ + output_.grouped_ids;
    assignments.weights = out_ + output_.grouped_weights;
    EVENKEEL_RETURN_IF_ERROR(workspace_.Route(kGrouped, tokens, assignments, /*counts=*/true));
    evenkeel::Gradients gradients;
    gradients.ids = assignments.ids;
    gradients.d_weights = in_ + input_.grouped_d_weights;
    gradients.d_logits = out_ + output_.grouped_d_logits;
    EVENKEEL_RETURN_IF_ERROR(workspace_.RouteBackward(kGrouped, tokens, gradients));
    tokens.valid_mask = nullptr;
    return workspace_.Route(kGrouped, tokens, Assignments(), /*counts=*/true);
  }

  // All rows as of the first stream, and then some as of the second, into the same arrays.
  absl::Status RouteBFloat16() {
    Tokens tokens;
    tokens.rows = kRows;
    tokens.logits = in_ + input_.bfloat16_logits;
    tokens.logits_type = FloatType::kBFloat16;
    Assignments assignments;
    assignments.ids = out_ + output_.bfloat16_ids;
    assignments.ids_type = IntType::kInt64;
    assignments.weights = out_ + output_.bfloat16_weights;
    assignments.weights_type = FloatType::kBFloat16;
    EVENKEEL_RETURN_IF_ERROR(workspace_.Route(kBFloat16, tokens, assignments, /*counts=*/true));
    tokens.valid_mask = Mask();
    tokens.stream = 1;
    assignments.keep_masked = true;
    EVENKEEL_RETURN_IF_ERROR(workspace_.Route(kBFloat16, tokens, assignments, /*counts=*/true));
    evenkeel::Gradients gradients;
    gradients.ids = assignments.ids;
    gradients.ids_type = IntType::kInt64;
    gradients.d_weights = in_ + input_.bfloat16_d_weights;
    gradients.d_logits = out_ + output_.bfloat16_d_logits;
    gradients.d_logits_type = FloatType::kBFloat16;
    return workspace_.RouteBackward(kBFloat16, tokens, gradients);
  }

  const uint8_t* Mask() const { return reinterpret_cast<const uint8_t*>(in_ + input_.mask); }

  const client::LayerTable& layers_;
  const Trainee& trainee_;
  client::Workspace& workspace_;
  Memory& memory_;
  const Input input_;
  const Output output_;
  char* variants_[kVariants] = {};
  char* in_ = nullptr;
  char* out_ = nullptr;
  WorkerMachine::Replay replays_[2];
};

client::Deadline InAWhile() { return std::chrono::steady_clock::now() + kPatience; }

}  // namespace

std::vector<LayerOptions> TrainingLayers() {
  std::vector<LayerOptions> layers = {
      {"d.grouped", 256, 8,
       R"({"score": "SIGMOID", "num_groups": 8, "top_groups": 4, "normalize": true, "normalize_epsilon": 1e-20,
           "scale": 2.5})"},
      {"a.counted", 128, 4, ""},
      {"c.bfloat16", 64, 6, R"({"score": "SOFTMAX"})"},
      {"b.summed", 16, 2, ""},
  };
  layers[kBFloat16].streams = 2;
  layers[kCounted].counts_dispatched = true;
  layers[kSummed].counts_dispatched = true;
  return layers;
}

v1::JobSpec TrainingJob(const client::LayerTable& layers, int lag) {
  v1::JobSpec job;
  job.set_name("gpu-check");
  job.set_contributors(1);
  job.set_lag(lag);
  for (const v1::LayerSpec& layer : layers.specs()) *job.add_layers() = layer;
  return job;
}

absl::StatusOr<Trained> Train(const client::LayerTable& layers, uint64_t steps, const Trainee& trainee) {
  Training training(layers, trainee);
  EVENKEEL_RETURN_IF_ERROR(training.Allocate());
  Trained trained;
  v1::JoinResponse joined;
  EVENKEEL_RETURN_IF_ERROR(trainee.source->Join(1, InAWhile(), &joined));
  EVENKEEL_RETURN_IF_ERROR(trainee.workspace->Adopt(joined.version()));
  for (uint64_t step = 1; step <= steps; ++step) {
    bool is_new = false;
    if (step > 1) {
      EVENKEEL_ASSIGN_OR_RETURN(is_new, trainee.source->Await(step, InAWhile(), &trained.version));
    }
    EVENKEEL_RETURN_IF_ERROR(trainee.workspace->BeginStep(step, is_new ? &trained.version : nullptr));
    EVENKEEL_RETURN_IF_ERROR(training.Step(step));
    EVENKEEL_ASSIGN_OR_RETURN(client::StepCountsPtr counts, trainee.workspace->Commit(step, {/*ok=*/step % 7 != 3}));
    trainee.source->Push(std::move(counts));
  }
  EVENKEEL_ASSIGN_OR_RETURN(const bool is_new, trainee.source->Leave(InAWhile(), &trained.version));
  EVENKEEL_RETURN_IF_ERROR(trainee.workspace->Leave(is_new ? &trained.version : nullptr, InAWhile()));
  EVENKEEL_RETURN_IF_ERROR(training.NoteBias());
  EVENKEEL_ASSIGN_OR_RETURN(trained.notes, trainee.memory->Notes());
  trained.notes_of_a_step = training.notes_of_a_step();
  return trained;
}

}  // namespace evenkeel::gpu_check
