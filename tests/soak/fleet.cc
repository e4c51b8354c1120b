#include "tests/soak/fleet.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/check.h"
#include "base/error_detail.h"
#include "base/grpc_status.h"
#include "base/status_macros.h"
#include "grpcpp/impl/codegen/proto_utils.h"

namespace evenkeel::soak {
namespace {

using Reason = v1::ErrorDetail;

constexpr char kService[] = "/evenkeel.v1.BiasCoordinator/";
// Of a call, which is then made again; and after which nothing is to be hoped for.
constexpr auto kPatience = std::chrono::seconds(60);
constexpr auto kEndOfPatience = std::chrono::seconds(300);
constexpr int kAttempts = 1000;

template <typename Message>
grpc::ByteBuffer Bytes(const Message& message) {
  grpc::ByteBuffer bytes;
  bool own = false;
  EVENKEEL_CHECK(grpc::SerializationTraits<Message>::Serialize(message, &bytes, &own).ok());
  return bytes;
}

template <typename Message>
absl::StatusOr<Message> Parsed(grpc::ByteBuffer bytes) {
  Message message;
  if (grpc::SerializationTraits<Message>::Deserialize(&bytes, &message).ok()) return message;
  return absl::InternalError("an answer is no message of its kind");
}

std::string Text(const grpc::ByteBuffer& bytes) {
  grpc::Slice slice;
  EVENKEEL_CHECK(bytes.DumpToSingleSlice(&slice).ok());
  return {reinterpret_cast<const char*>(slice.begin()), slice.size()};
}

template <typename... Words>
absl::Status Breach(const Words&... words) {
  return absl::InternalError(absl::StrCat(words...));
}

// That end whatever call is under way, and say nothing about it.
bool IsOfTransport(const absl::Status& status) {
  const Reason::Reason reason = ReasonOf(status);
  if (reason == Reason::SHUTTING_DOWN) return true;
  return reason == Reason::REASON_UNSPECIFIED &&
         (absl::IsUnavailable(status) || absl::IsCancelled(status) || absl::IsDeadlineExceeded(status));
}

bool AsksToJoin(const absl::Status& status) {
  const Reason::Reason reason = ReasonOf(status);
  return reason == Reason::STALE_EPOCH || reason == Reason::NOT_JOINED;
}

}  // namespace

struct Fleet::Call {
  Kind kind = Kind::kPush;
  Worker* worker = nullptr;
  // As worker and coordinator were when it was made.
  Process process;
  uint64_t epoch = 0;
  int64_t life = 0;
  int channel = 0;
  size_t index = 0;  // in calls_
  grpc::ClientContext context;
  std::unique_ptr<grpc::GenericClientAsyncResponseReader> reader;
  grpc::ByteBuffer reply;
  grpc::Status status;
};

Fleet::Fleet(const Options& options, const SoakMessages* messages, Reference* reference)
    : options_(options), messages_(messages), reference_(reference), workers_(options.workers) {
  for (int i = 0; i < options.workers; ++i) workers_[i].process = {i, next_incarnation_++};
  for (int i = 0; i < options.channels; ++i) {
    channels_.push_back(NewChannel());
    stubs_.push_back(std::make_unique<grpc::GenericStub>(channels_.back()));
  }
}

Fleet::~Fleet() {
  for (const auto& call : calls_) call->context.TryCancel();
  queue_.Shutdown();
  void* tag = nullptr;
  bool ok = false;
  while (queue_.Next(&tag, &ok)) {
  }
}

std::shared_ptr<grpc::Channel> Fleet::NewChannel() const {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 20);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 100);
  return grpc::CreateCustomChannel(options_.address, grpc::InsecureChannelCredentials(), arguments);
}

void Fleet::Start(Kind kind, Worker* worker, const grpc::ByteBuffer& request) {
  static const std::string kMethods[] = {absl::StrCat(kService, "Push"), absl::StrCat(kService, "Push"),
                                         absl::StrCat(kService, "Join"), absl::StrCat(kService, "Heartbeat")};
  calls_.push_back(std::make_unique<Call>());
  Call* const call = calls_.back().get();
  call->kind = kind;
  call->worker = worker;
  call->process = worker->process;
  call->epoch = worker->epoch;
  call->life = life_;
  call->channel = ChannelOf(worker->process.contributor);
  call->index = calls_.size() - 1;
  call->context.set_deadline(std::chrono::system_clock::now() + kPatience);
  call->context.set_wait_for_ready(true);
  call->reader =
      stubs_[call->channel]->PrepareUnaryCall(&call->context, kMethods[static_cast<int>(kind)], request, &queue_);
  call->reader->StartCall();
  call->reader->Finish(&call->reply, &call->status, call);
}

