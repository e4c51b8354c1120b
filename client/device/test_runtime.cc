#include "client/device/test_runtime.h"

#include <atomic>
#include <chrono>
#include <cstring>
#include <functional>
#include <optional>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "client/device/note_access.h"
#include "client/device/test_stream.h"

// One recording is one flag, which whoever waits for it keeps: that the event is recorded again is nothing to him.
struct CUevent_st {
  std::shared_ptr<std::atomic<bool>> recorded;  // null before the first
};

namespace evenkeel::client {
namespace {

using Work = std::function<bool()>;  // false: not yet

DeviceInfo PlainMemory() {
  DeviceInfo info;
  info.name = "plain memory";
  return info;
}

}  // namespace

// A queue that one thread at a time takes from, and many add to. That it takes is not seen by those who add: on a
// device, too, to enqueue says nothing of what has run, and a lock between the two would tell ThreadSanitizer that it
// does.
class TestRuntime::Stream : public CUstream_st {
 public:
  explicit Stream(bool thread) {
    enqueue = [](CUstream_st* stream, bool (*run)(void*), void* argument) {
      static_cast<Stream*>(stream)->Push(&Enqueued::collectives, [run, argument] { return run(argument); });
    };
    if (thread) thread_ = std::thread([this] { RunUntilEnd(); });
  }
  ~Stream() {
    ends_ = true;
    if (thread_.joinable()) thread_.join();
    while (done_ != nullptr) delete std::exchange(done_, done_->next.load(std::memory_order_relaxed));
  }

  void Push(int Enqueued::*kind, Work work) {
    MutexLock lock(&adding_);
    EVENKEEL_CHECK(!destroyed_);
    ++(enqueued_.*kind);
    Node* const node = new Node{std::move(work), nullptr};
    last_->next.store(node, std::memory_order_release);
    last_ = node;
    ++pushed_;
  }

  void BeginCapture() {
    MutexLock lock(&adding_);
    EVENKEEL_CHECK(!captured_.has_value());
    captured_.emplace();
  }
  TestGraph EndCapture() {
    MutexLock lock(&adding_);
    EVENKEEL_CHECK(captured_.has_value());
    return *std::exchange(captured_, std::nullopt);
  }
  bool IsCapturing() {
    MutexLock lock(&adding_);
    return captured_.has_value();
  }
  void Launch(Kernel kernel) {
    {
      MutexLock lock(&adding_);
      if (captured_.has_value()) return captured_->push_back(std::move(kernel));
    }
    Push(&Enqueued::kernels, [run = std::move(kernel)] {
      run();
      return true;
    });
  }

  // Whether it ran something to its end.
  bool Step() {
    Node* const next = done_->next.load(std::memory_order_acquire);
    if (next == nullptr || !next->work()) return false;
    next->work = nullptr;
    delete std::exchange(done_, next);
    ran_.fetch_add(1, std::memory_order_release);
    return true;
  }

  // As after cudaStreamSynchronize, what has run is seen by who asks.
  bool HasRun() {
    MutexLock lock(&adding_);
    return ran_.load(std::memory_order_acquire) == pushed_;
  }

  Enqueued enqueued() {
    MutexLock lock(&adding_);
    return enqueued_;
  }

  void Destroy() {
    MutexLock lock(&adding_);
    EVENKEEL_CHECK(!destroyed_);
    destroyed_ = true;
  }

 private:
  struct Node {
    Work work;
    std::atomic<Node*> next;
  };

  void RunUntilEnd() {
    while (!ends_) {
      // There is nobody to wake this thread: see above.
      if (!Step()) std::this_thread::sleep_for(std::chrono::microseconds(20));
    }
  }

