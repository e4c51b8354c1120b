#include "client/link/heartbeat.h"

#include <algorithm>
#include <utility>

namespace evenkeel::client {
namespace {

// An answer is a few bytes.
constexpr int kMaxReplyBytes = 1 << 20;
constexpr std::chrono::milliseconds kLongestPeriod(15'000);
constexpr std::chrono::milliseconds kShortestPeriod(50);

std::chrono::milliseconds PeriodOf(std::chrono::milliseconds timeout) {
  if (timeout.count() == 0) return timeout;
  return std::clamp(timeout / 4, kShortestPeriod, kLongestPeriod);
}

}  // namespace

Heartbeat::Heartbeat(std::string coordinator, const v1::JoinRequest& join, const Credentials& credentials)
    : connection_(std::move(coordinator), kMaxReplyBytes, credentials) {
  request_.set_job(join.job().name());
  request_.set_contributor(join.contributor());
  request_.set_incarnation(join.incarnation());
  thread_ = std::thread([this] { Run(); });
}

Heartbeat::~Heartbeat() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
    changed_.NotifyAll();
  }
  connection_.Stop();
  thread_.join();
}

void Heartbeat::Beat(uint64_t epoch, std::chrono::milliseconds timeout) {
  MutexLock lock(&mutex_);
  epoch_ = epoch;
  period_ = PeriodOf(timeout);
  next_ = std::chrono::steady_clock::now() + period_;
  changed_.NotifyAll();
}

void Heartbeat::Tell(const WorkerFigures& figures) {
  MutexLock lock(&mutex_);
  figures_ = figures;
  ++commits_;
  commit_time_ += figures.commit_host_time;
  longest_commit_ = std::max(longest_commit_, figures.commit_host_time);
}

void Heartbeat::WriteFigures() {
  if (figures_.step == 0) return;  // there has been no commit
  v1::WorkerFigures* const figures = request_.mutable_figures();
  figures->set_staleness(figures_.staleness);
  figures->set_undelivered_steps(figures_.undelivered_steps);
  figures->set_lost_steps(figures_.lost_steps);
  figures->set_commit_host_ns(commits_ == 0 ? 0 : commit_time_.count() / commits_);
  figures->set_max_commit_host_ns(longest_commit_.count());
  figures->set_counting_mode(figures_.counting == Counting::kReplay ? "replay" : "train");
  commits_ = 0;
  commit_time_ = longest_commit_ = std::chrono::nanoseconds(0);
}

bool Heartbeat::AwaitNext() {
  MutexLock lock(&mutex_);
  while (!stopping_) {
    if (period_.count() == 0) {
      changed_.Wait(&mutex_);
    } else if (!changed_.WaitUntil(&mutex_, next_)) {
      break;
    }
  }
  request_.set_epoch(epoch_);
  WriteFigures();
  next_ = std::chrono::steady_clock::now() + period_;
  return !stopping_;
}

void Heartbeat::Run() {
  while (AwaitNext()) {
    Deadline deadline;
    {
      MutexLock lock(&mutex_);
      deadline = next_;
    }
    v1::HeartbeatResponse response;
    connection_.Heartbeat(request_, {deadline, /*wait_for_connection=*/true}, &response).IgnoreError();
  }
}

}  // namespace evenkeel::client
