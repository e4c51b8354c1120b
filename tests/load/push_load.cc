#include "tests/load/push_load.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "evenkeel/v1/bias_coordinator.grpc.pb.h"
#include "grpcpp/grpcpp.h"

namespace evenkeel::load {
namespace {

constexpr char kPush[] = "/evenkeel.v1.BiasCoordinator/Push";
constexpr auto kPatience = std::chrono::seconds(120);

double Microseconds(std::chrono::steady_clock::duration time) {
  return std::chrono::duration<double, std::micro>(time).count();
}

// A channel with a connection of its own.
std::shared_ptr<grpc::Channel> NewChannel(const PushLoad::Options& options) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetMaxReceiveMessageSize(-1);
  return grpc::CreateCustomChannel(options.address, options.credentials, arguments);
}

absl::Status Failed(absl::string_view what, const grpc::Status& status) {
  return absl::UnavailableError(absl::StrCat(what, ": gRPC code ", status.error_code(), ", ", status.error_message()));
}

}  // namespace

// One worker, and its push of the open step.
struct PushLoad::Call {
  Job* job = nullptr;
  int contributor = 0;
  std::optional<grpc::ClientContext> context;  // of one call only
  std::unique_ptr<grpc::GenericClientAsyncResponseReader> reader;
  grpc::ByteBuffer reply;
  grpc::Status status;
};

struct PushLoad::Job {
  std::string name;
  std::vector<std::shared_ptr<grpc::Channel>> channels;
  std::vector<std::unique_ptr<grpc::GenericStub>> stubs;
  std::vector<Call> calls;  // by contributor
  uint64_t epoch = 1;
  uint64_t step = 0;  // open, or the last
  int answered = 0;   // of the open step
  size_t push_bytes = 0;
  size_t reply_bytes = 0;
  Clock::time_point first_push, last_push;
  // Of this run.
  int steps = 0;
  StepSamples samples;
};

PushLoad::PushLoad(const Options& options, const LoadCase& load_case, const PushMessages* messages)
    : options_(options), load_case_(load_case), messages_(messages) {
  for (int i = 0; i < load_case.jobs; ++i) {
    auto job = std::make_unique<Job>();
    job->name = absl::StrCat("load-", i);
    for (int channel = 0; channel < options.channels; ++channel) {
      job->channels.push_back(NewChannel(options));
      job->stubs.push_back(std::make_unique<grpc::GenericStub>(job->channels.back()));
    }
    job->calls = std::vector<Call>(load_case.workers);
    for (int contributor = 0; contributor < load_case.workers; ++contributor) {
      job->calls[contributor].job = job.get();
      job->calls[contributor].contributor = contributor;
    }
    jobs_.push_back(std::move(job));
  }
}

PushLoad::~PushLoad() {
  // Calls that a failed Run has left behind end first.
  for (const auto& job : jobs_) {
    for (Call& call : job->calls) {
      if (call.context.has_value()) call.context->TryCancel();
    }
  }
  queue_.Shutdown();
  void* tag = nullptr;
  bool ok = false;
  while (queue_.Next(&tag, &ok)) {
  }
}

size_t PushLoad::push_bytes() const { return jobs_.front()->push_bytes; }

size_t PushLoad::reply_bytes() const { return jobs_.front()->reply_bytes; }

absl::Status PushLoad::Join() {
  for (const auto& job : jobs_) {
    for (const auto& channel : job->channels) {
      if (!channel->WaitForConnected(std::chrono::system_clock::now() + kPatience)) {
        return absl::UnavailableError(absl::StrCat("no connection to ", options_.address));
      }
    }
    if (!options_.echo) EVENKEEL_RETURN_IF_ERROR(JoinJob(job.get()));
  }
  return absl::OkStatus();
}

