// One rule, whatever the way that counts take: a worker by itself, a group without a coordinator, every rank with a
// coordinator, and groups with one, come to the same bias after every step.

#include <signal.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "config/text.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "job/job_plan.h"
#include "job/job_state.h"
#include "job/reference_model.h"
#include "tests/child_process.h"
#include "tests/counted_tokens.h"
#include "tests/counting_bench.h"
#include "tests/evenkeeld_process.h"

namespace evenkeel::tests {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;

constexpr int kRanks = 4;
constexpr int kSteps = 300;
// Of counting_worker.
constexpr uint64_t kSeed = 7;
const char* const kUsual = R"({"preset": "evenkeel"})";

// How the ranks of a run are put together.
struct Mode {
  std::string name;
  bool coordinator = false;
  std::string group = "";
  int expert_parallel_size = 0;
  bool file_store = false;  // where the ranks of a group meet; else at the coordinator
  int lag = 0;
};

const Mode kGroup = {"group", /*coordinator=*/false, "world", 0, /*file_store=*/true};

class WorkerModesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    EvenkeeldProcess::Options options;
    options.state_dir = NewFolder("state");
    absl::StatusOr<std::unique_ptr<EvenkeeldProcess>> process = EvenkeeldProcess::Start(options);
    ASSERT_TRUE(process.ok()) << process.status();
    coordinator_ = *std::move(process);
  }

  std::vector<std::string> CommandOf(const Mode& mode, const std::string& job, const std::string& store, int rank,
                                     const std::string& balance, int steps = kSteps) const {
    return {BuiltProgram("tests/counting_worker"),
            "--coordinator=" + (mode.coordinator ? coordinator_->address() : ""),
            "--job=" + job,
            absl::StrCat("--rank=", rank),
            absl::StrCat("--world_size=", kRanks),
            "--group=" + mode.group,
            absl::StrCat("--ep_size=", mode.expert_parallel_size),
            "--group_timeout_ms=20000",
            "--store=" + (mode.file_store ? "file://" + store : ""),
            "--balance=" + balance,
            absl::StrCat("--lag=", mode.lag),
            absl::StrCat("--steps=", steps)};
  }

  using Ranks = std::vector<std::unique_ptr<ChildProcess>>;

  using Flags = std::vector<std::string>;

  // With `flags` for each rank beside those of its mode.
  Ranks Start(const Mode& mode, const std::string& balance, int steps = kSteps, const Flags& flags = {}) {
    const std::string job = absl::StrCat("run", ++runs_);
    const std::string store = NewFolder("store");
    Ranks ranks;
    for (int rank = 0; rank < kRanks; ++rank) {
      std::vector<std::string> command = CommandOf(mode, job, store, rank, balance, steps);
      command.insert(command.end(), flags.begin(), flags.end());
      ranks.push_back(std::make_unique<ChildProcess>(command));
    }
    return ranks;
  }

  // The steps that `output` tells of, each with what all modes agree on.
  static std::string TrajectoryOf(const std::string& output) {
    std::string trajectory;
    for (const StepLine& line : ReadLines(output)) {
      absl::StrAppend(&trajectory, line.step, ": ", line.version, " ", line.ok, " ", line.bias_hash, "\n");
    }
    return trajectory;
  }

  // Of every rank.
  std::string Trajectory(const Mode& mode, const std::string& balance, int steps, const Flags& flags = {}) {
    Ranks ranks = Start(mode, balance, steps, flags);
    std::string trajectory;
    for (int rank = 0; rank < kRanks; ++rank) {
      const Ending ending = ranks[rank]->Wait();
      EXPECT_EQ(ending.exit_code, 0) << mode.name << ", rank " << rank << ": " << ending.stderr_text;
      if (rank == 0) trajectory = TrajectoryOf(ending.stdout_text);
      EXPECT_EQ(TrajectoryOf(ending.stdout_text), trajectory) << mode.name << ", rank " << rank;
    }
    return trajectory;
  }

  // Of one process that stands for all ranks.
  static std::string LocalTrajectory(const std::string& balance, int lag, int steps) {
    const Ending ending = ChildProcess({BuiltProgram("tests/counting_worker"), "--coordinator=", "--job=local",
                                        "--balance=" + balance, absl::StrCat("--lag=", lag),
                                        absl::StrCat("--steps=", steps), absl::StrCat("--counted_ranks=", kRanks)})
                              .Wait();
    EXPECT_EQ(ending.exit_code, 0) << ending.stderr_text;
    return TrajectoryOf(ending.stdout_text);
  }

  std::unique_ptr<EvenkeeldProcess> coordinator_;
  int runs_ = 0;
};

