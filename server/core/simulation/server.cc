#include "server/core/simulation/server.h"

#include <algorithm>
#include <utility>

#include "base/error_detail.h"

namespace evenkeel::core::simulation {
namespace {

absl::Status Unreachable() {
  return ServiceError(absl::StatusCode::kUnavailable, v1::ErrorDetail::REASON_UNSPECIFIED, "nobody listens");
}

const char* NameOf(PushResult result) {
  switch (result) {
    case PushResult::kAccepted:
      return "push accepted";
    case PushResult::kDuplicate:
      return "push duplicate";
    case PushResult::kLate:
      return "push late";
    case PushResult::kRefused:
      break;
  }
  return "push refused";
}

}  // namespace

Server::Server(World* world, Parts* parts, const v1::CoordinatorConfig& config,
               const std::map<std::string, JobChecker*>& checkers)
    : world_(world), parts_(parts), config_(config), checkers_(checkers) {}

// By the time, so that what does not strike early on does not change what does later.
Random Server::Draw(absl::string_view what) const {
  return Random(world_->seed, absl::StrCat("server ", what, " ", world_->loop.now_ms()));
}

// ---------------------------------------------------------------------------------------------------------------------
// Lives

void Server::Start() {
  coordinator_.emplace(config_);
  ++life_;
  world_->journal.Note("server: life ", life_, " begins");
  const absl::Status status = parts_->Restore(world_->clock.now(), world_->disk, &*coordinator_, &effects_);
  if (!status.ok()) return world_->journal.Complain("server: Restore ends with ", status.ToString());
  for (const auto& [job, checker] : checkers_) {
    if (RecordOf(job) == nullptr) checker->attendance().Forget();
  }
  const v1::ListJobsResponse list = coordinator_->List();
  for (const v1::JobSummary& job : list.jobs()) {
    checkers_.at(job.name())->OnLife(world_->clock.now(), job.epoch(), *RecordOf(job.name()));
  }
  Flush();
}

void Server::Crash() {
  world_->journal.Note("server: dies with ", parked_.size(), " parked calls and ", effects_.writes.size(),
                       " unwritten writes");
  Random random = Draw("crash");
  for (const auto& [call, parked] : parked_) {
    if (random.Percent(50)) parked.done(Unreachable());
  }
  coordinator_.reset();
  effects_ = Effects();
  replies_.clear();
  parked_.clear();
  gone_.clear();
  flush_scheduled_ = false;
  world_->loop.After(random.Between(1, 120), [this] { Start(); });
}

void Server::Stop() {
  world_->journal.Note("server: is told to stop");
  coordinator_->ShutDown(&effects_);
  Flush();
  if (up()) Crash();
}

// ---------------------------------------------------------------------------------------------------------------------
// Calls

void Server::Join(const v1::JoinRequest& request, Done<v1::JoinResponse> done) {
  if (!up()) return done(Unreachable());
  Wake(request.job().name());
  const std::vector<uint64_t> steps = coordinator_->StatesFor(world_->clock.now(), request);
  // What is read from the disk has all that was decided before.
  if (!steps.empty()) Write();
  const History history = world_->disk.States(request.job().name(), steps);
  const absl::StatusOr<v1::JoinResponse> answer = coordinator_->Join(world_->clock.now(), request, &effects_, history);
  if (answer.ok()) checkers_.at(request.job().name())->OnJoin(world_->clock.now(), request, answer->epoch());
  world_->journal.Note("server: Join of ", request.job().name(), "/", request.contributor(), " incarnation ",
                       request.incarnation(), ": ", answer.status().ToString());
  replies_.push_back([this, request, answer, done = std::move(done)] {
    const JobRecord* record = RecordOf(request.job().name());
    JobChecker* checker = checkers_.at(request.job().name());
    if (answer.ok()) {
      checker->OnJoinAnswer(request, *answer, record);
    } else {
      checker->OnError(answer.status(), record);
      world_->journal.Count("join " + v1::ErrorDetail::Reason_Name(ReasonOf(answer.status())));
    }
    done(answer);
  });
  ScheduleFlush();
}

void Server::Push(uint64_t caller, v1::PushRequest request, Done<Version> done) {
  if (!up()) return done(Unreachable());
  const CallId call = next_call_++;
  parked_.emplace(call, Parked{request.job(), caller, std::move(done)});
  const std::string place = absl::StrCat(request.job(), "/", request.contributor());
  const v1::PushRequest sent = request;
  JobChecker* checker = checkers_.at(sent.job());
  const size_t commits = effects_.commits.size();
  const PushResult result = parts_->Push(world_->clock.now(), call, &request, &*coordinator_, &effects_);
  if (result == PushResult::kAccepted) checker->OnAccepted(world_->clock.now(), sent);
  const bool for_certain = result != PushResult::kRefused;
  checker->attendance().OnPushOf(world_->clock.now(), sent.contributor(), sent.incarnation(), for_certain);
  Tell(sent.job(), commits);
  world_->journal.Note("server: push of step ", sent.step(), " by ", place, " incarnation ", request.incarnation(),
                       ": ", NameOf(result));
  world_->journal.Count(NameOf(result));
  ScheduleFlush();
}

void Server::Cancel(const std::string& job, uint64_t caller) {
  if (!up()) return;
  for (auto parked = parked_.begin(); parked != parked_.end();) {
    const auto current = parked++;
    if (current->second.caller != caller || IsDecided(current->first)) continue;
    coordinator_->Cancel(job, current->first);
    gone_.insert(current->first);
    parked_.erase(current);
    world_->journal.Count("cancelled");
  }
}

void Server::Heartbeat(const v1::HeartbeatRequest& request, Done<v1::HeartbeatResponse> done) {
  if (!up()) return done(Unreachable());
  const absl::Time now = world_->clock.now();
  const absl::StatusOr<v1::HeartbeatResponse> answer = parts_->Heartbeat(now, request, &*coordinator_, &effects_);
  JobChecker* checker = checkers_.at(request.job());
  if (answer.ok()) checker->attendance().OnHeardOf(now, request.contributor(), request.incarnation(), true);
  replies_.push_back([this, request, answer, checker, done = std::move(done)] {
    if (!answer.ok()) checker->OnError(answer.status(), RecordOf(request.job()));
    done(answer);
  });
  ScheduleFlush();
}

void Server::Tick() {
  if (!up()) return;
  const absl::Time now = world_->clock.now();
  const size_t commits = effects_.commits.size();
  const size_t writes = effects_.writes.size();
  parts_->Tick(now, &*coordinator_, &effects_);
  for (size_t i = writes; i < effects_.writes.size(); ++i) {
    const core::Write& write = effects_.writes[i];
    if (!write.expires) continue;
    world_->journal.Note("server: ", write.job, " expires");
    checkers_.at(write.job)->OnExpiry(now, absl::Milliseconds(config_.job_expiry_ms()), CountWaiting(write.job));
  }
  for (const auto& [job, checker] : checkers_) {
    Tell(job, commits);
    if (coordinator_->Has(job)) checker->attendance().OnTick(now);
  }
  if (!effects_.IsEmpty()) ScheduleFlush();
}

void Server::Tell(const std::string& job, size_t commits) {
  JobChecker* checker = checkers_.at(job);
  for (size_t i = commits; i < effects_.commits.size(); ++i) {
    const CommitEvent& commit = effects_.commits[i];
    if (commit.job != job) continue;
    const auto write = std::find_if(effects_.writes.rbegin(), effects_.writes.rend(), [&](const core::Write& w) {
      return w.job == job && w.state != nullptr && w.state->version().step() == commit.step;
    });
    checker->OnCommit(world_->clock.now(), *write->state, effects_.violations);
    if (commit.barrier_wait < absl::ZeroDuration())
      world_->journal.Complain(job, ": a step has waited less than no time");
  }
  if (checker->plan().effective.missing_policy() != v1::JobSpec::MissingPolicy::FAIL) return;
  const absl::StatusOr<v1::DescribeJobResponse> description = coordinator_->Overview(job);
  if (description.ok()) checker->attendance().OnSummary(world_->clock.now(), description->summary());
}

void Server::Wake(const std::string& job) {
  if (coordinator_->Has(job) || RecordOf(job) == nullptr) return;
  // What it had decided before it expired comes first.
  Write();
  const absl::Status status = parts_->Wake(world_->clock.now(), *RecordOf(job), &*coordinator_, &effects_);
  if (!status.ok()) return world_->journal.Complain("server: Wake ends with ", status.ToString());
  world_->journal.Note("server: ", job, " wakes");
  world_->journal.Count("job woken");
  const absl::StatusOr<v1::DescribeJobResponse> description = coordinator_->Overview(job);
  checkers_.at(job)->OnLife(world_->clock.now(), description->summary().epoch(), *RecordOf(job));
}

bool Server::IsDecided(CallId call) const {
  return std::any_of(effects_.answers.begin(), effects_.answers.end(),
                     [call](const Answer& answer) { return answer.call == call; });
}

int Server::CountWaiting(const std::string& job) const {
  return static_cast<int>(std::count_if(parked_.begin(), parked_.end(), [&](const auto& parked) {
    return parked.second.job == job && !IsDecided(parked.first);
  }));
}

void Server::Leave(const v1::LeaveRequest& request, Done<v1::LeaveResponse> done) {
  if (!up()) return done(Unreachable());
  const size_t commits = effects_.commits.size();
  const absl::Status status = coordinator_->Leave(world_->clock.now(), request, &effects_);
  world_->journal.Note("server: Leave of ", request.job(), "/", request.contributor(), " incarnation ",
                       request.incarnation(), ": ", status.ToString());
  if (status.ok()) checkers_.at(request.job())->OnLeave(request);
  Tell(request.job(), commits);
  replies_.push_back([this, request, status, done = std::move(done)] {
    if (status.ok()) return done(v1::LeaveResponse());
    checkers_.at(request.job())->OnError(status, RecordOf(request.job()));
    done(status);
  });
  ScheduleFlush();
}

// ---------------------------------------------------------------------------------------------------------------------
// Batches

void Server::ScheduleFlush() {
  if (flush_scheduled_) return;
  flush_scheduled_ = true;
  Random random = Draw("batch");
  world_->loop.After(random.Between(0, 4), [this, life = life_] {
    if (up() && life == life_) Flush();
  });
}

bool Server::InterruptedAt(const char* place) {
  if (!interrupted_after_.has_value() || (*interrupted_after_)-- > 0) return false;
  interrupted_after_.reset();
  world_->journal.Note("server: interrupted ", place);
  world_->journal.Count(absl::StrCat("interrupted ", place));
  Crash();
  return true;
}

void Server::Flush() {
  flush_scheduled_ = false;
  if (!effects_.writes.empty() && InterruptedAt("before the write")) return;
  if (parts_->AnswersBeforeWriting()) {
    if (SendAnswers()) Write();
  } else {
    Write();
    if (!SendAnswers()) return;
  }
  CheckMemory();
}

void Server::Write() {
  if (effects_.writes.empty()) return;
  parts_->Apply(effects_.writes, &world_->disk);
  std::set<std::string> jobs;
  for (const core::Write& write : effects_.writes) jobs.insert(write.job);
  for (const std::string& job : jobs) {
    if (const JobRecord* record = RecordOf(job)) checkers_.at(job)->OnDisk(*record);
  }
  for (const CommitEvent& commit : effects_.commits) {
    world_->journal.Note("server: step ", commit.step, " of ", commit.job, " is committed");
  }
  effects_.writes.clear();
  effects_.commits.clear();
  effects_.violations.clear();
}

bool Server::SendAnswers() {
  const std::vector<Answer> answers = std::exchange(effects_.answers, {});
  for (const Answer& answer : answers) {
    if (InterruptedAt("between answers")) return false;
    Send(answer);
  }
  const std::vector<std::function<void()>> replies = std::exchange(replies_, {});
  for (const std::function<void()>& reply : replies) {
    if (InterruptedAt("between answers")) return false;
    reply();
  }
  return true;
}

void Server::Send(const Answer& answer) {
  const auto found = parked_.find(answer.call);
  if (found == parked_.end()) {
    return world_->journal.Complain("server: call ", answer.call, " is answered ",
                                    gone_.count(answer.call) > 0 ? "though its caller has gone" : "twice");
  }
  const Parked parked = std::move(found->second);
  parked_.erase(found);
  const JobRecord* record = RecordOf(parked.job);
  JobChecker* checker = checkers_.at(parked.job);
  if (answer.reply.ok()) {
    checker->OnVersion(**answer.reply, record);
  } else {
    checker->OnError(answer.reply.status(), record);
    world_->journal.Count("push " + v1::ErrorDetail::Reason_Name(ReasonOf(answer.reply.status())));
  }
  parked.done(answer.reply);
}

void Server::CheckMemory() {
  if (!parts_->ComparesMemoryWithDisk()) return;
  for (const auto& [name, checker] : checkers_) {
    const absl::StatusOr<v1::JobState> state = coordinator_->State(name);
    const JobRecord* record = RecordOf(name);
    if (state.ok() != (record != nullptr && !world_->disk.HasExpired(name))) {
      world_->journal.Complain(name, ": the job is ", state.ok() ? "not on disk" : "not in memory");
    } else if (state.ok()) {
      checker->OnRest(*state, *coordinator_->Describe(name), *record);
    }
  }
}

}  // namespace evenkeel::core::simulation
