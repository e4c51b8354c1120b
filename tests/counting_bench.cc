#include "tests/counting_bench.h"

#include <signal.h>

#include <algorithm>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "config/text.h"
#include "grpcpp/grpcpp.h"
#include "tests/counted_tokens.h"

namespace evenkeel::tests {
namespace {

// Long enough for whatever is to happen on a machine that is busy.
constexpr absl::Duration kPatience = absl::Seconds(60);

std::string Hash(const job::JobState& state) { return absl::StrFormat("%016x", job::StateHash(state)); }

// The index in kCountedLayers.
int IndexOf(const std::string& name) {
  const auto layer = std::find_if(std::begin(kCountedLayers), std::end(kCountedLayers),
                                  [&](const CountedLayer& counted) { return counted.name == name; });
  return static_cast<int>(layer - std::begin(kCountedLayers));
}

void ClearEpochs(v1::JobState* state) {
  state->mutable_version()->clear_epoch();
  for (v1::Version& version : *state->mutable_last_commit()->mutable_stale_versions()) version.clear_epoch();
}

}  // namespace

std::vector<StepLine> ReadLines(const std::string& output) {
  std::vector<StepLine> lines;
  std::istringstream text(output.substr(0, output.rfind('\n') + 1));
  StepLine line;
  while (text >> line.step >> line.epoch >> line.version >> line.provisional >> line.ok >> line.bias_hash >>
         line.staleness >> line.undelivered >> line.lost >> line.max_violation) {
    lines.push_back(line);
  }
  return lines;
}

// ---------------------------------------------------------------------------------------------------------------------
// The coordinator

void CountingBench::SetUp() {
  coordinator_options_.state_dir = NewFolder("state");
  StartCoordinator();
}

void CountingBench::StartCoordinator() {
  absl::StatusOr<std::unique_ptr<EvenkeeldProcess>> process = EvenkeeldProcess::Start(coordinator_options_);
  ASSERT_TRUE(process.ok()) << process.status();
  coordinator_ = *std::move(process);
  coordinator_options_.listen = coordinator_->address();
}

void CountingBench::KillCoordinator(int signal) {
  coordinator_->Signal(signal);
  coordinator_->Wait();
}

v1::DescribeJobResponse CountingBench::Describe() const {
  v1::DescribeJobRequest request;
  request.set_job(job_);
  v1::DescribeJobResponse response;
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + kPatience));
  const grpc::Status status = NewStub()->DescribeJob(&context, request, &response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return response;
}

bool CountingBench::Eventually(const std::function<bool()>& condition) {
  for (const absl::Time deadline = absl::Now() + kPatience; absl::Now() < deadline;) {
    if (condition()) return true;
    absl::SleepFor(absl::Milliseconds(1));
  }
  return condition();
}

void CountingBench::AwaitCommitted(uint64_t step) {
  ASSERT_TRUE(Eventually([&] { return Describe().summary().version().step() >= step; })) << "step " << step;
}

// ---------------------------------------------------------------------------------------------------------------------
// The workers

std::vector<CountingBench::Contributor> CountingBench::Groups(int ranks, int size) {
  std::vector<Contributor> contributors(ranks / size);
  for (int rank = 0; rank < ranks; ++rank) contributors[rank / size].ranks.push_back(rank);
  return contributors;
}

void CountingBench::StartJob(std::vector<Contributor> contributors, uint64_t steps, const Flags& flags) {
  static int jobs = 0;
  job_ = absl::StrCat("run", ++jobs);
  contributors_ = std::move(contributors);
  steps_ = steps;
  flags_ = flags;
  lag_ = flags.count("lag") > 0 ? std::stoi(flags.at("lag")) : 0;
  lost_.clear();
  missing_.clear();
  changes_.clear();
  workers_.clear();
  size_t ranks = 0;
  for (const Contributor& contributor : contributors_) ranks += contributor.ranks.size();
  earlier_output_.assign(ranks, "");
  for (size_t rank = 0; rank < ranks; ++rank) workers_.push_back(StartWorker(static_cast<int>(rank), 1, {}));
}

std::unique_ptr<ChildProcess> CountingBench::StartWorker(int rank, uint64_t next_step, const Flags& more) const {
  const Place place = PlaceOf(rank);
  Flags flags = {{"coordinator", place.coordinator},
                 {"job", job_},
                 {"rank", absl::StrCat(rank)},
                 {"world_size", absl::StrCat(world_size())},
                 {"balance", balance_},
                 {"seed", absl::StrCat(seed_)},
                 {"steps", absl::StrCat(steps_)},
                 {"next_step", absl::StrCat(next_step)},
                 {"steered", "before"}};
  for (size_t index = 0; index < contributors_.size(); ++index) {
    const Contributor& contributor = contributors_[index];
    if (std::count(contributor.ranks.begin(), contributor.ranks.end(), rank) == 0) continue;
    if (contributor.layers.size() < kNumCountedLayers) flags["owned"] = absl::StrJoin(contributor.layers, ",");
    if (contributor.ranks.size() == 1) continue;
    flags["group"] = "together";
    flags["group_ranks"] = absl::StrJoin(contributor.ranks, ",");
    flags["group_index"] = absl::StrCat(index);
    flags["group_count"] = absl::StrCat(contributors_.size());
  }
  for (const auto& [name, value] : flags_) flags[name] = value;
  for (const auto& [name, value] : more) flags[name] = value;
  std::vector<std::string> command = place.launcher;
  command.push_back(BuiltProgram("tests/counting_worker"));
  for (const auto& [name, value] : flags) command.push_back(absl::StrCat("--", name, "=", value));
  return std::make_unique<ChildProcess>(command);
}

