// A run whose config is changed by the command line while it goes on, also before and during outages of the
// coordinator: every worker has the bias that the reference computes from the counts, the versions that routed them and
// the config of each step; and the record of the run comes out the same when it is replayed.

#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "job/job_plan.h"
#include "tests/child_process.h"
#include "tests/counting_bench.h"

namespace evenkeel::tests {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

using Mode = v1::JobSpec::Mode;

constexpr char kFrozenLayer[] = "model.layers.0.gate";

class WorkerConfigTest : public CountingBench {
 protected:
  void SetUp() override {
    coordinator_options_.flags = {absl::StrCat("--record=", record_)};
    CountingBench::SetUp();
  }

  // Every step that is in the record comes out as it did in the run. Where the coordinator was killed, the newest steps
  // may be missing; they are told.
  void ExpectRecord() {
    KillCoordinator(SIGTERM);
    const Ending ending =
        ChildProcess({BuiltProgram("tools/evenkeel"), "replay", "--record", record_, "--job", job_}).Wait();
    EXPECT_EQ(ending.exit_code, 0) << ending.stdout_text << ending.stderr_text;
    uint64_t missing = 0;
    for (absl::string_view line : absl::StrSplit(ending.stdout_text, '\n')) {
      const std::vector<absl::string_view> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
      uint64_t first = 0;
      uint64_t last = 0;
      if (words.size() < 4 || words[0] != "steps" || !absl::SimpleAtoi(words[1], &first)) continue;
      ASSERT_TRUE(absl::SimpleAtoi(words[3], &last)) << line;
      missing += last - first + 1;
    }
    EXPECT_THAT(ending.stdout_text, StartsWith(absl::StrCat("job ", job_, ": ", steps_ - missing,
                                                            " steps replayed, 1 to ", steps_, ", all equal\n")));
    EXPECT_THAT(ending.stdout_text, HasSubstr("the config was changed"));
    EXPECT_THAT(ending.stdout_text, HasSubstr("the coordinator was started again after step "));
  }

  // `evenkeel set` of the job.
  Ending Set(std::vector<std::string> flags) const {
    flags.insert(flags.begin(),
                 {BuiltProgram("tools/evenkeel"), "set", "--job", job_, "--coordinator", coordinator_->address()});
    return ChildProcess(flags).Wait();
  }
  std::string SetWell(const std::vector<std::string>& flags) const {
    const Ending ending = Set(flags);
    EXPECT_EQ(ending.exit_code, 0) << ending.stderr_text;
    return ending.stdout_text;
  }

  // The preset evenkeel with these two.
  static v1::ConfigChange Whole(v1::BalanceConfig::Rule rule, double rate) {
    v1::ConfigChange change;
    change.mutable_balance()->set_preset("evenkeel");
    change.mutable_balance()->set_rule(rule);
    change.mutable_balance()->set_rate(rate);
    change.set_mode(Mode::BALANCE);
    return change;
  }

  // The workers go through the steps up to `step`, and the coordinator commits them.
  void RunTo(uint64_t step) {
    GoTo(step);
    ASSERT_TRUE(AwaitLines(step));
    AwaitCommitted(step);
  }

  const std::string record_ = NewFolder("record");
};

TEST_F(WorkerConfigTest, ChangesHoldFromTheirStepsWhateverHappensMeanwhile) {
  StartJob(Alone(3), 90, {{"on_loss", "hold"}, {"patience_ms", "500"}});
  RunTo(10);

  // The coordinator is killed between a change and its step.
  SetWell({"--rate", "0.05", "--from-step", "15", "--note", "faster"});
  KillCoordinator();
  StartCoordinator();
  RunTo(20);
  changes_[15] = Whole(v1::BalanceConfig::PROPORTIONAL, .05);

  // Steps that are routed with what was there before the outage, and join a move, from before the change to after it.
  SetWell({"--balance", R"({"rule": "SIGN", "rate": 0.002})", "--from-step", "30"});
  KillCoordinator();
  GoTo(40);
  ASSERT_TRUE(AwaitLines(40));
  StartCoordinator();
  AwaitCommitted(40);
  changes_[30] = Whole(v1::BalanceConfig::SIGN, .002);

  // One layer rests for ten steps, and then all of them.
  SetWell({"--layer", kFrozenLayer, "--freeze", "--from-step", "45"});
  SetWell({"--undo", "--from-step", "41"});
  SetWell({"--layer", kFrozenLayer, "--freeze", "--from-step", "45"});
  RunTo(54);
  SetWell({"--undo", "--from-step", "55"});
  SetWell({"--freeze", "--from-step", "60"});
  SetWell({"--unfreeze", "--from-step", "65"});
  changes_[45] = changes_[55] = changes_[60] = changes_[65] = changes_[30];
  v1::LayerOverride* layer = changes_[45].add_overrides();
  layer->set_layer(kFrozenLayer);
  layer->mutable_balance()->set_frozen(true);
  changes_[60].set_mode(Mode::FROZEN);
  RunTo(70);

  const Ending late = Set({"--rate", "1", "--from-step", "70"});
  EXPECT_EQ(late.exit_code, 1);
  EXPECT_THAT(late.stderr_text, HasSubstr("from_step is 70, which is committed"));
  EXPECT_THAT(SetWell({"--balance", R"({"rule": "FREQUENCY"})", "--from-step", "75"}),
              HasSubstr("75  to come   rule: SIGN -> FREQUENCY"));
  changes_[75] = Whole(v1::BalanceConfig::FREQUENCY, .002);

  // A worker that is started later is told the old spec, and goes on with the others.
  Kill(2);
  Restart(2, 71);
  ExpectReferenceAtTheEnd();
  ExpectRecord();
}

}  // namespace
}  // namespace evenkeel::tests