std::vector<int> Fleet::OpenStep(absl::Time life) {
  EVENKEEL_CHECK(calls_.empty());
  open_step_ = reference_->step() + 1;
  due_ = reference_->version();
  // A life that began in the step before may have waited since then for those who had its answer.
  waiting_since_ = std::min(absl::Now(), life < waiting_since_ ? absl::InfiniteFuture() : life);
  std::vector<int> active;
  for (Worker& worker : workers_) {
    worker.answered = false;
    worker.pushed_as = 0;
    if (worker.here && worker.first_step <= open_step_) active.push_back(worker.process.contributor);
  }
  return active;
}

void Fleet::Push(int index) {
  Worker& worker = workers_[index];
  if (worker.answered) return;  // it has been told while it joined
  worker.pushed_as = worker.process.incarnation;
  ++tally_.pushes;
  Start(Kind::kPush, &worker, messages_->Push(worker.process, worker.epoch, open_step_, due_));
}

void Fleet::PushFormer(int index) {
  Worker& worker = workers_[index];
  const uint64_t step = reference_->step();
  if (worker.joined_at > step || reference_->oldest() == step) return;
  ++tally_.pushes;
  Start(Kind::kFormerPush, &worker, messages_->Push(worker.process, worker.epoch, step, reference_->version_before()));
}

void Fleet::Heartbeat(int index) {
  Worker& worker = workers_[index];
  v1::HeartbeatRequest request;
  request.set_job(SoakMessages::kJob);
  request.set_contributor(index);
  request.set_incarnation(worker.process.incarnation);
  request.set_epoch(worker.epoch);
  Start(Kind::kHeartbeat, &worker, Bytes(request));
}

void Fleet::StartJoin(Worker* worker) {
  if (worker->joins) return;
  worker->joins = true;
  Start(Kind::kJoin, worker, Bytes(messages_->Join(worker->process, open_step_)));
}

absl::Status Fleet::TakeAnswer() {
  void* tag = nullptr;
  bool ok = false;
  if (queue_.AsyncNext(&tag, &ok, std::chrono::system_clock::now() + kEndOfPatience) !=
      grpc::CompletionQueue::GOT_EVENT) {
    return Breach("step ", open_step_, ": ", calls_.size(), " calls have had no answer for five minutes");
  }
  Call* const taken = static_cast<Call*>(tag);
  calls_.back()->index = taken->index;
  std::swap(calls_[taken->index], calls_.back());
  const std::unique_ptr<Call> call = std::move(calls_.back());
  calls_.pop_back();
  return Take(call.get());
}

absl::Status Fleet::Take(Call* call) {
  if (call->kind == Kind::kHeartbeat) return TakeHeartbeat(*call);
  if (call->kind == Kind::kJoin) return TakeJoinCall(*call);
  return call->status.ok() ? TakeVersion(*call) : TakeError(*call);
}

absl::Status Fleet::TakeJoinCall(const Call& call) {
  Worker* const worker = call.worker;
  if (call.process.incarnation == worker->process.incarnation) worker->joins = false;
  if (!call.status.ok()) return TakeError(call);
  if (call.process.incarnation != worker->process.incarnation) return absl::OkStatus();
  if (call.life != life_) {  // nobody else goes by what that life has said
    StartJoin(worker);
    return absl::OkStatus();
  }
  EVENKEEL_ASSIGN_OR_RETURN(const v1::JoinResponse response, Parsed<v1::JoinResponse>(call.reply));
  EVENKEEL_RETURN_IF_ERROR(TakeJoin(response, worker));
  Push(worker->process.contributor);
  return absl::OkStatus();
}

absl::Status Fleet::TakeVersion(const Call& call) {
  ++tally_.answers;
  const std::string bytes = Text(call.reply);
  if (call.kind == Kind::kFormerPush) {
    if (bytes == reference_->answer()) return absl::OkStatus();
    return Breach("a push of step ", reference_->step(), " that was made again has another answer");
  }
  EVENKEEL_RETURN_IF_ERROR(CheckAnswer(bytes));
  if (call.process.incarnation == call.worker->process.incarnation) call.worker->answered = true;
  return absl::OkStatus();
}

