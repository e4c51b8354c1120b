#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/log_event.h"
#include "base/mutex.h"
#include "evenkeel/v1/bias_coordinator.pb.h"
#include "evenkeel/v1/coordinator_config.pb.h"
#include "server/core/coordinator.h"
#include "server/core/effects.h"
#include "server/engine/job_view.h"
#include "server/engine/running_clock.h"
#include "server/history/history.h"
#include "server/recorder/recorder.h"
#include "server/store/store.h"
#include "server/telemetry/metrics.h"

namespace evenkeel::engine {

// Runs the coordinator. Calls arrive from any thread as events in a queue; the engine's own thread takes all that are
// waiting, lets core decide, makes what they changed durable in one transaction, and only then answers. So commits of
// several jobs share a disk write, and nobody hears of what is not on disk.
//
// Most pushes only wait for the others of their step. They are decided at once by a thread that brings one, which takes
// those along that other threads have left: core is one thread's at a time, and no thread waits for it. The engine's
// thread is woken for what there is to write or to answer, in the order in which it was decided.
//
// A few times in every second time itself is an event. It is the time in which this process has been able to listen
// (running_clock.h): nobody is found missing because the coordinator stood still.
//
// A job that has expired wakes when it is called by its name.
//
// All methods are thread-safe and none blocks, but for Start and Stop. Callbacks run on the engine's thread, each
// exactly once, and must not block.
class Engine {
 public:
  template <typename T>
  using Done = std::function<void(absl::StatusOr<T>)>;
  // `more`: another is answered at the same moment, and follows at once.
  using PushDone = std::function<void(absl::StatusOr<std::shared_ptr<const v1::CommittedVersion>> reply, bool more)>;

  // What the engine tells its process; both are called on the engine's thread.
  struct Listener {
    LogSink log;
    // A write has failed: nothing is answered from then on, and the process must end.
    std::function<void(const absl::Status&)> fatal;
  };

  // Restores what the store holds, in its next epoch, and starts. What becomes durable is given to `recorder`, if there
  // is one. `metrics` and `recorder` outlive the engine.
  static absl::StatusOr<std::unique_ptr<Engine>> Start(const v1::CoordinatorConfig& config,
                                                       std::unique_ptr<store::Store> store, telemetry::Metrics* metrics,
                                                       recorder::Recorder* recorder, Listener listener);

  // Stops as Stop does.
  ~Engine();

  void Join(v1::JoinRequest request, Done<v1::JoinResponse> done);

  // An empty message to read a push into, with the memory of one that has been decided, if there is any.
  v1::PushRequest EmptyPush();
  // `done` is called when the step commits. Returns the name by which Cancel knows the call.
  core::CallId Push(v1::PushRequest request, PushDone done);
  // Answers the call with CANCELLED, if it still waits. Its counts stay.
  void Cancel(core::CallId call);

  void Heartbeat(v1::HeartbeatRequest request, Done<v1::HeartbeatResponse> done);
  void Leave(v1::LeaveRequest request, Done<v1::LeaveResponse> done);
  // What has changed is told by a line of the log.
  void UpdateConfig(v1::UpdateConfigRequest request, Done<v1::UpdateConfigResponse> done);
  void GetState(v1::GetStateRequest request, Done<v1::GetStateResponse> done);
  void PutState(v1::PutStateRequest request, Done<v1::PutStateResponse> done);
  void Describe(const std::string& job, Done<v1::DescribeJobResponse> done);
  void GetHistory(v1::GetHistoryRequest request, Done<v1::GetHistoryResponse> done);
  void List(Done<v1::ListJobsResponse> done);

  // Answers parked calls, and all that come later, with UNAVAILABLE (SHUTTING_DOWN).
  void Drain();

  // Ends the thread when the queue is empty. No call may come later, or still wait: drain, and shut the server down,
  // first. Idempotent.
  void Stop();