  Mutex adding_;
  bool destroyed_ ABSL_GUARDED_BY(adding_) = false;
  Enqueued enqueued_ ABSL_GUARDED_BY(adding_);
  std::optional<TestGraph> captured_ ABSL_GUARDED_BY(adding_);
  Node* done_ = new Node{nullptr, nullptr};  // whose next is the next to run
  Node* last_ ABSL_GUARDED_BY(adding_) = done_;
  uint64_t pushed_ ABSL_GUARDED_BY(adding_) = 0;
  std::atomic<uint64_t> ran_ = 0;
  std::atomic<bool> ends_ = false;
  std::thread thread_;
};

TestRuntime::TestRuntime(const TestRuntimeOptions& options)
    : options_(options), info_(PlainMemory()), memory_(options.memory), random_(options.seed) {
  MutexLock lock(&mutex_);
  streams_.push_back(std::make_unique<Stream>(options_.threads));
}

TestRuntime::~TestRuntime() = default;

TestRuntime::Stream& TestRuntime::Find(DeviceStream stream) {
  MutexLock lock(&mutex_);
  if (stream == nullptr) return *streams_[0];
  for (const auto& own : streams_) {
    if (own.get() == stream) return *own;
  }
  const bool is_a_stream = false;
  EVENKEEL_CHECK(is_a_stream);
}

void TestRuntime::Step() {
  MutexLock running(&running_);
  Stream* stream = nullptr;
  {
    MutexLock lock(&mutex_);
    stream = streams_[random_() % streams_.size()].get();
  }
  stream->Step();
}

bool TestRuntime::AllHaveRun() {
  MutexLock lock(&mutex_);
  for (const auto& stream : streams_) {
    if (!stream->HasRun()) return false;
  }
  return true;
}

void TestRuntime::RunAll() {
  while (!AllHaveRun()) {
    if (options_.threads) {
      std::this_thread::yield();
    } else {
      Step();
    }
  }
}

void TestRuntime::BeginCapture(DeviceStream stream) { Find(stream).BeginCapture(); }

TestGraph TestRuntime::EndCapture(DeviceStream stream) { return Find(stream).EndCapture(); }

void TestRuntime::LaunchGraph(const TestGraph& graph, DeviceStream stream) {
  for (const Kernel& kernel : graph) Find(stream).Launch(kernel);
}

absl::StatusOr<bool> TestRuntime::IsCapturing(DeviceStream stream) { return Find(stream).IsCapturing(); }

absl::Status TestRuntime::CheckNoCapture(DeviceStream stream) {
  if (!Find(stream).IsCapturing()) return absl::OkStatus();
  return absl::InternalError("the stream is capturing a graph, and this is no kernel");
}

Enqueued TestRuntime::CountOf(DeviceStream stream) { return Find(stream).enqueued(); }

Enqueued TestRuntime::CountOfAll() {
  MutexLock lock(&mutex_);
  Enqueued all;
  for (const auto& stream : streams_) {
    const Enqueued own = stream->enqueued();
    for (const auto kind : {&Enqueued::kernels, &Enqueued::copies, &Enqueued::fills, &Enqueued::records,
                            &Enqueued::waits, &Enqueued::collectives}) {
      all.*kind += own.*kind;
    }
  }
  return all;
}

absl::StatusOr<void*> TestRuntime::Allocate(size_t bytes) {
  void* const memory = memory_.Allocate(bytes, /*pinned=*/false);
  if (memory == nullptr) return absl::ResourceExhaustedError(absl::StrCat("no ", bytes, " bytes of the device"));
  return memory;
}

absl::StatusOr<void*> TestRuntime::AllocatePinned(size_t bytes) {
  void* const memory = memory_.Allocate(bytes, /*pinned=*/true);
  if (memory == nullptr) return absl::ResourceExhaustedError(absl::StrCat("no ", bytes, " bytes of pinned memory"));
  return memory;
}

void TestRuntime::Free(void* memory) {
  RunAll();
  memory_.Free(memory, /*pinned=*/false);
}

void TestRuntime::FreePinned(void* memory) {
  RunAll();
  memory_.Free(memory, /*pinned=*/true);
}

absl::StatusOr<DeviceStream> TestRuntime::CreateStream() {
  MutexLock lock(&mutex_);
  streams_.push_back(std::make_unique<Stream>(options_.threads));
  return streams_.back().get();
}

void TestRuntime::DestroyStream(DeviceStream stream) { Find(stream).Destroy(); }

absl::StatusOr<DeviceEvent> TestRuntime::CreateEvent() {
  auto event = std::make_unique<CUevent_st>();
  MutexLock lock(&mutex_);
  return events_.emplace(event.get(), std::move(event)).first->first;
}

void TestRuntime::DestroyEvent(DeviceEvent event) {
  MutexLock lock(&mutex_);
  EVENKEEL_CHECK(events_.erase(event) == 1);
}

absl::Status TestRuntime::Record(DeviceEvent event, DeviceStream stream) {
  EVENKEEL_RETURN_IF_ERROR(CheckNoCapture(stream));
  auto recorded = std::make_shared<std::atomic<bool>>(false);
  {
    MutexLock lock(&mutex_);
    EVENKEEL_CHECK(events_.count(event) == 1);
    event->recorded = recorded;
  }
  Find(stream).Push(&Enqueued::records, [recorded] {
    recorded->store(true, std::memory_order_release);
    return true;
  });
  return absl::OkStatus();
}

absl::Status TestRuntime::WaitOn(DeviceStream stream, DeviceEvent event) {
  EVENKEEL_RETURN_IF_ERROR(CheckNoCapture(stream));
  std::shared_ptr<std::atomic<bool>> recorded;
  {
    MutexLock lock(&mutex_);
    EVENKEEL_CHECK(events_.count(event) == 1);
    recorded = event->recorded;
  }
  Find(stream).Push(&Enqueued::waits,
                    [recorded] { return recorded == nullptr || recorded->load(std::memory_order_acquire); });
  return absl::OkStatus();
}

absl::StatusOr<bool> TestRuntime::Happened(DeviceEvent event) {
  if (!options_.threads) {
    int steps = 0;
    {
      MutexLock running(&running_);
      steps = static_cast<int>(random_() % 4);
    }
    for (; steps > 0; --steps) Step();
  }
  MutexLock lock(&mutex_);
  EVENKEEL_CHECK(events_.count(event) == 1);
  return event->recorded == nullptr || event->recorded->load(std::memory_order_acquire);
}

absl::Status TestRuntime::Copy(void* to, const void* from, size_t bytes, DeviceStream stream) {
  EVENKEEL_RETURN_IF_ERROR(CheckNoCapture(stream));
  const auto map = memory_.map();
  EVENKEEL_CHECK(bytes == 0 || map->IsDeviceOrPinned(to, bytes));
  EVENKEEL_CHECK(bytes == 0 || map->IsDeviceOrPinned(from, bytes));
  Find(stream).Push(&Enqueued::copies, [=] {
    NoteRead(from, bytes);
    NoteWrite(to, bytes);
    if (bytes > 0) std::memmove(to, from, bytes);
    return true;
  });
  return absl::OkStatus();
}

absl::Status TestRuntime::FillZero(void* memory, size_t bytes, DeviceStream stream) {
  EVENKEEL_RETURN_IF_ERROR(CheckNoCapture(stream));
  EVENKEEL_CHECK(bytes == 0 || memory_.map()->IsDeviceOrPinned(memory, bytes));
  Find(stream).Push(&Enqueued::fills, [=] {
    NoteWrite(memory, bytes);
    if (bytes > 0) std::memset(memory, 0, bytes);
    return true;
  });
  return absl::OkStatus();
}

absl::Status TestRuntime::Launch(absl::StatusOr<Kernel> kernel, DeviceStream stream) {
  EVENKEEL_RETURN_IF_ERROR(kernel.status());
  if (*kernel == nullptr) return absl::OkStatus();
  Find(stream).Launch(*std::move(kernel));
  return absl::OkStatus();
}

absl::Status TestRuntime::Route(const routing::RouteSpec& spec, const routing::RouteInput& input,
                                const routing::RouteOutput& output, routing::RouteStats* stats, DeviceStream stream) {
  return Launch(RouteKernel(memory_.map(), spec, input, output, stats), stream);
}

absl::Status TestRuntime::RouteBackward(const routing::RouteSpec& spec, const routing::RouteBackwardInput& input,
                                        const routing::RouteBackwardOutput& output, DeviceStream stream) {
  return Launch(RouteBackwardKernel(memory_.map(), spec, input, output), stream);
}

absl::Status TestRuntime::CountIds(const counting::IdsInput& input, const counting::CountOutput& output,
                                   DeviceStream stream) {
  return Launch(CountIdsKernel(memory_.map(), input, output), stream);
}

absl::Status TestRuntime::AddCounts(const counting::CountsInput& input, const counting::CountOutput& output,
                                    DeviceStream stream) {
  return Launch(AddCountsKernel(memory_.map(), input, output), stream);
}

absl::Status TestRuntime::Checksum(const void* words, int64_t num_words, uint64_t start, uint64_t* sum,
                                   DeviceStream stream) {
  return Launch(ChecksumKernel(memory_.map(), words, num_words, start, sum), stream);
}

absl::Status TestRuntime::NextStep(const balance::NextStep& next, DeviceStream stream) {
  return Launch(NextStepKernel(memory_.map(), next), stream);
}

absl::Status TestRuntime::Update(const balance::FlatUpdate& update, DeviceStream stream) {
  return Launch(UpdateKernel(memory_.map(), update), stream);
}

}  // namespace evenkeel::client