const char* const kRules[] = {
    R"({"preset": "loss_free"})",
    R"({"preset": "torchtitan"})",
    R"({"preset": "axolotl_noaux_tc", "warmup_steps": 5})",
    R"({"preset": "evenkeel"})",
    R"({"preset": "evenkeel", "min_tokens": 300, "cap": 0.05, "cap_mode": "ABSOLUTE"})",
};

const Mode kModes[] = {
    kGroup,
    {"coordinator", /*coordinator=*/true},
    {"world + coordinator", /*coordinator=*/true, "world"},
    {"ep 2 + coordinator", /*coordinator=*/true, "ep", 2},
    {"ep 2 + coordinator, met in a folder", /*coordinator=*/true, "ep", 2, /*file_store=*/true},
};

TEST_F(WorkerModesTest, AllComeToTheSameBias) {
  for (const std::string balance : kRules) {
    SCOPED_TRACE(balance);
    const std::string expected = LocalTrajectory(balance, /*lag=*/0, kSteps);
    ASSERT_EQ(std::vector<std::string>(absl::StrSplit(expected, '\n', absl::SkipEmpty())).size(), kSteps + 1);
    for (const Mode& mode : kModes) EXPECT_EQ(Trajectory(mode, balance, kSteps), expected) << mode.name;
  }
}

