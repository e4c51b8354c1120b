#pragma once

#include <signal.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "evenkeel/v1/bias_coordinator.grpc.pb.h"
#include "gtest/gtest.h"
#include "job/job_plan.h"
#include "job/job_state.h"
#include "job/reference_model.h"
#include "tests/child_process.h"
#include "tests/evenkeeld_process.h"

namespace evenkeel::tests {

// What counting_worker prints of a step.
struct StepLine {
  uint64_t step = 0;
  // That routed it.
  uint64_t epoch = 0;
  uint64_t version = 0;
  bool provisional = false;
  // Of that version.
  bool ok = true;
  std::string bias_hash;
  uint64_t staleness = 0;
  uint64_t undelivered = 0;
  uint64_t lost = 0;
  double max_violation = 0;
};

// The whole lines of `output`.
std::vector<StepLine> ReadLines(const std::string& output);

// A job of real counting_workers and a real evenkeeld, what is done to them, and what must come of it: the trajectory
// that job::ReferenceModel computes from nothing but the seed and the versions that the workers say they routed with.
class CountingBench : public ::testing::Test {
 protected:
  using Flags = std::map<std::string, std::string>;
  struct Contributor {
    // The first pushes. None: this is the test's own (Bystander), the last contributor.
    std::vector<int> ranks;
    // As in kCountedLayers.
    std::vector<int> layers = {0, 1, 2};
  };

  // With a coordinator.
  void SetUp() override;

  // Every rank by itself, or in groups of `size` neighbours; all layers.
  static std::vector<Contributor> Alone(int ranks) { return Groups(ranks, 1); }
  static std::vector<Contributor> Groups(int ranks, int size);

  // The coordinator: dead when KillCoordinator returns, and later at the address that it had first.
  void KillCoordinator(int signal = SIGKILL);
  void StartCoordinator();
  // Asks until it holds, or a minute has passed: there is no event to wait for when another process is to get
  // somewhere.
  static bool Eventually(const std::function<bool()>& condition);
  // Until it has committed `step`.
  void AwaitCommitted(uint64_t step);
  std::unique_ptr<v1::BiasCoordinator::Stub> NewStub() const { return coordinator_->NewStub(); }
  v1::DescribeJobResponse Describe() const;

  // How the process of a rank is started, and where it finds the coordinator.
  struct Place {
    std::vector<std::string> launcher;
    std::string coordinator;
  };
  virtual Place PlaceOf(int rank) const { return {{}, coordinator_options_.listen}; }

  // A new job, and its workers, which are steered. `flags` are those of counting_worker, for all ranks.
  void StartJob(std::vector<Contributor> contributors, uint64_t steps, const Flags& flags);
  // A worker in place of one that is gone, which has left its lines; with more flags, or others.
  void Restart(int rank, uint64_t next_step, const Flags& flags = {});
  void Kill(int rank);
  int ranks() const { return static_cast<int>(workers_.size()); }
  ChildProcess& worker(int rank) { return *workers_[rank]; }

  // The job as all contributors are told it.
  v1::JobSpec Spec() const;

  // Lets workers go on to `step`, and no further; or as far as there is to go.
  void GoTo(uint64_t step);
  void GoToTheEnd();
  // Until rank, or every rank, has begun `step` and counted it. False, and a failure, when it has ended instead, or
  // hangs.
  bool AwaitLine(int rank, uint64_t step);
  bool AwaitLines(uint64_t step);

  // All lives of the rank together, a step that was begun anew once.
  std::vector<StepLine> Lines(int rank) const;

  // Steps of all contributors together whose counts were not delivered, as their workers say.
  uint64_t LostSteps() const;

  // How every push was routed, as the lines tell.
  job::ReferenceModel::Deliveries Deliveries() const;
  std::vector<job::JobState> Reference(const job::ReferenceModel::Deliveries& deliveries) const;
  // Every worker but those that are `gone` ends well; every version that any of the others had, and the coordinator's
  // state after the last step, are those of the reference, bit for bit.
  void ExpectReferenceAtTheEnd(const std::set<int>& gone = {});

  // How the job is balanced from the commits of these steps on; before the first, as `balance_` says.
  std::map<uint64_t, v1::ConfigChange> changes_;
  // Steps whose counts a contributor has lost, for Deliveries.
  std::set<std::pair<uint64_t, int>> lost_;
  // Steps that were committed without a contributor, likewise.
  std::set<std::pair<uint64_t, int>> missing_;
  std::string balance_ = R"({"preset": "evenkeel"})";
  uint64_t seed_ = 7;
  EvenkeeldProcess::Options coordinator_options_;
  std::unique_ptr<EvenkeeldProcess> coordinator_;

  // Of the job.
  std::string job_;
  uint64_t steps_ = 0;

 private:
  // Of all ranks, the test's own among them.
  int world_size() const { return static_cast<int>(earlier_output_.size()) + contributors_.back().ranks.empty(); }
  std::unique_ptr<ChildProcess> StartWorker(int rank, uint64_t next_step, const Flags& more) const;
  job::JobPlan Plan() const;
  void ExpectWholeLines(int rank, const std::vector<StepLine>& lines) const;
  void ExpectStateOf(const job::JobPlan& plan, const job::JobState& state) const;

  std::vector<Contributor> contributors_;
  Flags flags_;
  int lag_ = 0;
  std::vector<std::unique_ptr<ChildProcess>> workers_;
  std::vector<std::string> earlier_output_;  // of lives before the present ones
};

}  // namespace evenkeel::tests
