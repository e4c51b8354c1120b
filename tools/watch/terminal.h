#pragma once

#include <string>
#include <vector>

#include "tools/watch/frame.h"

namespace evenkeel::tools {

// The terminal of this process, taken over: its second screen, without echo and cursor. The destructor gives it back as
// it was. Signals that a person or the system sends (SIGINT, SIGTERM, SIGHUP, SIGTSTP, SIGCONT, SIGWINCH) are told by
// Wait meanwhile. One at a time. Not thread-safe.
class Terminal {
 public:
  // What Wait has met, of each kind whatever there was.
  struct Events {
    bool resized = false;
    // To end: a signal, or the terminal is gone.
    bool ended = false;
    // To be stopped, by Suspend.
    bool stopped = false;
    // Another descriptor that was waited for has something.
    bool other = false;
    // Bytes that were typed.
    std::string typed;
  };

  Terminal();
  ~Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  WindowSize size() const;

  // Shows these lines and nothing else; writes only those that differ from what is there.
  void Draw(const std::vector<std::string>& lines);

  // Nothing of what is there is known any more: the next Draw clears the screen.
  void Forget();

  // Waits until something has happened to the terminal, or `other` can be read.
  Events Wait(int other);

  // Gives the terminal back, stops this process, and takes it again when it goes on.
  void Suspend();

 private:
  void Enter();
  void Leave();
  void Write(const std::string& bytes);

  struct Saved;
  Saved* const saved_;
  int signals_ = -1;
  bool is_gone_ = false;
  bool is_known_ = false;
  std::vector<std::string> lines_;
};

}  // namespace evenkeel::tools
