// The double of libnccl: the functions of nccl_library.h for ranks that are processes of one machine, on streams of
// TestRuntime (client/device/test_stream.h). Every rank holds a connection to rank 0, which gathers and scatters.
//
// As NCCL's: calls do not block; a communicator is ready when all ranks have come; what was enqueued first runs first,
// on whatever stream, and ends when all ranks have enqueued it; a rank that is gone is ncclRemoteError on the
// others, once one needs it. It is strict where NCCL is only undefined: calls while another is in progress are refused,
// ranks that call with different sizes wait until they abort.
//
// The first collective of each communicator is ncclInProgress, and not on its stream before ncclCommGetAsyncError has
// been asked a few times. EVENKEEL_FAKE_NCCL_VERSION is what ncclGetVersion says.

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "client/device/note_access.h"
#include "client/device/test_stream.h"
#include "client/reduce/nccl_abi.h"

namespace {

using evenkeel::client::NcclConfig;
using evenkeel::client::NcclUniqueId;
namespace nccl = evenkeel::client::nccl;

// A connection that never blocks. Closed with its object.
class Socket {
 public:
  explicit Socket(int file = -1) : file_(file) {}
  ~Socket() {
    if (file_ >= 0) close(file_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  int file() const { return file_; }
  // The other side reads what was sent, and then the end; this one may still be in use by another thread.
  void ShutDown() { shutdown(file_, SHUT_RDWR); }

  enum Outcome { kDone, kNotYet, kLost };

  // Goes on from *offset until all `size` bytes are sent, or received.
  Outcome Send(const void* data, size_t size, size_t* offset) {
    while (*offset < size) {
      const char* const rest = static_cast<const char*>(data) + *offset;
      const ssize_t count = send(file_, rest, size - *offset, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (count < 0) return errno == EAGAIN || errno == EINTR ? kNotYet : kLost;
      *offset += count;
    }
    return kDone;
  }
  Outcome Receive(void* data, size_t size, size_t* offset) {
    while (*offset < size) {
      char* const rest = static_cast<char*>(data) + *offset;
      const ssize_t count = recv(file_, rest, size - *offset, MSG_DONTWAIT);
      if (count == 0) return kLost;
      if (count < 0) return errno == EAGAIN || errno == EINTR ? kNotYet : kLost;
      *offset += count;
    }
    return kDone;
  }
  bool IsLost() {
    char byte;
    const ssize_t count = recv(file_, &byte, 1, MSG_DONTWAIT | MSG_PEEK);
    return count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR);
  }

 private:
  const int file_;
};

using SocketPtr = std::unique_ptr<Socket>;

SocketPtr NewSocket() {
  return std::make_unique<Socket>(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

// An abstract address, which ends with its socket, is a name behind a zero.
struct Address {
  explicit Address(const NcclUniqueId& id) {
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path + 1, id.bytes, kName);
  }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&address); }
  static constexpr size_t kName = 64;
  static constexpr socklen_t kSize = offsetof(sockaddr_un, sun_path) + 1 + kName;
  sockaddr_un address = {};
};

// Where those listen that ncclGetUniqueId was called for, until their rank 0 takes them.
class Listeners {
 public:
  static Listeners& Get() {
    static auto* const listeners = new Listeners;
    return *listeners;
  }
  bool Add(const NcclUniqueId& id) {
    SocketPtr socket = NewSocket();
    const Address address(id);
    if (bind(socket->file(), address.get(), Address::kSize) != 0 || listen(socket->file(), 64) != 0) return false;
    std::lock_guard<std::mutex> lock(mutex_);
    sockets_[Name(id)] = std::move(socket);
    return true;
  }
  SocketPtr Take(const NcclUniqueId& id) {
    std::lock_guard<std::mutex> lock(mutex_);
    SocketPtr socket = std::move(sockets_[Name(id)]);
    sockets_.erase(Name(id));
    return socket;
  }

 private:
  static std::string Name(const NcclUniqueId& id) { return std::string(id.bytes, Address::kName); }

