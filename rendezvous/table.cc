#include "rendezvous/table.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/error_detail.h"
#include "base/status_macros.h"
#include "rendezvous/missing_ranks.h"

namespace evenkeel::rendezvous {
namespace {

constexpr int kMaxSize = 65'536;
constexpr size_t kMaxName = 256;
constexpr size_t kMaxValue = 1 << 20;
// Bookkeeping of a call that waits, generously.
constexpr size_t kCallBytes = 256;

absl::Status Invalid(absl::string_view message) {
  return ServiceError(absl::StatusCode::kInvalidArgument, v1::ErrorDetail::INVALID_FIELD, message);
}

absl::Status LimitExceeded(absl::string_view what, size_t limit) {
  return ServiceError(absl::StatusCode::kResourceExhausted, v1::ErrorDetail::LIMIT_EXCEEDED,
                      absl::StrCat(what, " would hold more than the limit of ", limit, " bytes"));
}

absl::Status ShuttingDown() {
  return ServiceError(absl::StatusCode::kUnavailable, v1::ErrorDetail::SHUTTING_DOWN, "the rendezvous is closing");
}

absl::Status CheckName(absl::string_view field, const std::string& name) {
  if (!name.empty() && name.size() <= kMaxName) return absl::OkStatus();
  return Invalid(absl::StrCat(field, " has ", name.size(), " bytes; it must have 1 to ", kMaxName));
}

absl::Status Check(const v1::RendezvousRequest& request) {
  EVENKEEL_RETURN_IF_ERROR(CheckName("job", request.job()));
  EVENKEEL_RETURN_IF_ERROR(CheckName("group", request.group()));
  EVENKEEL_RETURN_IF_ERROR(CheckName("key", request.key()));
  if (request.size() < 1 || request.size() > kMaxSize) {
    return Invalid(absl::StrCat("size ", request.size(), " must lie in 1 .. ", kMaxSize));
  }
  if (request.rank() < 0 || request.rank() >= request.size()) {
    return Invalid(absl::StrCat("rank ", request.rank(), " must lie in 0 .. ", request.size() - 1));
  }
  if (request.value().size() > kMaxValue) {
    return Invalid(absl::StrCat("value has ", request.value().size(), " bytes; the limit is ", kMaxValue));
  }
  return absl::OkStatus();
}

// One name for the three, such that no other three have it.
std::string NameOf(const v1::RendezvousRequest& request) {
  return absl::StrCat(request.job().size(), ",", request.group().size(), ":", request.job(), request.group(),
                      request.key());
}

}  // namespace

Table::CallId Table::Call(const v1::RendezvousRequest& request, Done done) {
  Answers answers;
  CallId call = 0;
  absl::Status refusal = Check(request);
  {
    MutexLock lock(&mutex_);
    call = ++last_call_;
    if (refusal.ok()) refusal = stopped_ ? ShuttingDown() : Enter(request, call, &done, &answers);
  }
  if (!refusal.ok()) done(std::move(refusal));
  for (const auto& answer : answers) answer();
  return call;
}

absl::Status Table::Enter(const v1::RendezvousRequest& request, CallId call, Done* done, Answers* answers) {
  const std::string name = NameOf(request);
  const int rank = request.rank();
  if (Answer complete = complete_.Find(name);
      complete != nullptr && complete->values_size() == request.size() && complete->values(rank) == request.value()) {
    answers->push_back([done = std::move(*done), complete] { done(complete); });
    return absl::OkStatus();
  }

  Rounds::iterator round = rounds_.find(name);
  if (round != rounds_.end() && round->second.size != request.size()) {
    return Invalid(absl::StrCat("size ", request.size(), " must be the ", round->second.size,
                                " that other ranks of group \"", request.group(), "\" gave"));
  }
  if (round != rounds_.end() && round->second.waiting.count(rank) != 0) {
    Waiting older = TakeOut(round, rank);
    answers->push_back([older = std::move(older), rank] {
      older.done(ServiceError(absl::StatusCode::kAlreadyExists, v1::ErrorDetail::REPLACED,
                              absl::StrCat("a newer call of rank ", rank, " took the place of this one")));
    });
  }
  const size_t bytes = CallBytes(name, request.value());
  EVENKEEL_RETURN_IF_ERROR(Admit(name, bytes));

  // From here on its ranks have not called.
  complete_.Forget(name);
  round = rounds_.try_emplace(name).first;
  round->second.size = request.size();
  round->second.bytes += bytes;
  waiting_bytes_ += bytes;
  places_[call] = {round, rank};
  round->second.waiting[rank] = {call, request.value(), std::move(*done)};
  if (round->second.waiting.size() == static_cast<size_t>(request.size())) Complete(round, answers);
  return absl::OkStatus();
}

size_t Table::CallBytes(const std::string& name, const std::string& value) {
  return kCallBytes + name.size() + value.size();
}

absl::Status Table::Admit(const std::string& name, size_t bytes) const {
  const auto round = rounds_.find(name);
  const size_t held = round == rounds_.end() ? 0 : round->second.bytes;
  if (held + bytes > limits_.exchange) return LimitExceeded("the exchange", limits_.exchange);
  if (waiting_bytes_ + bytes > limits_.waiting) return LimitExceeded("the rendezvous", limits_.waiting);
  return absl::OkStatus();
}

void Table::Complete(Rounds::iterator round, Answers* answers) {
  const std::string name = round->first;
  auto response = std::make_shared<v1::RendezvousResponse>();
  const Answer answer = response;
  for (int rank = 0, size = round->second.size; rank < size; ++rank) {
    Waiting waiting = TakeOut(round, rank);
    response->add_values(std::move(waiting.value));
    answers->push_back([done = std::move(waiting.done), answer] { done(answer); });
  }
  complete_.Remember(name, answer);
}

Table::Waiting Table::TakeOut(Rounds::iterator round, int rank) {
  const auto found = round->second.waiting.find(rank);
  Waiting waiting = std::move(found->second);
  const size_t bytes = CallBytes(round->first, waiting.value);
  round->second.waiting.erase(found);
  round->second.bytes -= bytes;
  waiting_bytes_ -= bytes;
  places_.erase(waiting.call);
  if (round->second.waiting.empty()) rounds_.erase(round);
  return waiting;
}

void Table::Withdraw(CallId call, absl::Status (*why)(const Round&)) {
  Waiting waiting;
  absl::Status status;
  {
    MutexLock lock(&mutex_);
    const auto place = places_.find(call);
    if (place == places_.end()) return;
    status = why(place->second.round->second);
    waiting = TakeOut(place->second.round, place->second.rank);
  }
  waiting.done(std::move(status));
}

void Table::Cancel(CallId call) {
  Withdraw(call, [](const Round&) { return absl::CancelledError("the call was cancelled"); });
}

void Table::Expire(CallId call) {
  Withdraw(call, [](const Round& round) {
    std::vector<int> missing;
    for (int rank = 0; rank < round.size; ++rank) {
      if (round.waiting.count(rank) == 0) missing.push_back(rank);
    }
    return ServiceError(absl::StatusCode::kDeadlineExceeded, v1::ErrorDetail::RANKS_MISSING,
                        absl::StrCat(NameRanks(missing), " of ", round.size, " did not come"));
  });
}

void Table::Stop() {
  std::vector<Done> cut;
  {
    MutexLock lock(&mutex_);
    stopped_ = true;
    while (!places_.empty()) {
      const Place place = places_.begin()->second;
      cut.push_back(TakeOut(place.round, place.rank).done);
    }
  }
  for (const Done& done : cut) done(ShuttingDown());
}

}  // namespace evenkeel::rendezvous