absl::Status Fleet::CheckAnswer(const std::string& bytes) {
  if (reference_->step() < open_step_) {
    v1::CommittedVersion version;
    if (!version.ParseFromString(bytes)) return Breach("an answer is no CommittedVersion");
    if (version.version().step() != open_step_) {
      return Breach("step ", open_step_, " is answered with ", version.version().ShortDebugString());
    }
    if (version.version().epoch() < newest_epoch_) {
      return Breach("step ", open_step_, " is of epoch ", version.version().epoch(), ", after ", newest_epoch_);
    }
    std::vector<Process> participants;
    EVENKEEL_RETURN_IF_ERROR(CheckParticipants(version, &participants));
    newest_epoch_ = version.version().epoch();
    reference_->Commit(newest_epoch_, participants);
  }
  if (bytes == reference_->answer()) return absl::OkStatus();
  v1::CommittedVersion ours, theirs;
  if (!ours.ParseFromString(reference_->answer()) || !theirs.ParseFromString(bytes)) return Breach("no version");
  return Breach("step ", open_step_, " is answered with ", theirs.ShortDebugString(), "; the reference has ",
                ours.ShortDebugString());
}

absl::Status Fleet::CheckParticipants(const v1::CommittedVersion& version, std::vector<Process>* participants) {
  std::vector<bool> took_part(workers_.size());
  for (const int contributor : version.participants()) {
    if (contributor < 0 || contributor >= options_.workers || workers_[contributor].pushed_as == 0) {
      return Breach("step ", open_step_, ": contributor ", contributor, " took part, and has not pushed");
    }
    took_part[contributor] = true;
    participants->push_back({contributor, workers_[contributor].pushed_as});
  }
  for (const Worker& worker : workers_) {
    const int contributor = worker.process.contributor;
    if (took_part[contributor] || !worker.here || worker.first_step > open_step_) continue;
    ++tally_.late;
    if (absl::Now() - waiting_since_ >= options_.patience) continue;
    return Breach("step ", open_step_, " was committed without contributor ", contributor, ", and has not waited for ",
                  absl::FormatDuration(options_.patience));
  }
  return absl::OkStatus();
}

absl::Status Fleet::TakeError(const Call& call) {
  Worker& worker = *call.worker;
  const absl::Status status = FromGrpcStatus(call.status);
  const bool is_replaced = call.process.incarnation != worker.process.incarnation;
  if (is_replaced && (ReasonOf(status) == Reason::REPLACED || IsOfTransport(status) || AsksToJoin(status))) {
    return absl::OkStatus();
  }
  if (!IsOfTransport(status) && !AsksToJoin(status)) {
    return Breach("step ", open_step_, ", contributor ", call.process.contributor, ": ", status.ToString());
  }
  if (call.kind == Kind::kFormerPush || worker.answered) return absl::OkStatus();
  ++tally_.made_again;
  if (call.kind == Kind::kJoin || (AsksToJoin(status) && call.epoch == worker.epoch)) {
    StartJoin(&worker);
  } else if (!worker.joins) {
    Push(worker.process.contributor);
  }
  return absl::OkStatus();
}

absl::Status Fleet::TakeHeartbeat(const Call& call) {
  if (!call.status.ok()) {
    const absl::Status status = FromGrpcStatus(call.status);
    if (IsOfTransport(status) || AsksToJoin(status) || ReasonOf(status) == Reason::REPLACED) return absl::OkStatus();
    return Breach("heartbeat: ", status.ToString());
  }
  EVENKEEL_ASSIGN_OR_RETURN(const v1::HeartbeatResponse response, Parsed<v1::HeartbeatResponse>(call.reply));
  if (response.open_step() == open_step_ || response.open_step() == open_step_ + 1) return absl::OkStatus();
  return Breach("heartbeat: step ", response.open_step(), " is open; step ", open_step_, " is");
}

// Of a worker that goes on with the open step: it may have been committed before the worker heard of it.
absl::Status Fleet::TakeJoin(const v1::JoinResponse& response, Worker* worker) {
  ++tally_.joins;
  if (response.epoch() < newest_epoch_) return Breach("epoch ", response.epoch(), " comes after ", newest_epoch_);
  worker->epoch = response.epoch();
  const std::string version = response.version().SerializeAsString();
  if (response.open_step() == open_step_ && reference_->step() < open_step_) {
    newest_epoch_ = response.epoch();
    if (version == reference_->answer()) return absl::OkStatus();
    return Breach("contributor ", worker->process.contributor, " is told of another step ", reference_->step());
  }
  if (response.open_step() != open_step_ + 1) {
    return Breach("steps are lost: step ", response.open_step(), " is open; the workers have the answer to step ",
                  reference_->step());
  }
  worker->answered = true;
  EVENKEEL_RETURN_IF_ERROR(CheckAnswer(version));
  newest_epoch_ = response.epoch();
  return absl::OkStatus();
}