TEST_F(WorkerModesTest, AllComeToTheSameBiasAtLagOne) {
  constexpr int kFewSteps = 100;
  const std::string on_time = LocalTrajectory(kRules[3], /*lag=*/0, kFewSteps);
  const std::string expected = LocalTrajectory(kRules[3], /*lag=*/1, kFewSteps);
  EXPECT_THAT(expected, HasSubstr("\n50: 48 "));
  EXPECT_NE(expected, on_time);
  for (Mode mode : kModes) {
    mode.lag = 1;
    EXPECT_EQ(Trajectory(mode, kRules[3], kFewSteps), expected) << mode.name;
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// What is counted, and what is done with it

// What job::ReferenceModel says of a job of `spec` with the counts of all ranks, some of whose steps are replayed.
std::string ReferenceTrajectory(v1::JobSpec spec, float initial_bias, int steps) {
  spec.set_name("run");
  spec.set_contributors(kRanks);
  for (const CountedLayer& counted : kCountedLayers) {
    v1::LayerSpec* layer = spec.add_layers();
    layer->set_name(counted.name);
    layer->set_num_experts(counted.num_experts);
    layer->set_top_k(kCountedTopK);
    layer->set_streams(counted.streams);
    layer->set_counts_dispatched(counted.counts_dispatched);
  }
  EXPECT_TRUE(config::ParseText(kUsual, "balance", spec.mutable_balance()).ok());
  const job::JobPlan plan = job::PlanJob(spec, v1::BalanceConfig(), job::NoLimits()).value();
  // What the worker names second (in two streams), first, third.
  const std::vector<int> index = {1, 1, 0, 2};
  job::ReferenceModel::Options options;
  options.owned.assign(kRanks, {0, 1, 2, 3});
  options.count = [&](int rank, uint64_t step, int row) {
    const Counted counted = CountsOf(kSeed, step, rank, index[row], plan.layers[row].stream);
    return job::ReferenceModel::LayerCounts{counted.counts, counted.tokens, /*short_slots=*/0, counted.dispatched};
  };
  options.ok = [](int rank, uint64_t step) { return StepTaken(kSeed, step, rank); };
  options.replayed = [](int rank, uint64_t step) { return StepReplayed(kSeed, step, rank); };
  job::JobState initial = job::InitialJobState(plan);
  for (job::JobState::Layer& layer : initial.layers) layer.balance.bias[0] = initial_bias;
  const std::vector<job::JobState> states = job::ReferenceModel(&plan, options).Trajectory(steps);
  const bool has_bias = spec.mode() != v1::JobSpec::Mode::OBSERVE;
  std::string trajectory;
  for (int step = 0; step <= steps; ++step) {
    const job::JobState& state = initial_bias != 0 ? initial : states[step];
    absl::StrAppend(&trajectory, step + 1, ": ", step, " ", states[step].ok, " ",
                    absl::StrFormat("%016x", has_bias ? job::StateHash(state) : 0), "\n");
  }
  return trajectory;
}

// Steps that are skipped, dropped or applied, and steps that are replayed; and beside them dry runs, evaluations and
// recomputed micro-batches, of which nothing is to be seen.
TEST_F(WorkerModesTest, AllComeToTheReferenceWhateverElseTheyDo) {
  constexpr int kFewSteps = 60;
  for (const std::string on_skip : {"drop", "apply"}) {
    SCOPED_TRACE(on_skip);
    v1::JobSpec spec;
    if (on_skip == "apply") spec.set_skip_policy(v1::JobSpec::SkipPolicy::APPLY);
    const std::string expected = ReferenceTrajectory(spec, /*initial_bias=*/0, kFewSteps);
    for (const Mode& mode : kModes) {
      const Flags flags = {"--replays=1", "--on_skip=" + on_skip, "--distracted=1"};
      EXPECT_EQ(Trajectory(mode, kUsual, kFewSteps, flags), expected) << mode.name;
    }
  }
}

TEST_F(WorkerModesTest, AFrozenJobHasTheBiasThatItBeganWith) {
  constexpr int kFewSteps = 20;
  v1::JobSpec spec;
  spec.set_mode(v1::JobSpec::Mode::FROZEN);
  const std::string expected = ReferenceTrajectory(spec, /*initial_bias=*/0.25f, kFewSteps);
  for (const Mode& mode : kModes) {
    EXPECT_EQ(Trajectory(mode, kUsual, kFewSteps, {"--mode=frozen", "--initial_bias=0.25"}), expected) << mode.name;
  }
}

TEST_F(WorkerModesTest, AnObservedJobHasNoBias) {
  constexpr int kFewSteps = 20;
  v1::JobSpec spec;
  spec.set_mode(v1::JobSpec::Mode::OBSERVE);
  const std::string expected = ReferenceTrajectory(spec, /*initial_bias=*/0, kFewSteps);
  for (Mode mode : kModes) {
    EXPECT_EQ(Trajectory(mode, kUsual, kFewSteps, {"--mode=observe"}), expected) << mode.name;
  }
}

// The others hear of it, and do not wait for ever.
TEST_F(WorkerModesTest, ARankThatDiesIsAnErrorOnTheOthers) {
  for (const Mode& mode : {kGroup, Mode{"world + coordinator", /*coordinator=*/true, "world"}}) {
    for (const int victim : {0, 2}) {
      SCOPED_TRACE(absl::StrCat(mode.name, ", rank ", victim));
      Ranks ranks = Start(mode, kRules[0], /*steps=*/1'000'000);
      // Until it is at work. There is no event for that but what it writes.
      while (ranks[victim]->Output().size() < 1000 && !ranks[victim]->Poll().has_value()) {
        absl::SleepFor(absl::Milliseconds(1));
      }
      ranks[victim]->Signal(SIGKILL);
      for (int rank = 0; rank < kRanks; ++rank) {
        if (rank == victim) continue;
        const Ending ending = ranks[rank]->Wait();
        EXPECT_EQ(ending.exit_code, 1);
        // Gloo takes a connection that ends in the middle of a message for silence.
        EXPECT_THAT(ending.stderr_text, AnyOf(HasSubstr("(code 14)"), HasSubstr("(code 4)")));
      }
    }
  }
}

TEST_F(WorkerModesTest, RefusesReplicasThatWouldDiverge) {
  for (const Mode& mode : {Mode{"alone"}, Mode{"ep 2", /*coordinator=*/false, "ep", 2, /*file_store=*/true}}) {
    const Ending ending = ChildProcess(CommandOf(mode, "run", NewFolder("store"), 0, kRules[0])).Wait();
    EXPECT_EQ(ending.exit_code, 1);
    EXPECT_THAT(ending.stderr_text, HasSubstr("the replicas diverge"));
  }
}

TEST_F(WorkerModesTest, ARankThatWasToldAnotherJobIsNamed) {
  const std::string store = NewFolder("store");
  Ranks ranks;
  for (int rank = 0; rank < kRanks; ++rank) {
    ranks.push_back(std::make_unique<ChildProcess>(CommandOf(kGroup, "run", store, rank, kRules[rank == 3 ? 1 : 0])));
  }
  for (int rank = 0; rank < 3; ++rank) {
    const Ending ending = ranks[rank]->Wait();
    EXPECT_EQ(ending.exit_code, 1);
    EXPECT_THAT(ending.stderr_text, HasSubstr("rank 3 of the group: its layers or its balance config"));
  }
}

}  // namespace
}  // namespace evenkeel::tests
