#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "evenkeel/v1/bias_coordinator.grpc.pb.h"
#include "grpcpp/completion_queue.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/grpcpp.h"
#include "tests/soak/reference.h"
#include "tests/soak/soak_messages.h"

namespace evenkeel::soak {

// All workers of the soak, in one thread and over a few channels. Whatever the coordinator says is held against the
// reference the moment it is heard:
//   - the answer to a step is the same bytes for everyone, in every life of the coordinator, and those of the reference
//   - whoever pushed took part, unless it was waited for as long as the job waits, and nobody else did
//   - a step that was answered stays committed
// An error of any method is a breach of that, or a call that is refused for no reason that the faults give. Calls that
// a fault has ended are made again. Not thread-safe.
class Fleet {
 public:
  struct Options {
    std::string address;
    int workers = 64;
    int channels = 4;
    // As the messages were given it.
    absl::Duration patience;
  };
  struct Tally {
    int64_t pushes = 0;      // sent
    int64_t answers = 0;     // that were versions
    int64_t joins = 0;       // that were answered
    int64_t made_again = 0;  // calls, for want of an answer
    int64_t late = 0;        // pushes that came when the job had gone on without them
  };

  // `messages` and `reference` outlive the fleet.
  Fleet(const Options& options, const SoakMessages* messages, Reference* reference);
  ~Fleet();
  Fleet(const Fleet&) = delete;
  Fleet& operator=(const Fleet&) = delete;

  // Every worker joins the job, which is new.
  absl::Status Begin();

  // Opens the next step. `life` is when the coordinator's life began. Answers with who is to push it, ascending.
  std::vector<int> OpenStep(absl::Time life);
  // Sends a worker's push of the open step.
  void Push(int worker);
  // Takes one answer; there is a call that waits for one.
  absl::Status TakeAnswer();
  bool is_waiting() const { return !calls_.empty(); }
  // Takes answers until none is waited for, and checks that everybody has that of the open step.
  absl::Status EndStep();

  // Between steps.
  absl::Status Leave(int worker);
  // It pushes no more.
  void Hang(int worker);
  // One that left comes back as another process; one that hung, as it was. `later`: from the step after the next on,
  // where the job has committed a step.
  absl::Status Return(int worker, bool later);
  // All workers, also those that are away, start again as other processes at the step after `step`.
  absl::Status Rewind(uint64_t step);
  // Sends the push of the last step again, if this process was there; its answer is taken like any other.
  void PushFormer(int worker);
  void Heartbeat(int worker);

  // At any time.
  void OnRestart() { ++life_; }
  absl::Status Replace(int worker);
  // Cancels the calls of a channel, and makes another in its place.
  void Reconnect(int channel);

  bool is_here(int worker) const { return workers_[worker].here; }
  bool hangs(int worker) const { return workers_[worker].hangs; }
  int away() const;
  int channels() const { return static_cast<int>(channels_.size()); }
  const Tally& tally() const { return tally_; }

  // For what else is called between steps: `method` of a stub, until no fault ends it.
  using Method = std::function<grpc::Status(v1::BiasCoordinator::Stub* stub, grpc::ClientContext* context)>;
  absl::Status CallNow(const Method& method);

 private:
  enum class Kind { kPush, kFormerPush, kJoin, kHeartbeat };
  struct Call;

  struct Worker {
    Process process;
    uint64_t epoch = 0;       // that it joined in
    uint64_t first_step = 0;  // that waits for it
    uint64_t joined_at = 0;   // open step when the process first joined
    bool here = true;
    bool hangs = false;
    bool joins = false;     // a Join is under way
    bool answered = false;  // has the answer to the open step
    // That pushed the open step; 0: none yet.
    uint64_t pushed_as = 0;
  };

  std::shared_ptr<grpc::Channel> NewChannel() const;
  int ChannelOf(int worker) const { return worker % channels(); }
  void Start(Kind kind, Worker* worker, const grpc::ByteBuffer& request);
  void StartJoin(Worker* worker);
  // What came back.
  absl::Status Take(Call* call);
  absl::Status TakeVersion(const Call& call);
  absl::Status TakeError(const Call& call);
  absl::Status TakeJoinCall(const Call& call);
  absl::Status TakeJoin(const v1::JoinResponse& response, Worker* worker);
  absl::Status TakeHeartbeat(const Call& call);
  // An answer to the open step.
  absl::Status CheckAnswer(const std::string& bytes);
  absl::Status CheckParticipants(const v1::CommittedVersion& version, std::vector<Process>* participants);
  absl::Status JoinNow(Worker* worker, const v1::JoinRequest& request);

  const Options options_;
  const SoakMessages* const messages_;
  Reference* const reference_;
  Tally tally_;
  uint64_t next_incarnation_ = 1;
  std::vector<Worker> workers_;
  uint64_t open_step_ = 1;
  v1::Version due_;  // that routes it
  // Since when contributors may have been waited for in vain.
  absl::Time waiting_since_ = absl::InfinitePast();
  uint64_t newest_epoch_ = 0;
  int64_t life_ = 0;

  std::vector<std::shared_ptr<grpc::Channel>> channels_;
  std::vector<std::unique_ptr<grpc::GenericStub>> stubs_;
  grpc::CompletionQueue queue_;
  std::vector<std::unique_ptr<Call>> calls_;
};

}  // namespace evenkeel::soak
