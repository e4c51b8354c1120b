#pragma once

#include <gloo/context.h>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "client/reduce/rendezvous.h"

namespace evenkeel::client {

// Thrown by what waits when its mesh is aborted.
struct GlooAborted : std::runtime_error {
  GlooAborted() : std::runtime_error("aborted") {}
};

// A TCP connection to every other rank, for Gloo's collectives. Errors are exceptions, of Gloo's and GlooAborted. For
// one thread at a time, but for Abort.
class GlooMesh final : public gloo::Context {
 public:
  // Listens for all other ranks at `address`, which is numeric and this machine's. Whatever waits for another rank,
  // waits no longer than `timeout`, at least 1 ms, for each step that one takes.
  GlooMesh(int rank, int size, const std::string& address, std::chrono::milliseconds timeout);
  // Closes the connections; what has been sent arrives.
  ~GlooMesh() override;

  // Where this rank listens, for the others: differs from life to life.
  std::string addresses() const;

  // Connects to all other ranks; `addresses` are all ranks', in rank order. Throws once `deadline` is over and ranks
  // are left.
  void Connect(const std::vector<std::string>& addresses, Deadline deadline);

  // Ends what waits, now and later. From any thread.
  void Abort();

 private:
  class Transport;

  std::shared_ptr<Transport> transport_;
  const std::string salt_;
};

}  // namespace evenkeel::client