  std::mutex mutex_;
  std::map<std::string, SocketPtr> sockets_;
};

// What a rank is to the others. Lives as long as the communicator, and what is enqueued.
class Group {
 public:
  Group(int rank, int size, const NcclUniqueId& id)
      : rank_(rank),
        id_(id),
        listener_(rank == 0 ? Listeners::Get().Take(id) : nullptr),
        peers_(rank == 0 ? size : 1) {}

  int rank() const { return rank_; }
  bool aborted() const { return aborted_; }
  int state() const { return state_; }
  void Fail() { state_ = nccl::kRemoteError; }

  // Of rank 0: the connection to each other rank, and null; of others: to rank 0.
  std::vector<SocketPtr>& peers() { return peers_; }

  void Connect() {
    if (state_ != nccl::kInProgress) return;
    if (rank_ == 0) {
      Accept();
    } else {
      Reach();
    }
  }

  void Abort() {
    aborted_ = true;
    for (const SocketPtr& peer : peers_) {
      if (peer != nullptr) peer->ShutDown();
    }
  }

  // The number of the collective that runs, in the order of their being enqueued.
  std::atomic<uint64_t> turn{0};

 private:
  // Rank 0: all others are to connect and say who they are; then all are told.
  void Accept() {
    if (listener_ == nullptr) return Fail();
    for (int file; (file = accept4(listener_->file(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
      strangers_.push_back(std::make_unique<Socket>(file));
    }
    for (SocketPtr& stranger : strangers_) {
      int32_t rank = 0;
      size_t received = 0;
      if (stranger == nullptr) continue;
      const Socket::Outcome outcome = stranger->Receive(&rank, sizeof(rank), &received);
      if (outcome == Socket::kLost) return Fail();
      if (outcome == Socket::kDone) peers_.at(rank) = std::move(stranger);
    }
    int missing = 0;
    for (size_t i = 1; i < peers_.size(); ++i) {
      missing += peers_[i] == nullptr;
      if (peers_[i] != nullptr && peers_[i]->IsLost()) return Fail();
    }
    if (missing > 0) return;
    for (size_t i = 1; i < peers_.size(); ++i) {
      size_t sent = 0;
      if (peers_[i]->Send("", 1, &sent) != Socket::kDone) return Fail();
    }
    state_ = nccl::kSuccess;
  }

  void Reach() {
    if (peers_[0] == nullptr) {
      SocketPtr socket = NewSocket();
      if (connect(socket->file(), Address(id_).get(), Address::kSize) != 0) {
        if (errno != EAGAIN) Fail();
        return;
      }
      const int32_t rank = rank_;
      size_t sent = 0;
      if (socket->Send(&rank, sizeof(rank), &sent) != Socket::kDone) return Fail();
      peers_[0] = std::move(socket);
    }
    char all_are_there = 0;
    size_t received = 0;
    const Socket::Outcome outcome = peers_[0]->Receive(&all_are_there, 1, &received);
    if (outcome == Socket::kLost) Fail();
    if (outcome == Socket::kDone) state_ = nccl::kSuccess;
  }

  const int rank_;
  const NcclUniqueId id_;
  const SocketPtr listener_;
  std::vector<SocketPtr> strangers_;
  std::vector<SocketPtr> peers_;
  std::atomic<int> state_{nccl::kInProgress};
  std::atomic<bool> aborted_{false};
};

// What ranks tell rank 0 before all else.
struct Call {
  uint64_t number;
  uint64_t bytes;
  uint64_t sums;  // else broadcasts

  bool operator==(const Call& other) const {
    return number == other.number && bytes == other.bytes && sums == other.sums;
  }
};

class Collective {
 public:
  Collective(std::shared_ptr<Group> group, const Call& call, char* values)
      : group_(std::move(group)), call_(call), values_(values), parts_(group_->peers().size()) {}

  // In the turn of its stream: whether it is over.
  bool Run() {
    if (group_->aborted()) return true;
    if (group_->state() != nccl::kSuccess || group_->turn != call_.number) return false;
    const Socket::Outcome outcome = group_->rank() == 0 ? Lead() : Follow();
    if (outcome == Socket::kLost) group_->Fail();
    if (outcome == Socket::kDone) {
      evenkeel::client::NoteWrite(values_, call_.bytes);
      ++group_->turn;
    }
    return outcome == Socket::kDone;
  }

 private:
  // How far the talk with one other rank is.
  struct Part {
    Call call;
    std::vector<char> values;
    size_t called = 0;
    size_t brought = 0;
    size_t taken = 0;
  };

  size_t bytes_brought() const { return call_.sums ? call_.bytes : 0; }

  Socket::Outcome Follow() {
    Socket& leader = *group_->peers()[0];
    Part& part = parts_[0];
    Socket::Outcome outcome = leader.Send(&call_, sizeof(call_), &part.called);
    if (outcome == Socket::kDone) outcome = leader.Send(values_, bytes_brought(), &part.brought);
    if (outcome == Socket::kDone) outcome = leader.Receive(values_, call_.bytes, &part.taken);
    return outcome;
  }

  Socket::Outcome Lead() {
    if (!gathered_) {
      const Socket::Outcome all = ForEach([this](Socket& peer, Part& part) { return Gather(peer, part); });
      if (all != Socket::kDone) return all;
      Add();
      gathered_ = true;
    }
    return ForEach([this](Socket& peer, Part& part) { return peer.Send(values_, call_.bytes, &part.taken); });
  }

  template <typename Talk>
  Socket::Outcome ForEach(Talk talk) {
    Socket::Outcome all = Socket::kDone;
    for (size_t i = 1; i < parts_.size(); ++i) {
      const Socket::Outcome outcome = talk(*group_->peers()[i], parts_[i]);
      if (outcome == Socket::kLost) return outcome;
      if (outcome == Socket::kNotYet) all = outcome;
    }
    return all;
  }

  Socket::Outcome Gather(Socket& peer, Part& part) {
    const Socket::Outcome called = peer.Receive(&part.call, sizeof(part.call), &part.called);
    if (called != Socket::kDone) return called;
    if (!(part.call == call_)) return Socket::kNotYet;  // nor ever
    part.values.resize(bytes_brought());
    const Socket::Outcome brought = peer.Receive(part.values.data(), part.values.size(), &part.brought);
    // One that gave up meanwhile, has given up for all.
    return brought == Socket::kDone && peer.IsLost() ? Socket::kLost : brought;
  }

  void Add() {
    auto* const sums = reinterpret_cast<uint64_t*>(values_);
    for (const Part& part : parts_) {
      const auto* const values = reinterpret_cast<const uint64_t*>(part.values.data());
      for (size_t i = 0; i < part.values.size() / sizeof(uint64_t); ++i) sums[i] += values[i];
    }
  }

  const std::shared_ptr<Group> group_;
  const Call call_;
  char* const values_;
  bool gathered_ = false;
  std::vector<Part> parts_;
};

}  // namespace

// What a ncclComm_t points to. For one thread at a time.
struct ncclComm {
  ncclComm(int rank, int size, const NcclUniqueId& id)
      : rank(rank), size(size), group(std::make_shared<Group>(rank, size, id)) {}
  // What never came to its stream.
  ~ncclComm() { delete waiting; }

  int State() {
    group->Connect();
    if (group->state() != nccl::kSuccess) return group->state();
    if (polls_left > 0 && --polls_left == 0 && waiting != nullptr) Launch();
    return polls_left > 0 ? nccl::kInProgress : nccl::kSuccess;
  }

  int Enqueue(void* values, size_t bytes, bool sums, CUstream_st* on) {
    if (on == nullptr) return nccl::kInvalidArgument;
    if (const int state = State(); state != nccl::kSuccess) {
      return state == nccl::kInProgress ? nccl::kInvalidArgument : state;
    }
    if (bytes == 0) return nccl::kSuccess;
    waiting = new Collective(group, {calls++, bytes, sums}, static_cast<char*>(values));
    stream = on;
    if (calls == 1) return InProgress();
    Launch();
    return nccl::kSuccess;
  }

  int InProgress() {
    polls_left = 3;
    return nccl::kInProgress;
  }

  void Launch() {
    stream->enqueue(
        stream,
        [](void* argument) {
          auto* const collective = static_cast<Collective*>(argument);
          const bool over = collective->Run();
          if (over) delete collective;
          return over;
        },
        waiting);
    waiting = nullptr;
  }

  const int rank;
  const int size;
  const std::shared_ptr<Group> group;
  uint64_t calls = 0;
  int polls_left = 0;  // until what is in progress is over
  Collective* waiting = nullptr;
  CUstream_st* stream = nullptr;
};

extern "C" {

int ncclGetVersion(int* version) {
  const char* const chosen = std::getenv("EVENKEEL_FAKE_NCCL_VERSION");
  *version = chosen != nullptr ? std::atoi(chosen) : 2'28'09;
  return nccl::kSuccess;
}

int ncclGetUniqueId(NcclUniqueId* id) {
  static std::atomic<int> ids{0};
  *id = {};
  timespec now = {};
  clock_gettime(CLOCK_REALTIME, &now);
  const std::string name = "evenkeel fake nccl " + std::to_string(getpid()) + " " + std::to_string(ids++) + " " +
                           std::to_string(now.tv_nsec);
  std::memcpy(id->bytes, name.data(), name.size());
  return Listeners::Get().Add(*id) ? nccl::kSuccess : nccl::kSystemError;
}

int ncclCommInitRankConfig(ncclComm** comm, int size, NcclUniqueId id, int rank, NcclConfig* config) {
  if (config->size < 24 || config->magic != 0xcafebeef || config->version < 2'14'00 || config->blocking != 0) {
    return nccl::kInvalidArgument;
  }
  if (rank < 0 || rank >= size) return nccl::kInvalidArgument;
  *comm = new ncclComm(rank, size, id);
  return nccl::kInProgress;
}

int ncclCommCount(ncclComm* comm, int* count) {
  *count = comm->size;
  return comm->State() == nccl::kInProgress ? nccl::kInvalidArgument : nccl::kSuccess;
}

int ncclCommUserRank(ncclComm* comm, int* rank) {
  *rank = comm->rank;
  return comm->State() == nccl::kInProgress ? nccl::kInvalidArgument : nccl::kSuccess;
}

int ncclCommGetAsyncError(ncclComm* comm, int* error) {
  *error = comm->State();
  return nccl::kSuccess;
}

int ncclCommFinalize(ncclComm* comm) {
  const int state = comm->State();
  if (state == nccl::kInProgress) return nccl::kInvalidArgument;
  return state == nccl::kSuccess ? comm->InProgress() : state;
}

int ncclCommDestroy(ncclComm* comm) {
  delete comm;
  return nccl::kSuccess;
}

int ncclCommAbort(ncclComm* comm) {
  comm->group->Abort();
  delete comm;
  return nccl::kSuccess;
}

int ncclAllReduce(const void* from, void* to, size_t count, int type, int op, ncclComm* comm, CUstream_st* stream) {
  if (from != to || type != nccl::kUint64 || op != nccl::kSum) return nccl::kInvalidArgument;
  return comm->Enqueue(to, count * sizeof(uint64_t), /*sums=*/true, stream);
}

int ncclBroadcast(const void* from, void* to, size_t count, int type, int root, ncclComm* comm, CUstream_st* stream) {
  if (from != to || type != nccl::kUint8 || root != 0) return nccl::kInvalidArgument;
  return comm->Enqueue(to, count, /*sums=*/false, stream);
}

const char* ncclGetErrorString(int result) {
  switch (result) {
    case nccl::kSuccess:
      return "no error";
    case nccl::kSystemError:
      return "unhandled system error";
    case nccl::kInvalidArgument:
      return "invalid argument";
    case nccl::kRemoteError:
      return "remote process exited or there was a network error";
    default:
      return "another error";
  }
}

const char* ncclGetLastError(ncclComm*) { return "the double has no more to say"; }

}  // extern "C"
