#include "client/reduce/gloo_mesh.h"

#include <gloo/common/error.h>
#include <gloo/transport/address.h>
#include <gloo/transport/context.h>
#include <gloo/transport/tcp/device.h>
#include <gloo/transport/unbound_buffer.h>

#include <algorithm>
#include <random>
#include <unordered_set>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "base/mutex.h"

namespace evenkeel::client {
namespace {

using gloo::transport::UnboundBuffer;
using std::chrono::milliseconds;

// Which buffers are in use, so that their waits can be ended.
class Waits {
 public:
  void Add(UnboundBuffer* buffer) {
    MutexLock lock(&mutex_);
    if (aborted_) throw GlooAborted();
    buffers_.insert(buffer);
  }
  void Remove(UnboundBuffer* buffer) {
    MutexLock lock(&mutex_);
    buffers_.erase(buffer);
  }
  void Abort() {
    MutexLock lock(&mutex_);
    aborted_ = true;
    for (UnboundBuffer* buffer : buffers_) {
      buffer->abortWaitRecv();
      buffer->abortWaitSend();
    }
  }

 private:
  Mutex mutex_;
  bool aborted_ ABSL_GUARDED_BY(mutex_) = false;
  std::unordered_set<UnboundBuffer*> buffers_ ABSL_GUARDED_BY(mutex_);
};

// A buffer of the transport's whose aborted waits throw: Gloo's collectives do not look at what a wait returns.
class AbortableBuffer final : public UnboundBuffer {
 public:
  AbortableBuffer(std::unique_ptr<UnboundBuffer> inner, std::shared_ptr<Waits> waits)
      : UnboundBuffer(inner->ptr, inner->size), inner_(std::move(inner)), waits_(std::move(waits)) {
    waits_->Add(inner_.get());
  }
  ~AbortableBuffer() override { waits_->Remove(inner_.get()); }

  bool waitRecv(int* rank, milliseconds timeout) override {
    if (!inner_->waitRecv(rank, timeout)) throw GlooAborted();
    return true;
  }
  bool waitSend(int* rank, milliseconds timeout) override {
    if (!inner_->waitSend(rank, timeout)) throw GlooAborted();
    return true;
  }
  void abortWaitRecv() override { inner_->abortWaitRecv(); }
  void abortWaitSend() override { inner_->abortWaitSend(); }
  void send(int to, uint64_t slot, size_t offset, size_t bytes) override { inner_->send(to, slot, offset, bytes); }
  void recv(int from, uint64_t slot, size_t offset, size_t bytes) override { inner_->recv(from, slot, offset, bytes); }
  void recv(std::vector<int> from, uint64_t slot, size_t offset, size_t bytes) override {
    inner_->recv(std::move(from), slot, offset, bytes);
  }

 private:
  const std::unique_ptr<UnboundBuffer> inner_;
  const std::shared_ptr<Waits> waits_;
};

std::shared_ptr<gloo::transport::Device> Listener(const std::string& address) {
  gloo::transport::tcp::attr attributes;
  attributes.hostname = address;
  return gloo::transport::tcp::CreateDevice(attributes);
}

std::string Salt() {
  std::random_device device;
  return absl::StrCat(absl::Hex(device(), absl::kZeroPad8), absl::Hex(device(), absl::kZeroPad8));
}

}  // namespace

// The TCP transport, its buffers made abortable.
class GlooMesh::Transport final : public gloo::transport::Context {
 public:
  explicit Transport(std::shared_ptr<gloo::transport::Context> tcp)
      : gloo::transport::Context(tcp->rank, tcp->size), tcp_(std::move(tcp)), waits_(std::make_shared<Waits>()) {}

  std::unique_ptr<gloo::transport::Pair>& getPair(int rank) override { return tcp_->getPair(rank); }
  std::unique_ptr<gloo::transport::Pair>& createPair(int rank) override { return tcp_->createPair(rank); }
  std::unique_ptr<UnboundBuffer> createUnboundBuffer(void* data, size_t size) override {
    return std::make_unique<AbortableBuffer>(tcp_->createUnboundBuffer(data, size), waits_);
  }

  void SetTimeout(milliseconds timeout) { tcp_->setTimeout(timeout); }
  void Abort() { waits_->Abort(); }

 private:
  const std::shared_ptr<gloo::transport::Context> tcp_;
  const std::shared_ptr<Waits> waits_;
};

GlooMesh::GlooMesh(int rank, int size, const std::string& address, milliseconds timeout)
    : gloo::Context(rank, size), salt_(Salt()) {
  device_ = Listener(address);
  transport_ = std::make_shared<Transport>(device_->createContext(rank, size));
  transportContext_ = transport_;
  // A connection that is being made may take Gloo five times this; and no time at all is no limit at all.
  transport_->SetTimeout(std::max(timeout / 5, milliseconds(1)));
  for (int peer = 0; peer < size; ++peer) {
    if (peer != rank) transport_->createPair(peer);
  }
  transport_->SetTimeout(timeout);
  setTimeout(timeout);
}

GlooMesh::~GlooMesh() = default;

std::string GlooMesh::addresses() const {
  std::string result = salt_;
  for (int peer = 0; peer < size; ++peer) {
    if (peer == rank) continue;
    const std::vector<char> bytes = transport_->getPair(peer)->address().bytes();
    result.append(bytes.begin(), bytes.end());
  }
  return result;
}

void GlooMesh::Connect(const std::vector<std::string>& addresses, Deadline deadline) {
  const size_t length = (this->addresses().size() - salt_.size()) / (size - 1);
  for (int peer = 0; peer < size; ++peer) {
    if (peer == rank) continue;
    if (addresses[peer].size() != salt_.size() + length * (size - 1)) {
      throw gloo::Exception(absl::StrCat("rank ", peer, " gave no addresses of this version of the library"));
    }
    if (std::chrono::steady_clock::now() >= deadline) {
      throw gloo::Exception(absl::StrCat("rank ", peer, " was not connected in time"));
    }
    // A rank lists the others without itself.
    const int index = rank > peer ? rank - 1 : rank;
    const auto begin = addresses[peer].begin() + salt_.size() + index * length;
    transport_->getPair(peer)->connect(std::vector<char>(begin, begin + length));
  }
}

void GlooMesh::Abort() { transport_->Abort(); }

}  // namespace evenkeel::client
