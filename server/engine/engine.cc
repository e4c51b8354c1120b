#include "server/engine/engine.h"

#include <chrono>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/time/clock.h"
#include "absl/types/span.h"
#include "base/error_detail.h"
#include "base/status_macros.h"
#include "evenkeel/v1/error_detail.pb.h"

namespace evenkeel::engine {
namespace {

// How often time is an event: deadlines are kept that exactly.
constexpr std::chrono::milliseconds kTick(200);

// Pushes that are read at one moment are few; of what they have held, 16 MiB are kept.
constexpr size_t kMaxSparePushes = 16;
constexpr int kMaxSpareCounts = 1 << 18;

absl::Status ShuttingDown() {
  return ServiceError(absl::StatusCode::kUnavailable, v1::ErrorDetail::SHUTTING_DOWN,
                      "the coordinator is stopping; retry");
}

std::string PushLabel(core::PushResult result, const core::Effects& effects) {
  switch (result) {
    case core::PushResult::kAccepted:
      return "accepted";
    case core::PushResult::kDuplicate:
      return "duplicate";
    case core::PushResult::kLate:
      return "late";
    case core::PushResult::kRefused:
      break;
  }
  return absl::AsciiStrToLower(v1::ErrorDetail::Reason_Name(ReasonOf(effects.answers.back().reply.status())));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Engine>> Engine::Start(const v1::CoordinatorConfig& config,
                                                      std::unique_ptr<store::Store> store, telemetry::Metrics* metrics,
                                                      recorder::Recorder* recorder, Listener listener) {
  EVENKEEL_ASSIGN_OR_RETURN(const std::vector<core::JobRecord> records, store->Load());
  std::unique_ptr<Engine> engine(new Engine(config, std::move(store), metrics, recorder, std::move(listener)));
  core::Effects effects;
  const absl::Status restored = engine->coordinator_.Restore(engine->clock_.Now(), records, &effects);
  if (!restored.ok()) return engine->store_->Explain(restored);
  if (!effects.writes.empty()) EVENKEEL_RETURN_IF_ERROR(engine->store_->Apply(effects.writes));
  if (recorder != nullptr) recorder->Restore(records);
  for (const core::JobRecord& record : records) {
    engine->history_->Restore(record.state);
    engine->states_[record.state.spec().name()] = std::make_shared<const v1::JobState>(record.state);
  }
  engine->Publish(effects, engine->OverviewsOf(effects), /*store_seconds=*/0);
  engine->thread_ = std::thread([raw = engine.get()] { raw->Run(); });
  return engine;
}

Engine::Engine(const v1::CoordinatorConfig& config, std::unique_ptr<store::Store> store, telemetry::Metrics* metrics,
               recorder::Recorder* recorder, Listener listener)
    : metrics_(metrics),
      recorder_(recorder),
      listener_(std::move(listener)),
      coordinator_(config),
      store_(std::move(store)) {}

Engine::~Engine() { Stop(); }

void Engine::Drain() {
  Post([this](core::Effects* effects) {
    shutting_down_ = true;
    coordinator_.ShutDown(effects);
    return nullptr;
  });
}

void Engine::Stop() {
  {
    MutexLock lock(&mutex_);
    stop_ = true;
  }
  wake_.NotifyOne();
  if (thread_.joinable()) thread_.join();
}

void Engine::Post(Event event) {
  {
    MutexLock lock(&mutex_);
    queue_.push_back(std::move(event));
  }
  wake_.NotifyOne();
}

void Engine::Run() {
  std::vector<Event> events;
  auto next_tick = std::chrono::steady_clock::now() + kTick;
  while (true) {
    bool ticks = false;
    {
      MutexLock lock(&mutex_);
      const auto idle = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
        return queue_.empty() && pushes_.empty() && !due_;
      };
      while (idle() && !stop_ && !ticks) ticks = !wake_.WaitUntil(&mutex_, next_tick);
      if (idle() && stop_) return;
      events.swap(queue_);
      due_ = false;
    }
    const auto now = std::chrono::steady_clock::now();
    ticks = now >= next_tick;
    if (ticks) next_tick = now + kTick;
    RunBatch(events, ticks);
    events.clear();
  }
}

void Engine::RunBatch(const std::vector<Event>& events, bool ticks) {
  if (failed_) return;
  written_ = 0;
  core::Effects effects;
  std::vector<std::function<void()>> replies;
  replies.reserve(events.size());
  std::vector<Reply> answers;
  Overviews overviews;
  {
    MutexLock lock(&core_);
    effects = std::exchange(decided_, {});
    for (const Event& event : events) replies.push_back(event(&effects));
    DecideQueuedPushes(&effects);
    if (ticks && !shutting_down_) {
      coordinator_.Tick(clock_.Now(), &effects);
      effects.attendance.insert(effects.attendance.end(), heard_.begin(), heard_.end());
      heard_.clear();
    }
    answers = Unpark(std::move(effects.answers));
    overviews = OverviewsOf(effects);
  }

  const auto start = std::chrono::steady_clock::now();
  if (!Write(effects)) return;
  const std::chrono::duration<double> store_seconds = std::chrono::steady_clock::now() - start;
  // Before anyone hears of it: what contributors do next is counted as their job's.
  Publish(effects, std::move(overviews), store_seconds.count());
  for (size_t i = 0; i < answers.size(); ++i) answers[i].done(std::move(answers[i].reply), i + 1 < answers.size());
  history_->Take(effects.writes);
  for (const std::function<void()>& reply : replies) {
    if (reply) reply();
  }
  if (recorder_ != nullptr) recorder_->Take(effects.writes);
}

bool Engine::Write(const core::Effects& effects) {
  const auto writes = absl::MakeSpan(effects.writes).subspan(written_);
  if (failed_ || writes.empty()) return !failed_;
  const absl::Status status = store_->Apply(writes);
  if (!status.ok()) {
    failed_ = true;
    metrics_->CountStoreFailure();
    listener_.fatal(status);
  }
  written_ = effects.writes.size();
  return !failed_;
}

absl::StatusOr<core::History> Engine::Remembered(const std::string& job, const std::vector<uint64_t>& steps,
                                                 const core::Effects& effects) {
  core::History states;
  if (steps.empty()) return states;
  if (!Write(effects)) return ShuttingDown();  // which nobody hears
  for (const uint64_t step : steps) {
    absl::StatusOr<std::optional<v1::JobState>> read = store_->State(job, step);
    if (!read.ok()) {
      metrics_->CountStoreFailure();
      return ServiceError(read.status().code(), v1::ErrorDetail::STATE_UNKNOWN, read.status().message());
    }
    std::optional<v1::JobState> state = *std::move(read);
    if (state.has_value()) states.push_back(*std::move(state));
  }
  return states;
}

absl::Status Engine::Wake(const std::string& job, core::Effects* effects) {
  if (coordinator_.Has(job)) return absl::OkStatus();
  if (!Write(*effects)) return ShuttingDown();  // which nobody hears
  const absl::StatusOr<std::optional<core::JobRecord>> record = store_->LoadExpired(job);
  if (record.ok() && !record->has_value()) return absl::OkStatus();
  const absl::Status status = record.ok() ? coordinator_.Wake(clock_.Now(), **record, effects) : record.status();
  if (!record.ok() || absl::IsDataLoss(status)) metrics_->CountStoreFailure();
  if (absl::IsDataLoss(status)) {
    return ServiceError(status.code(), v1::ErrorDetail::STATE_UNKNOWN, status.message());
  }
  EVENKEEL_RETURN_IF_ERROR(status);
  states_[job] = std::make_shared<const v1::JobState>((*record)->state);
  history_->Restore((*record)->state);
  if (recorder_ != nullptr) recorder_->Restore({**record});
  return absl::OkStatus();
}

template <typename T>
void Engine::Ask(Done<T> done, std::function<absl::StatusOr<T>(core::Effects*)> question) {
  Post([this, done = std::move(done), question = std::move(question)](core::Effects* effects) {
    auto answer = std::make_shared<absl::StatusOr<T>>(shutting_down_ ? ShuttingDown() : question(effects));
    return [done, answer] { done(std::move(*answer)); };
  });
}

template <typename T>
void Engine::AskAbout(std::string job, Done<T> done, std::function<absl::StatusOr<T>(core::Effects*)> question) {
  Ask<T>(std::move(done), [this, job = std::move(job), question = std::move(question)](core::Effects* effects) {
    const absl::Status awake = Wake(job, effects);
    return awake.ok() ? question(effects) : absl::StatusOr<T>(awake);
  });
}

void Engine::Join(v1::JoinRequest request, Done<v1::JoinResponse> done) {
  const std::string job = request.job().name();
  AskAbout<v1::JoinResponse>(
      job, std::move(done),
      [this, request = std::move(request)](core::Effects* effects) -> absl::StatusOr<v1::JoinResponse> {
        EVENKEEL_ASSIGN_OR_RETURN(
            const core::History history,
            Remembered(request.job().name(), coordinator_.StatesFor(clock_.Now(), request), *effects));
        return coordinator_.Join(clock_.Now(), request, effects, history);
      });
}

void Engine::Heartbeat(v1::HeartbeatRequest request, Done<v1::HeartbeatResponse> done) {
  Ask<v1::HeartbeatResponse>(std::move(done), [this, request = std::move(request)](core::Effects* effects) {
    absl::StatusOr<v1::HeartbeatResponse> response = coordinator_.Heartbeat(clock_.Now(), request, effects);
    if (response.ok() && request.has_figures()) heard_.insert(request.job());
    return response;
  });
}

void Engine::Leave(v1::LeaveRequest request, Done<v1::LeaveResponse> done) {
  Ask<v1::LeaveResponse>(
      std::move(done),
      [this, request = std::move(request)](core::Effects* effects) -> absl::StatusOr<v1::LeaveResponse> {
        EVENKEEL_RETURN_IF_ERROR(coordinator_.Leave(clock_.Now(), request, effects));
        return v1::LeaveResponse();
      });
}

void Engine::UpdateConfig(v1::UpdateConfigRequest request, Done<v1::UpdateConfigResponse> done) {
  auto tell = [this, done = std::move(done), job = request.job()](absl::StatusOr<v1::UpdateConfigResponse> response) {
    if (response.ok()) listener_.log(InfoEvent("config_changed", ConfigLine(job, *response), job));
    done(std::move(response));
  };
  const std::string job = request.job();
  AskAbout<v1::UpdateConfigResponse>(job, std::move(tell),
                                     [this, request = std::move(request)](core::Effects* effects) {
                                       return coordinator_.UpdateConfig(clock_.Now(), request, effects);
                                     });
}

void Engine::GetState(v1::GetStateRequest request, Done<v1::GetStateResponse> done) {
  const std::string job = request.job();
  AskAbout<v1::GetStateResponse>(
      job, std::move(done),
      [this, request = std::move(request)](core::Effects* effects) -> absl::StatusOr<v1::GetStateResponse> {
        EVENKEEL_ASSIGN_OR_RETURN(const std::vector<uint64_t> steps, coordinator_.StatesFor(request));
        EVENKEEL_ASSIGN_OR_RETURN(const core::History states, Remembered(request.job(), steps, *effects));
        return coordinator_.GetState(request, states);
      });
}

void Engine::PutState(v1::PutStateRequest request, Done<v1::PutStateResponse> done) {
  const std::string job = request.job();
  AskAbout<v1::PutStateResponse>(job, std::move(done), [this, request = std::move(request)](core::Effects* effects) {
    return coordinator_.PutState(clock_.Now(), request, effects);
  });
}

void Engine::Describe(const std::string& job, Done<v1::DescribeJobResponse> done) {
  auto with_trends = [this, job, done = std::move(done)](absl::StatusOr<v1::DescribeJobResponse> response) {
    const std::optional<history::Picture> picture = history_->Look(job);
    if (response.ok() && picture.has_value()) history::DescribeTrends(*picture, response->mutable_layers());
    done(std::move(response));
  };
  AskAbout<v1::DescribeJobResponse>(job, std::move(with_trends),
                                    [this, job](core::Effects*) { return coordinator_.Describe(job); });
}

void Engine::GetHistory(v1::GetHistoryRequest request, Done<v1::GetHistoryResponse> done) {
  auto with_history = [this, request, done = std::move(done)](absl::StatusOr<v1::GetHistoryResponse> response) {
    if (response.ok()) response = history_->Describe(request);
    done(std::move(response));
  };
  AskAbout<v1::GetHistoryResponse>(
      request.job(), std::move(with_history),
      [this, job = request.job()](core::Effects*) -> absl::StatusOr<v1::GetHistoryResponse> {
        EVENKEEL_RETURN_IF_ERROR(coordinator_.Overview(job).status());
        return v1::GetHistoryResponse();
      });
}

void Engine::List(Done<v1::ListJobsResponse> done) {
  Ask<v1::ListJobsResponse>(
      std::move(done), [this](core::Effects*) -> absl::StatusOr<v1::ListJobsResponse> { return coordinator_.List(); });
}

core::CallId Engine::Push(v1::PushRequest request, PushDone done) {
  core::CallId call = 0;
  {
    MutexLock lock(&mutex_);
    call = next_call_++;
    pushes_.push_back({call, std::move(request), std::move(done)});
  }
  DecidePushes();
  return call;
}

void Engine::DecidePushes() {
  for (bool left = true; left;) {
    if (!core_.TryLock()) return;
    DecideQueuedPushes(&decided_);
    const bool due = !decided_.IsEmpty();
    core_.Unlock();
    // One that came meanwhile, and found core taken, has not been decided by its own thread.
    MutexLock lock(&mutex_);
    left = !pushes_.empty();
    if (due && !due_) wake_.NotifyOne();
    due_ = due_ || due;
  }
}

void Engine::DecideQueuedPushes(core::Effects* effects) {
  std::vector<QueuedPush> pushes;
  {
    MutexLock lock(&mutex_);
    pushes.swap(pushes_);
  }
  for (QueuedPush& push : pushes) DecidePush(&push, effects);
  Reuse(&pushes);
}

void Engine::DecidePush(QueuedPush* push, core::Effects* effects) {
  const std::string& job = push->request.job();
  parked_.emplace(push->call, ParkedPush{job, std::move(push->done)});
  if (shutting_down_) {
    effects->answers.push_back({push->call, ShuttingDown()});
    return;
  }
  const core::PushResult result = coordinator_.Push(clock_.Now(), push->call, &push->request, effects);
  CountPush(job, result, *effects);
}

v1::PushRequest Engine::EmptyPush() {
  v1::PushRequest push;
  {
    MutexLock lock(&mutex_);
    if (spare_.empty()) return push;
    push = std::move(spare_.back());
    spare_.pop_back();
  }
  push.Clear();
  return push;
}

void Engine::Reuse(std::vector<QueuedPush>* pushes) {
  MutexLock lock(&mutex_);
  for (QueuedPush& push : *pushes) {
    if (spare_.size() >= kMaxSparePushes) return;
    if (push.request.routed().low().Capacity() <= kMaxSpareCounts) spare_.push_back(std::move(push.request));
  }
}

// A call whose answer was decided twice (a commit and a cancellation) hears the first.
std::vector<Engine::Reply> Engine::Unpark(std::vector<core::Answer> answers) {
  std::vector<Reply> replies;
  replies.reserve(answers.size());
  for (core::Answer& answer : answers) {
    const auto parked = parked_.find(answer.call);
    if (parked == parked_.end()) continue;
    replies.push_back({std::move(parked->second.done), std::move(answer.reply)});
    parked_.erase(parked);
  }
  return replies;
}

void Engine::Cancel(core::CallId call) {
  Post([this, call](core::Effects* effects) {
    const auto parked = parked_.find(call);
    if (parked != parked_.end()) {
      coordinator_.Cancel(parked->second.job, call);
      effects->answers.push_back({call, absl::CancelledError("the caller has gone")});
    }
    return nullptr;
  });
}

void Engine::CountPush(const std::string& job, core::PushResult result, const core::Effects& effects) {
  const std::string label = PushLabel(result, effects);
  // A name that is nobody's job must not become a label value.
  metrics_->CountPush(label == "job_unknown" ? absl::string_view() : job, label);
}

Engine::Overviews Engine::OverviewsOf(const core::Effects& effects) const {
  std::set<std::string> jobs;
  for (const core::ViolationEvent& event : effects.violations) jobs.insert(event.job);
  for (const core::Write& write : effects.writes) jobs.insert(write.job);
  for (const std::string& job : effects.attendance) jobs.insert(job);
  Overviews overviews;
  for (const std::string& job : jobs) {
    absl::StatusOr<v1::DescribeJobResponse> description = coordinator_.Overview(job);
    if (description.ok()) overviews.emplace(job, Overview{*std::move(description), coordinator_.Fleet(job).value()});
  }
  return overviews;
}

void Engine::Publish(const core::Effects& effects, Overviews overviews, double store_seconds) {
  for (const core::CommitEvent& commit : effects.commits) {
    totals_[commit.job].Add(commit);
    if (!commit.lost.empty()) listener_.log(WarningEvent("counts_lost", LostLine(commit), commit.job));
    metrics_->ObserveCommit(commit.job, absl::ToDoubleSeconds(commit.barrier_wait), store_seconds);
  }
  for (const LogEvent& notice : effects.notices) listener_.log(notice);
  for (const core::ViolationEvent& event : effects.violations) {
    totals_[event.job].Add(event);
    listener_.log(WarningEvent("violation", ViolationLine(event), event.job));
  }
  for (const core::Write& write : effects.writes) {
    if (write.state != nullptr) states_[write.job] = write.state;
    if (write.commit.has_value()) totals_[write.job].Add(*write.state);
  }
  for (auto& [job, overview] : overviews) {
    const std::shared_ptr<const v1::JobState>& state = states_[job];
    metrics_->Publish(job, JobViewOf(std::move(overview), totals_[job], state, history_),
                      ExpertViewOf(state, history_));
  }
  for (const core::Write& write : effects.writes) {
    if (write.expires) Forget(write.job);
  }
}

void Engine::Forget(const std::string& job) {
  totals_.erase(job);
  states_.erase(job);
  metrics_->Remove(job);
}

}  // namespace evenkeel::engine
