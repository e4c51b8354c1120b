#include "client/reduce/gloo_reducer.h"

#include <gloo/allreduce.h>
#include <gloo/broadcast.h>
#include <xxhash.h>

#include <exception>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "client/reduce/gloo_mesh.h"
#include "client/reduce/local_address.h"
#include "client/reduce/sigpipe.h"

namespace evenkeel::client {
namespace {

Deadline Now() { return std::chrono::steady_clock::now(); }

// Without the place in Gloo's source that most messages begin with.
absl::string_view WithoutPlace(absl::string_view message) {
  const size_t end = message.find("] ");
  return !message.empty() && message[0] == '[' && end != absl::string_view::npos ? message.substr(end + 2) : message;
}

// Runs `work` and makes of its exceptions a status. Of Gloo's, one type stands for all that can happen to a connection:
// the time tells whether it was silent for too long.
absl::Status Guarded(std::chrono::milliseconds timeout, absl::FunctionRef<void()> work) {
  const Deadline begin = Now();
  const SigpipeBlock no_signals;
  try {
    work();
    return absl::OkStatus();
  } catch (const GlooAborted&) {
    return absl::CancelledError("the reduction was aborted");
  } catch (const std::exception& error) {
    const absl::string_view message = WithoutPlace(error.what());
    return Now() - begin >= timeout ? absl::DeadlineExceededError(message) : absl::UnavailableError(message);
  } catch (...) {
    return absl::UnavailableError("Gloo failed without a word");
  }
}

void Add(void* sum, const void* left, const void* right, size_t count) {
  const auto* a = static_cast<const uint64_t*>(left);
  const auto* b = static_cast<const uint64_t*>(right);
  auto* c = static_cast<uint64_t*>(sum);
  for (size_t i = 0; i < count; ++i) c[i] = a[i] + b[i];
}

class GlooReducer final : public Reducer {
 public:
  // `mesh` is null where there are no other ranks.
  GlooReducer(const GlooOptions& options, std::shared_ptr<GlooMesh> mesh) : options_(options), mesh_(std::move(mesh)) {}

  int rank() const override { return options_.rank; }
  int size() const override { return options_.size; }

  absl::Status Sum(absl::Span<uint64_t> values) override {
    return Call("sum", values.size() * sizeof(uint64_t), [values](const std::shared_ptr<GlooMesh>& mesh, uint32_t tag) {
      gloo::AllreduceOptions options(mesh);
      options.setAlgorithm(values.size() * sizeof(uint64_t) <= kSmall ? gloo::AllreduceOptions::Algorithm::BCUBE
                                                                      : gloo::AllreduceOptions::Algorithm::RING);
      options.setOutput(values.data(), values.size());
      options.setReduceFunction(Add);
      options.setTag(tag);
      gloo::allreduce(options);
    });
  }

  absl::Status Broadcast(absl::Span<char> bytes) override {
    return Call("broadcast", bytes.size(), [bytes](const std::shared_ptr<GlooMesh>& mesh, uint32_t tag) {
      gloo::BroadcastOptions options(mesh);
      options.setOutput(bytes.data(), bytes.size());
      options.setRoot(0);
      options.setTag(tag);
      gloo::broadcast(options);
    });
  }

  void Abort() override {
    std::shared_ptr<GlooMesh> mesh;
    {
      MutexLock lock(&mutex_);
      if (broken_.ok()) broken_ = absl::CancelledError("the reduction was aborted");
      mesh = std::move(mesh_);
    }
    if (mesh != nullptr) mesh->Abort();
  }

 private:
  using Work = absl::FunctionRef<void(const std::shared_ptr<GlooMesh>&, uint32_t tag)>;

  // Up to here, as measured with 2 to 8 ranks, the number of steps counts (the logarithm of the ranks, or twice the
  // ranks); beyond, how evenly the bytes are spread.
  static constexpr size_t kSmall = 4 << 20;

  absl::Status Call(absl::string_view what, size_t bytes, Work work) {
    std::shared_ptr<GlooMesh> mesh;
    {
      MutexLock lock(&mutex_);
      EVENKEEL_RETURN_IF_ERROR(broken_);
      mesh = mesh_;
    }
    const uint32_t tag = Tag(what, bytes);
    if (mesh == nullptr || bytes == 0) return absl::OkStatus();
    const absl::Status status = Guarded(options_.timeout, [&] { work(mesh, tag); });

    MutexLock lock(&mutex_);
    if (!status.ok() && broken_.ok()) {
      broken_ = absl::Status(status.code(), absl::StrCat(what, " of ", bytes, " bytes on rank ", rank(), " of ", size(),
                                                         ": ", status.message()));
    }
    // Whoever waits for this rank is not to wait for long.
    if (!broken_.ok()) mesh_.reset();
    return broken_;
  }

  // Messages of calls that differ do not match: ranks that disagree about what they call wait in vain, instead of
  // taking one thing for another.
  uint32_t Tag(absl::string_view what, size_t bytes) {
    const std::string call = absl::StrCat(what, " ", bytes, " ", calls_++);
    return static_cast<uint32_t>(XXH3_64bits(call.data(), call.size()));
  }

  const GlooOptions options_;
  uint64_t calls_ = 0;
  Mutex mutex_;
  // Null also once it is broken. A call holds it for as long as it runs.
  std::shared_ptr<GlooMesh> mesh_ ABSL_GUARDED_BY(mutex_);
  absl::Status broken_ ABSL_GUARDED_BY(mutex_);
};

// Errors of connecting say where this rank was to be reached.
absl::Status Connecting(const std::string& address, const absl::Status& status) {
  if (status.ok()) return status;
  return absl::Status(status.code(),
                      absl::StrCat("connecting to the group from the address ", address, ": ", status.message()));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Reducer>> MakeGlooReducer(const GlooOptions& options, Rendezvous* rendezvous) {
  EVENKEEL_RETURN_IF_ERROR(CheckMembership(options.rank, options.size, options.timeout));
  if (options.size == 1) return std::make_unique<GlooReducer>(options, nullptr);

  const Deadline deadline = Now() + options.timeout;
  EVENKEEL_ASSIGN_OR_RETURN(const std::string address, LocalAddress(options.interface, options.toward));
  std::shared_ptr<GlooMesh> mesh;
  EVENKEEL_RETURN_IF_ERROR(Connecting(address, Guarded(options.timeout, [&] {
                                        mesh = std::make_shared<GlooMesh>(options.rank, options.size, address,
                                                                          options.timeout);
                                      })));
  EVENKEEL_ASSIGN_OR_RETURN(const std::vector<std::string> addresses,
                            rendezvous->Exchange("gloo", mesh->addresses(), deadline));
  EVENKEEL_RETURN_IF_ERROR(Connecting(address, Guarded(options.timeout, [&] { mesh->Connect(addresses, deadline); })));
  return std::make_unique<GlooReducer>(options, std::move(mesh));
}

}  // namespace evenkeel::client