 private:
  // One event: what core decides goes into the batch; what is to be said once the batch is durable is returned.
  using Event = std::function<std::function<void()>(core::Effects*)>;
  struct ParkedPush {
    std::string job;
    PushDone done;
  };
  struct QueuedPush {
    core::CallId call = 0;
    v1::PushRequest request;
    PushDone done;
  };
  // By the job's name.
  using Overviews = std::map<std::string, Overview>;
  // An answer that may be sent once what was decided before it is durable.
  struct Reply {
    PushDone done;
    absl::StatusOr<std::shared_ptr<const v1::CommittedVersion>> reply;
  };

  Engine(const v1::CoordinatorConfig& config, std::unique_ptr<store::Store> store, telemetry::Metrics* metrics,
         recorder::Recorder* recorder, Listener listener);

  void Post(Event event);
  void Run();
  // `ticks`: time is one of them, and the last.
  void RunBatch(const std::vector<Event>& events, bool ticks);
  // Makes durable what has been decided so far. False when that failed, and the process must end.
  bool Write(const core::Effects& effects);
  // The states of those steps that are remembered, ascending, all that was decided before included.
  absl::StatusOr<core::History> Remembered(const std::string& job, const std::vector<uint64_t>& steps,
                                           const core::Effects& effects);
  // Takes the job over from the store, where it has expired.
  absl::Status Wake(const std::string& job, core::Effects* effects);
  // An event that asks core and answers with what it says.
  template <typename T>
  void Ask(Done<T> done, std::function<absl::StatusOr<T>(core::Effects*)> question);
  // The same about a job, which wakes where it has expired.
  template <typename T>
  void AskAbout(std::string job, Done<T> done, std::function<absl::StatusOr<T>(core::Effects*)> question);

  // Lets core decide the queued pushes, unless another thread does just now, which then looks again.
  void DecidePushes();
  // By whoever has core.
  void DecideQueuedPushes(core::Effects* effects);
  void DecidePush(QueuedPush* push, core::Effects* effects);
  // Keeps the memory of what has been decided.
  void Reuse(std::vector<QueuedPush>* pushes);
  std::vector<Reply> Unpark(std::vector<core::Answer> answers);

  void CountPush(const std::string& job, core::PushResult result, const core::Effects& effects);
  // Of the jobs that have changed. By whoever has core.
  Overviews OverviewsOf(const core::Effects& effects) const;
  // Tells the metrics page and the log of what is durable.
  void Publish(const core::Effects& effects, Overviews overviews, double store_seconds);
  // Of a job that has expired.
  void Forget(const std::string& job);

  telemetry::Metrics* const metrics_;
  // Shared with the views of jobs on the metrics page.
  const std::shared_ptr<history::History> history_ = std::make_shared<history::History>();
  recorder::Recorder* const recorder_;
  const Listener listener_;

  // Taken before mutex_. Events run with it, which the analysis of annotations does not see: what it guards has none.
  Mutex core_;
  core::Coordinator coordinator_;
  RunningClock clock_;
  std::unordered_map<core::CallId, ParkedPush> parked_;
  // Of pushes that were decided on other threads, for the engine's next batch to begin with.
  core::Effects decided_;
  bool shutting_down_ = false;
  // Jobs of which somebody was heard since the last tick: what is shown of them is looked at again.
  std::set<std::string> heard_;

  // Of the engine's thread.
  const std::unique_ptr<store::Store> store_;
  std::unordered_map<std::string, JobTotals> totals_;
  // The newest of each job that is durable, from which the metrics page makes its layers.
  std::unordered_map<std::string, std::shared_ptr<const v1::JobState>> states_;
  // Of the batch: writes that are durable.
  size_t written_ = 0;
  bool failed_ = false;

  Mutex mutex_;
  CondVar wake_;
  std::vector<Event> queue_ ABSL_GUARDED_BY(mutex_);
  std::vector<QueuedPush> pushes_ ABSL_GUARDED_BY(mutex_);
  // For EmptyPush; with contents of no meaning.
  std::vector<v1::PushRequest> spare_ ABSL_GUARDED_BY(mutex_);
  // Whether there is something in decided_.
  bool due_ ABSL_GUARDED_BY(mutex_) = false;
  core::CallId next_call_ ABSL_GUARDED_BY(mutex_) = 1;
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;

  std::thread thread_;
};

}  // namespace evenkeel::engine