void CountingBench::Restart(int rank, uint64_t next_step, const Flags& flags) {
  earlier_output_[rank] += workers_[rank]->Output();
  workers_[rank] = StartWorker(rank, next_step, flags);
}

void CountingBench::Kill(int rank) {
  workers_[rank]->Signal(SIGKILL);
  workers_[rank]->Wait();
}

void CountingBench::GoTo(uint64_t step) {
  for (const auto& worker : workers_) worker->Tell(absl::StrCat(step));
}

void CountingBench::GoToTheEnd() {
  for (const auto& worker : workers_) worker->EndInput();
}

bool CountingBench::AwaitLine(int rank, uint64_t step) {
  std::optional<Ending> ending;
  const bool is_there = Eventually([&] {
    const std::vector<StepLine> lines = ReadLines(workers_[rank]->Output());
    if (!lines.empty() && lines.back().step >= step) return true;
    ending = workers_[rank]->Poll();
    return ending.has_value();
  });
  EXPECT_TRUE(is_there) << "rank " << rank << " hangs before the end of step " << step;
  EXPECT_FALSE(ending.has_value()) << "rank " << rank << " ended: " << ending->stderr_text;
  return is_there && !ending.has_value();
}

bool CountingBench::AwaitLines(uint64_t step) {
  bool all = true;
  for (int rank = 0; rank < ranks(); ++rank) all = AwaitLine(rank, step) && all;
  return all;
}

std::vector<StepLine> CountingBench::Lines(int rank) const {
  std::map<uint64_t, StepLine> by_step;
  const std::string output = workers_[rank]->Output();
  for (const StepLine& line : ReadLines(earlier_output_[rank])) by_step[line.step] = line;
  for (const StepLine& line : ReadLines(output)) by_step[line.step] = line;
  std::vector<StepLine> lines;
  for (const auto& [step, line] : by_step) lines.push_back(line);
  return lines;
}

uint64_t CountingBench::LostSteps() const {
  uint64_t lost = 0;
  for (const Contributor& contributor : contributors_) {
    if (!contributor.ranks.empty()) lost += Lines(contributor.ranks[0]).back().lost;
  }
  return lost;
}

// ---------------------------------------------------------------------------------------------------------------------
// What must come of it

v1::JobSpec CountingBench::Spec() const {
  v1::JobSpec spec;
  spec.set_name(job_);
  spec.set_contributors(static_cast<int>(contributors_.size()));
  spec.set_world_size(world_size());
  spec.set_lag(lag_);
  spec.set_invariant_policy(v1::JobSpec::InvariantPolicy::REPORT);
  for (const CountedLayer& counted : kCountedLayers) {
    v1::LayerSpec* layer = spec.add_layers();
    layer->set_name(counted.name);
    layer->set_num_experts(counted.num_experts);
    layer->set_top_k(kCountedTopK);
    layer->set_streams(counted.streams);
    layer->set_counts_dispatched(counted.counts_dispatched);
  }
  EXPECT_TRUE(config::ParseText(balance_, "balance", spec.mutable_balance()).ok());
  const auto on_missing = flags_.find("on_missing");
  if (on_missing != flags_.end()) {
    spec.set_missing_policy(on_missing->second == "fail" ? v1::JobSpec::MissingPolicy::FAIL
                                                         : v1::JobSpec::MissingPolicy::COMMIT_WITHOUT);
  }
  const auto membership = flags_.find("membership");
  if (membership != flags_.end()) {
    EXPECT_TRUE(config::ParseText(membership->second, "membership", spec.mutable_membership()).ok());
  }
  return spec;
}

job::JobPlan CountingBench::Plan() const { return job::PlanJob(Spec(), v1::BalanceConfig(), job::NoLimits()).value(); }

job::ReferenceModel::Deliveries CountingBench::Deliveries() const {
  job::ReferenceModel::Deliveries deliveries;
  for (size_t index = 0; index < contributors_.size(); ++index) {
    if (contributors_[index].ranks.empty()) continue;
    for (const StepLine& line : Lines(contributors_[index].ranks[0])) {
      const std::pair<uint64_t, int> key = {line.step, static_cast<int>(index)};
      deliveries[key] = {line.version, line.provisional, lost_.count(key) > 0};
    }
  }
  for (const std::pair<uint64_t, int>& key : missing_) deliveries[key].missing = true;
  return deliveries;
}