absl::Status PushLoad::JoinJob(Job* job) {
  for (int contributor = 0; contributor < load_case_.workers; ++contributor) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kPatience);
    v1::JoinResponse response;
    const auto stub = v1::BiasCoordinator::NewStub(job->channels[contributor % job->channels.size()]);
    const grpc::Status status = stub->Join(&context, messages_->Join(job->name, contributor), &response);
    if (!status.ok()) return Failed("Join", status);
    if (response.open_step() != 1) return absl::FailedPreconditionError(absl::StrCat(job->name, " is not new"));
    job->epoch = response.epoch();
  }
  return absl::OkStatus();
}

void PushLoad::StartStep(Job* job) {
  ++job->step;
  job->answered = 0;
  job->first_push = Clock::now();
  const auto deadline = std::chrono::system_clock::now() + kPatience;
  for (Call& call : job->calls) {
    call.context.emplace();
    call.context->set_deadline(deadline);
    const grpc::ByteBuffer push = messages_->Push(job->name, call.contributor, job->epoch, job->step);
    job->push_bytes = push.Length();
    grpc::GenericStub* const stub = job->stubs[call.contributor % job->stubs.size()].get();
    call.reader = stub->PrepareUnaryCall(&*call.context, kPush, push, &queue_);
    call.reader->StartCall();
    call.reader->Finish(&call.reply, &call.status, &call);
  }
  job->last_push = Clock::now();
}

absl::Status PushLoad::CheckAnswer(const Call& call) {
  if (!call.status.ok()) return Failed("Push", call.status);
  const bool first = call.job->answered == 0;
  if (first) call.job->reply_bytes = call.reply.Length();
  if (call.reply.Length() != call.job->reply_bytes) {
    return absl::InternalError(absl::StrCat("an answer of ", call.reply.Length(), " bytes to step ", call.job->step,
                                            ", whose first has ", call.job->reply_bytes));
  }
  if (!first || options_.echo) return absl::OkStatus();
  v1::CommittedVersion version;
  grpc::ByteBuffer bytes(call.reply);
  const bool parses = grpc::SerializationTraits<v1::CommittedVersion>::Deserialize(&bytes, &version).ok();
  const bool right = parses && version.version().step() == call.job->step && version.ok() &&
                     version.participants_size() == load_case_.workers && version.durable_step() == call.job->step;
  if (right) return absl::OkStatus();
  return absl::InternalError(
      absl::StrCat("the answer to step ", call.job->step, " is wrong: ", version.version().ShortDebugString()));
}

absl::Status PushLoad::Take(Call* call) {
  const Clock::time_point now = Clock::now();
  Job* const job = call->job;
  job->samples.from_first_push.push_back(Microseconds(now - job->first_push));
  job->samples.from_last_push.push_back(Microseconds(now - job->last_push));
  const absl::Status status = CheckAnswer(*call);
  call->reply.Clear();
  call->reader.reset();
  call->context.reset();
  if (++job->answered == load_case_.workers) {
    job->samples.step.push_back(Microseconds(now - job->first_push));
    ++job->steps;
  }
  return status;
}

absl::StatusOr<std::vector<StepSamples>> PushLoad::Run(const std::function<bool(int steps)>& enough) {
  for (const auto& job : jobs_) {
    job->steps = 0;
    job->samples = {};
    StartStep(job.get());
  }
  int running = load_case_.jobs;
  while (running > 0) {
    void* tag = nullptr;
    bool ok = false;
    if (!queue_.Next(&tag, &ok)) return absl::InternalError("the queue has ended");
    Call* const call = static_cast<Call*>(tag);
    EVENKEEL_RETURN_IF_ERROR(Take(call));
    Job* const job = call->job;
    if (job->answered < load_case_.workers) continue;
    if (enough(job->steps)) {
      --running;
    } else {
      StartStep(job);
    }
  }
  std::vector<StepSamples> samples;
  for (const auto& job : jobs_) samples.push_back(std::move(job->samples));
  return samples;
}

}  // namespace evenkeel::load
