#include "server/core/simulation/worker.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/error_detail.h"
#include "job/test_messages.h"
#include "server/core/simulation/scenario.h"

namespace evenkeel::core::simulation {

using Reason = v1::ErrorDetail;

namespace {

// How far it runs ahead of what it has delivered.
constexpr size_t kMaxLog = 12;

}  // namespace

Worker::Worker(World* world, Server* server, JobChecker* checker, Checkpoint* checkpoint, Options options)
    : world_(world),
      server_(server),
      checker_(checker),
      checkpoint_(checkpoint),
      options_(std::move(options)),
      name_(absl::StrCat(PlaceName(checker->scenario(), options_.contributor), ".", options_.process)),
      random_(world->seed, name_),
      link_(&world->network, name_),
      step_(options_.next_step),
      provisional_(random_.Percent(25)) {
  world_->journal.Note(name_, ": starts at step ", step_, " as incarnation ", options_.incarnation);
  world_->journal.Count("worker started");
  checker_->OnProcess(options_.incarnation, checkpoint_->training);
}

void Worker::Die(const char* why) {
  if (dead_) return;
  world_->journal.Note(name_, ": ", why, " at step ", step_);
  dead_ = true;
  link_.Close();
  options_.on_death();
}

uint64_t Worker::Begin(int timeout_ms, Action again) {
  const uint64_t call = ++call_;
  world_->loop.After(timeout_ms, [this, call, again] {
    if (End(call)) (this->*again)();
  });
  return call;
}

bool Worker::End(uint64_t call) {
  if (dead_ || call != call_) return false;
  ++call_;
  return true;
}

void Worker::Hang(int duration_ms) {
  world_->journal.Note(name_, ": hangs for ", duration_ms, " ms");
  hangs_until_ms_ = world_->loop.now_ms() + duration_ms;
}

void Worker::SlowDown(int duration_ms) {
  world_->journal.Note(name_, ": is slow for ", duration_ms, " ms");
  slow_until_ms_ = world_->loop.now_ms() + duration_ms;
}

void Worker::CutOff(Direction direction, int duration_ms) {
  const bool both = direction == Direction::kBoth;
  const char* what = both ? "cut off" : direction == Direction::kToServer ? "not heard" : "deaf";
  world_->journal.Note(name_, ": is ", what, " for ", duration_ms, " ms");
  world_->journal.Count(absl::StrCat("worker ", what));
  link_.Cut(direction, duration_ms);
}

bool Worker::Strikes(bool drawn, const char* what, uint64_t step) {
  if (!drawn || !world_->fate.Strikes(absl::StrCat(what, ":", name_, "@", step))) return false;
  world_->journal.Note(name_, ": ", what, " at step ", step);
  return true;
}

void Worker::After(int delay_ms, Action action) { Begin(delay_ms, action); }

void Worker::Breach(const char* call, const absl::Status& status) {
  world_->journal.Complain(name_, ": ", call, " at step ", step_, " is answered ", status.ToString());
}

// ---------------------------------------------------------------------------------------------------------------------
// Join and Leave

void Worker::Join() {
  v1::JoinRequest request =
      job::TestJoin(checker_->scenario().spec, options_.contributor, options_.incarnation, /*next_step=*/step_);
  const JobScenario& scenario = checker_->scenario();
  for (const int layer : scenario.layers[options_.contributor]) {
    request.add_owned_layers(scenario.spec.layers(layer).name());
  }
  const std::vector<int>& ranks = scenario.ranks[options_.contributor];
  if (scenario.has_groups()) *request.mutable_ranks() = {ranks.begin(), ranks.end()};
  if (!joined_ && *checkpoint_->rewind) {
    request.set_rewind(true);
    if (checkpoint_->snapshot.has_value()) *request.mutable_snapshot() = *checkpoint_->snapshot;
  } else if (!joined_ && options_.catch_up) {
    request.set_catch_up(true);
  }
  const uint64_t call = Begin(random_.Between(40, 150), &Worker::Join);
  ToServer([this, call, request] {
    server_->Join(request, [this, call](const absl::StatusOr<v1::JoinResponse>& response) {
      FromServer([this, call, response] {
        if (End(call)) OnJoined(response);
      });
    });
  });
}

void Worker::OnJoined(const absl::StatusOr<v1::JoinResponse>& response) {
  if (!response.ok()) return OnJoinRefused(response.status());
  if (response->epoch() < epoch_) {
    world_->journal.Complain(name_, ": epoch ", response->epoch(), " after epoch ", epoch_);
  }
  if (options_.catch_up && !joined_ && response->open_step() > step_) {
    world_->journal.Count("worker caught up");
    step_ = response->open_step();
  }
  *checkpoint_->rewind = false;
  if (response->open_step() + comes_between_ < step_) {
    world_->journal.Complain(name_, ": the coordinator is at step ", response->open_step(), ", the worker at ", step_);
  }
  epoch_ = response->epoch();
  joined_ = true;
  if (!beating_) Heartbeat();
  if (response->has_previous()) Learn(response->previous());
  Hear(response->version());
  if (response->open_step() >= step_) return GoOn();
  world_->journal.Count("worker came between steps");
  // Should nobody else be there for the open step, it would never end.
  if (random_.Percent(30)) {
    --step_;
    log_.clear();
  }
  After(random_.Between(5, 30), &Worker::Join);
}

void Worker::OnJoinRefused(const absl::Status& status) {
  const v1::ErrorDetail detail = DetailOf(status);
  if (!*checkpoint_->rewind) RunAhead();
  if (absl::IsUnavailable(status)) return After(random_.Between(5, 30), &Worker::Join);
  if (detail.reason() == Reason::REPLACED) return Die("has been replaced");
  if (FailedWithItsJob(status)) return;
  if (detail.reason() == Reason::STEP_BEHIND && !joined_) {
    // Some wait for the next step, where they may.
    comes_between_ = IsElastic() && random_.Percent(30);
    step_ = detail.open_step() + comes_between_;
    return Join();
  }
  Breach("Join", status);
}

bool Worker::IsElastic() const {
  return checker_->plan().effective.missing_policy() == v1::JobSpec::MissingPolicy::COMMIT_WITHOUT;
}

bool Worker::FailedWithItsJob(const absl::Status& status) {
  const bool may_fail = checker_->plan().effective.missing_policy() == v1::JobSpec::MissingPolicy::FAIL;
  if (!may_fail || ReasonOf(status) != Reason::JOB_FAILED) return false;
  world_->journal.Count("worker ended with its job");
  Die("ends with the failed job");
  return true;
}

void Worker::Leave() {
  CancelPush();
  SendLeave();
}

void Worker::SendLeave() {
  v1::LeaveRequest request;
  request.set_job(checker_->plan().effective.name());
  request.set_contributor(options_.contributor);
  request.set_incarnation(options_.incarnation);
  const uint64_t call = Begin(random_.Between(20, 60), &Worker::SendLeave);
  ToServer([this, call, request] {
    server_->Leave(request, [this, call](const absl::StatusOr<v1::LeaveResponse>& response) {
      FromServer([this, call, status = response.status()] {
        if (End(call)) OnLeft(status);
      });
    });
  });
}

void Worker::OnLeft(const absl::Status& status) {
  if (absl::IsUnavailable(status)) return After(random_.Between(5, 30), &Worker::SendLeave);
  Die(status.ok() ? "has left" : "could not leave");
}

// ---------------------------------------------------------------------------------------------------------------------
// Heartbeat

void Worker::Heartbeat() {
  beating_ = true;
  const uint64_t timeout_ms = checker_->plan().effective.membership().heartbeat_timeout_ms();
  if (dead_ || world_->over || timeout_ms == 0) return;
  v1::HeartbeatRequest request;
  request.set_job(checker_->plan().effective.name());
  request.set_contributor(options_.contributor);
  request.set_incarnation(options_.incarnation);
  request.set_epoch(epoch_);
  ToServer([this, request] {
    server_->Heartbeat(request, [this](const absl::StatusOr<v1::HeartbeatResponse>& response) {
      FromServer([this, status = response.status()] {
        if (!dead_) OnHeartbeat(status);
      });
    });
  });
  world_->loop.After(static_cast<int>(timeout_ms / 4), [this] { Heartbeat(); });
}

// What it means for the next push, that will hear of itself.
void Worker::OnHeartbeat(const absl::Status& status) {
  const Reason::Reason reason = ReasonOf(status);
  if (reason == Reason::REPLACED) return Die("has been replaced");
  if (FailedWithItsJob(status)) return;
  const bool expected = status.ok() || absl::IsUnavailable(status) || reason == Reason::STALE_EPOCH ||
                        reason == Reason::NOT_JOINED || reason == Reason::JOB_UNKNOWN;
  if (!expected) Breach("Heartbeat", status);
}

// ---------------------------------------------------------------------------------------------------------------------
// Push

// Runs the step after the last that it has run, with the newest version that it knows and may use.
void Worker::Run() {
  const uint64_t step = step_ + log_.size();
  const uint64_t behind = 1 + checker_->plan().effective.lag();
  const uint64_t due = step - std::min(step, behind);
  const auto after = versions_.upper_bound(due);
  if (after == versions_.begin()) {
    return world_->journal.Complain(name_, ": knows no version that could route step ", step);
  }
  Ran ran;
  ran.routed_with = std::prev(after)->second;
  const bool stale = ran.routed_with.step() < due;
  ran.provisional = Strikes(stale && provisional_, "provisional", step);
  ran.counts_lost = Strikes(random_.Percent(15) && stale, "loses-counts", step);
  if (stale) world_->journal.Note(name_, ": runs step ", step, " with version ", ran.routed_with.step());
  log_.push_back(ran);
}

// Maybe one step more than it has delivered, if it has begun at all.
void Worker::RunAhead() {
  const bool can = !versions_.empty() && log_.size() < kMaxLog && step_ + log_.size() <= checker_->scenario().steps;
  if (can && random_.Percent(IsCutOff() ? 80 : 20)) Run();
}

v1::PushRequest Worker::MakePush() const {
  const Ran& ran = log_.front();
  v1::PushRequest push = checker_->Payload(options_.contributor, step_, options_.incarnation);
  push.set_job(checker_->plan().effective.name());
  push.set_contributor(options_.contributor);
  push.set_incarnation(options_.incarnation);
  push.set_epoch(epoch_);
  push.set_step(step_);
  *push.mutable_routed_with() = ran.routed_with;
  push.set_provisional(ran.provisional);
  push.set_counts_lost(ran.counts_lost);
  if (ran.counts_lost) {
    push.clear_valid_tokens();
    push.clear_short_slots();
    push.clear_routed();
    push.clear_dispatched();
    push.clear_rank_fingerprints();
    push.clear_diverged_ranks();
  }
  return push;
}

void Worker::Push() {
  const int64_t hangs_for_ms = hangs_until_ms_ - world_->loop.now_ms();
  if (hangs_for_ms > 0) return After(static_cast<int>(hangs_for_ms), &Worker::Push);
  CancelPush();
  if (log_.empty()) Run();
  if (log_.empty()) return;
  RunAhead();
  const uint64_t caller = random_.Next();
  pushing_ = caller;
  const v1::PushRequest push = MakePush();
  const uint64_t call = Begin(random_.Between(20, 200), &Worker::Push);
  ToServer([this, call, caller, push] {
    server_->Push(caller, push, [this, call](const absl::StatusOr<Server::Version>& version) {
      FromServer([this, call, version] {
        if (End(call)) OnPushed(version);
      });
    });
  });
}

// The deadline of the last push has passed: the server is told, sooner or later.
void Worker::CancelPush() {
  if (pushing_ == 0) return;
  ToServer([this, caller = pushing_] { server_->Cancel(checker_->plan().effective.name(), caller); });
  pushing_ = 0;
}

void Worker::OnPushed(const absl::StatusOr<Server::Version>& version) {
  pushing_ = 0;
  if (!version.ok()) return OnPushRefused(version.status());
  const v1::CommittedVersion& reply = **version;
  if (reply.version().step() < step_) {
    world_->journal.Complain(name_, ": the push of step ", step_, " is answered with step ", reply.version().step());
  }
  Hear(reply);
  GoOn();
}

void Worker::OnPushRefused(const absl::Status& status) {
  const Reason::Reason reason = ReasonOf(status);
  if (absl::IsUnavailable(status) || reason == Reason::LIMIT_EXCEEDED) {
    return After(random_.Between(5, 30), &Worker::Push);
  }
  if (reason == Reason::REPLACED) return Die("has been replaced");
  if (reason == Reason::STALE_EPOCH || reason == Reason::JOB_UNKNOWN) return Join();
  if (FailedWithItsJob(status)) return;
  Breach("Push", status);
}

// ---------------------------------------------------------------------------------------------------------------------
// Steps

void Worker::Learn(const v1::CommittedVersion& heard) {
  checker_->OnHeard(heard);
  versions_[heard.version().step()] = heard.version();
}

void Worker::Hear(const v1::CommittedVersion& heard) {
  const v1::Version& version = heard.version();
  if (version.epoch() < newest_.epoch() || version.step() < newest_.step()) {
    world_->journal.Complain(name_, ": version {", version.ShortDebugString(), "} after {", newest_.ShortDebugString(),
                             "}");
  }
  newest_ = version;
  Learn(heard);
  for (; step_ <= version.step(); ++step_) {
    if (!log_.empty()) log_.pop_front();
  }
  checkpoint_->next_step = std::max(checkpoint_->next_step, version.step() + 1);
}

void Worker::GoOn() {
  finished_ = step_ > checker_->scenario().steps;
  if (finished_) {
    world_->journal.Note(name_, ": has finished");
  } else {
    const bool is_slow = world_->loop.now_ms() < slow_until_ms_;
    After(random_.Between(0, is_slow ? 200 : 10), &Worker::Push);
  }
}

}  // namespace evenkeel::core::simulation