std::vector<job::JobState> CountingBench::Reference(const job::ReferenceModel::Deliveries& deliveries) const {
  const job::JobPlan plan = Plan();
  job::ReferenceModel::Options options;
  options.finds_violations = true;
  for (const Contributor& contributor : contributors_) {
    std::vector<int> owned;
    for (int place = 0; place < plan.layers.size(); ++place) {
      const int index = IndexOf(plan.layers[place].name);
      if (std::count(contributor.layers.begin(), contributor.layers.end(), index) > 0) owned.push_back(place);
    }
    options.owned.push_back(owned);
  }
  options.count = [&](int contributor, uint64_t step, int place) {
    const job::LayerTable::Row& row = plan.layers[place];
    job::ReferenceModel::LayerCounts sums;
    sums.experts.resize(row.num_experts);
    if (row.dispatched_offset >= 0) sums.dispatched.resize(row.num_experts);
    for (const int rank : contributors_[contributor].ranks) {
      const Counted counted = CountsOf(seed_, step, rank, IndexOf(row.name), row.stream);
      for (size_t expert = 0; expert < sums.dispatched.size(); ++expert) {
        sums.dispatched[expert] += counted.dispatched[expert];
      }
      for (size_t expert = 0; expert < sums.experts.size(); ++expert) sums.experts[expert] += counted.counts[expert];
      sums.tokens += counted.tokens;
    }
    return sums;
  };
  options.ok = [&](int contributor, uint64_t step) {
    const std::vector<int>& ranks = contributors_[contributor].ranks;
    return std::all_of(ranks.begin(), ranks.end(), [&](int rank) { return StepTaken(seed_, step, rank); });
  };
  for (const auto& [step, change] : changes_) options.changes[step] = job::WithChange(plan, change).value();
  return job::ReferenceModel(&plan, options).Trajectory(steps_, deliveries);
}

void CountingBench::ExpectWholeLines(int rank, const std::vector<StepLine>& lines) const {
  ASSERT_EQ(lines.size(), steps_ + 1) << "rank " << rank;
  for (uint64_t step = 1; step <= steps_ + 1; ++step) ASSERT_EQ(lines[step - 1].step, step) << "rank " << rank;
  EXPECT_EQ(lines.back().version, steps_) << "rank " << rank;
  EXPECT_EQ(lines.back().undelivered, 0) << "rank " << rank;
}

void CountingBench::ExpectStateOf(const job::JobPlan& plan, const job::JobState& state) const {
  v1::GetStateRequest request;
  request.set_job(job_);
  v1::GetStateResponse response;
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + kPatience));
  const grpc::Status status = NewStub()->GetState(&context, request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  v1::JobState stored;
  ASSERT_TRUE(stored.ParseFromString(response.snapshot().state()));
  v1::JobState expected = job::ToProto(plan, state);
  // What the reference does not say.
  for (v1::JobState* message : {&stored, &expected}) {
    ClearEpochs(message);
    message->clear_move();
    message->clear_changes();
  }
  EXPECT_EQ(stored.DebugString(), expected.DebugString());
  EXPECT_EQ(stored.SerializeAsString(), expected.SerializeAsString());
}

void CountingBench::ExpectReferenceAtTheEnd(const std::set<int>& gone) {
  GoToTheEnd();
  for (int rank = 0; rank < ranks(); ++rank) {
    if (gone.count(rank) > 0) continue;
    const Ending ending = worker(rank).WaitAtMost(kPatience);
    ASSERT_EQ(ending.exit_code, 0) << "rank " << rank << ", signal " << ending.signal << ": " << ending.stderr_text;
    ASSERT_NO_FATAL_FAILURE(ExpectWholeLines(rank, Lines(rank)));
  }
  const std::vector<job::JobState> states = Reference(Deliveries());
  for (const Contributor& contributor : contributors_) {
    if (contributor.ranks.empty() || gone.count(contributor.ranks[0]) > 0) continue;
    const std::vector<StepLine> leader = Lines(contributor.ranks[0]);
    for (const int rank : contributor.ranks) {
      const std::vector<StepLine> lines = Lines(rank);
      for (size_t i = 0; i < lines.size(); ++i) {
        const StepLine& line = lines[i];
        // A group never mixes versions.
        ASSERT_EQ(line.version, leader[i].version) << "rank " << rank << ", step " << line.step;
        ASSERT_EQ(line.bias_hash, leader[i].bias_hash) << "rank " << rank << ", step " << line.step;
        if (line.provisional) continue;
        ASSERT_EQ(line.bias_hash, Hash(states[line.version]))
            << "rank " << rank << ", step " << line.step << ", version " << line.version << ", seed " << seed_;
        ASSERT_EQ(line.ok, states[line.version].ok) << "rank " << rank << ", version " << line.version;
      }
    }
  }
  const auto later = changes_.upper_bound(steps_);
  const job::JobPlan plan = Plan();
  ExpectStateOf(later == changes_.begin() ? plan : job::WithChange(plan, std::prev(later)->second).value(),
                states[steps_]);
}

}  // namespace evenkeel::tests