absl::Status Fleet::EndStep() {
  while (is_waiting()) EVENKEEL_RETURN_IF_ERROR(TakeAnswer());
  if (reference_->step() != open_step_) return Breach("step ", open_step_, " has no answer");
  for (const Worker& worker : workers_) {
    if (worker.answered || !worker.here || worker.first_step > open_step_) continue;
    return Breach("step ", open_step_, ": contributor ", worker.process.contributor, " has no answer");
  }
  return absl::OkStatus();
}

absl::Status Fleet::CallNow(const Method& method) {
  absl::Status status;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kPatience);
    context.set_wait_for_ready(true);
    const auto stub = v1::BiasCoordinator::NewStub(channels_[attempt % channels()]);
    status = FromGrpcStatus(method(stub.get(), &context));
    if (!IsOfTransport(status)) return status;
    ++tally_.made_again;
  }
  return status;
}

absl::Status Fleet::JoinNow(Worker* worker, const v1::JoinRequest& request) {
  v1::JoinResponse response;
  EVENKEEL_RETURN_IF_ERROR(CallNow([&](v1::BiasCoordinator::Stub* stub, grpc::ClientContext* context) {
    return stub->Join(context, request, &response);
  }));
  return TakeJoin(response, worker);
}

absl::Status Fleet::Begin() {
  for (Worker& worker : workers_) EVENKEEL_RETURN_IF_ERROR(JoinNow(&worker, messages_->Join(worker.process, 1)));
  return absl::OkStatus();
}

absl::Status Fleet::Leave(int index) {
  Worker& worker = workers_[index];
  v1::LeaveRequest request;
  request.set_job(SoakMessages::kJob);
  request.set_contributor(index);
  request.set_incarnation(worker.process.incarnation);
  worker.here = false;
  return CallNow([&](v1::BiasCoordinator::Stub* stub, grpc::ClientContext* context) {
    v1::LeaveResponse response;
    return stub->Leave(context, request, &response);
  });
}

void Fleet::Hang(int index) {
  workers_[index].here = false;
  workers_[index].hangs = true;
}

absl::Status Fleet::Return(int index, bool later) {
  Worker& worker = workers_[index];
  open_step_ = reference_->step() + 1;
  const bool new_process = !worker.hangs;
  if (new_process) worker.process.incarnation = next_incarnation_++;
  worker.here = true;
  worker.hangs = false;
  worker.answered = false;
  worker.first_step = open_step_ + (later && reference_->step() > 0);
  if (new_process) worker.joined_at = open_step_;
  return JoinNow(&worker, messages_->Join(worker.process, worker.first_step));
}

absl::Status Fleet::Replace(int index) {
  Worker& worker = workers_[index];
  worker.process.incarnation = next_incarnation_++;
  worker.joined_at = open_step_;
  worker.joins = false;
  v1::JoinRequest request = messages_->Join(worker.process, open_step_);
  request.set_catch_up(true);
  EVENKEEL_RETURN_IF_ERROR(JoinNow(&worker, request));
  if (worker.pushed_as != 0) Push(index);
  return absl::OkStatus();
}

absl::Status Fleet::Rewind(uint64_t step) {
  reference_->Rewind(step);
  open_step_ = step + 1;
  for (Worker& worker : workers_) {
    worker = Worker{{worker.process.contributor, next_incarnation_++}};
    worker.joined_at = worker.first_step = open_step_;
  }
  std::vector<v1::JoinResponse> responses(workers_.size());
  for (size_t waiting = workers_.size(); waiting > 0;) {
    waiting = 0;
    for (Worker& worker : workers_) {
      v1::JoinResponse& response = responses[worker.process.contributor];
      if (response.epoch() != 0) continue;
      v1::JoinRequest request = messages_->Join(worker.process, open_step_);
      request.set_rewind(true);
      const absl::Status status = CallNow([&](v1::BiasCoordinator::Stub* stub, grpc::ClientContext* context) {
        return stub->Join(context, request, &response);
      });
      if (ReasonOf(status) == Reason::REWIND_PENDING) {
        ++waiting;
        continue;
      }
      EVENKEEL_RETURN_IF_ERROR(status);
      EVENKEEL_RETURN_IF_ERROR(TakeJoin(response, &worker));
    }
  }
  return absl::OkStatus();
}

void Fleet::Reconnect(int channel) {
  for (const auto& call : calls_) {
    if (call->channel == channel) call->context.TryCancel();
  }
  channels_[channel] = NewChannel();
  stubs_[channel] = std::make_unique<grpc::GenericStub>(channels_[channel]);
}

int Fleet::away() const {
  int away = 0;
  for (const Worker& worker : workers_) away += !worker.here;
  return away;
}

}  // namespace evenkeel::soak
