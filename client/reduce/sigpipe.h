#pragma once

#include <signal.h>

namespace evenkeel::client {

// While it lives, this thread, and threads that it starts, get an error (EPIPE) where they would get the signal
// SIGPIPE, whose default is to end the process: for libraries that write to sockets without MSG_NOSIGNAL. What the
// process itself does about the signal is left alone.
class SigpipeBlock {
 public:
  SigpipeBlock() {
    sigemptyset(&sigpipe_);
    sigaddset(&sigpipe_, SIGPIPE);
    pending_ = IsPending();
    pthread_sigmask(SIG_BLOCK, &sigpipe_, &before_);
  }
  ~SigpipeBlock() {
    // One that came in the meantime was for this thread.
    const timespec at_once = {};
    if (!pending_ && IsPending()) sigtimedwait(&sigpipe_, nullptr, &at_once);
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  SigpipeBlock(const SigpipeBlock&) = delete;
  SigpipeBlock& operator=(const SigpipeBlock&) = delete;

 private:
  static bool IsPending() {
    sigset_t pending;
    sigpending(&pending);
    return sigismember(&pending, SIGPIPE) != 0;
  }

  sigset_t sigpipe_;
  sigset_t before_;
  bool pending_;
};

}  // namespace evenkeel::client
