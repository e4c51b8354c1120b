#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "base/mutex.h"

namespace evenkeel::tests {

// The network between clients and a server of this machine, in a test's hands: it listens on a free port of the
// loopback, hands on what comes, and does to it what networks do. Faults hold for the connections of now and those to
// come, unless said otherwise. Bytes that are held back wait in order, and are lost only with their connection.
//
// One thread does it all. Every call is in force when it returns. Thread-safe.
class TcpProxy {
 public:
  enum Direction { kToServer = 0, kToClient = 1 };
  // What an end hears of a connection that is cut.
  enum class End { kFin, kReset };
  enum class Told { kBoth, kOnlyClient, kOnlyServer };

  struct Tally {
    int64_t accepted = 0;
    // With both ends, and not forsaken.
    int64_t open = 0;
    // By CutAfter.
    int64_t cut_within = 0;
    // Where that end closed or reset it, also while it was blocked or forsaken, and nothing of it was passed on.
    int64_t ended_by_client = 0;
    int64_t ended_by_server = 0;
    int64_t bytes[2] = {0, 0};  // passed on, by Direction
  };

  // `target` is host:port, an IPv4 address, as are all others.
  explicit TcpProxy(const std::string& target);
  ~TcpProxy();
  TcpProxy(const TcpProxy&) = delete;
  TcpProxy& operator=(const TcpProxy&) = delete;

  const std::string& address() const { return address_; }

  // Where new connections go. "": they are reset as soon as they are made, as by a balancer without a server behind it.
  void SetTarget(const std::string& target);

  // Ends all connections, and says how many. An end that is not told keeps its half, which nothing answers.
  int Cut(End end, Told told = Told::kBoth);
  // Ends the connection that carries it right behind the `bytes`-th byte (from 1) of a direction, all connections
  // counted together, from now on. Once.
  void CutAfter(Direction direction, int64_t bytes, End end);
  // Every byte that comes from now on takes so long on its way.
  void Delay(Direction direction, std::chrono::milliseconds delay);
  // Each connection. 0: as fast as may be.
  void Throttle(Direction direction, int64_t bytes_per_second);
  // Nothing passes, not the end of a connection either; both ends keep their halves.
  void Block(Direction direction);
  // The connections that are there pass nothing any more, for ever, and no end is told: half-open ones. How many.
  int Forsake();
  // Undoes all of these, but for what is cut and forsaken.
  void Heal();

  Tally tally();

 private:
  using Clock = std::chrono::steady_clock;

  struct Held {
    Clock::time_point due;
    std::string bytes;
  };
  // What goes from the socket of its source to the other one.
  struct Flow {
    std::deque<Held> held;
    size_t held_bytes = 0;
    Clock::time_point next_write{};
    bool is_full = false;      // the sink takes nothing at the moment
    bool is_left = false;      // the source has closed or reset it
    bool has_ended = false;    // and all that came from it before has been read
    bool is_finished = false;  // and the sink has been told
  };
  struct Connection {
    int sockets[2];  // by the direction whose source it is; -1: closed
    Flow flows[2];
    bool forsaken = false;
  };
  struct Way {
    std::chrono::milliseconds delay{0};
    int64_t bytes_per_second = 0;
    bool blocked = false;
    int64_t cut_after = -1;  // bytes; -1: never
    End cut_end = End::kReset;
  };

  // Runs it on the thread.
  void Do(const std::function<void()>& command);
  void Run();
  void RunCommands();
  int TimeoutMs() const;
  void Accept();
  // Each moves what can be moved; false when the connection is over.
  bool Serve(Connection* connection);
  bool Read(Connection* connection, int direction);
  bool Write(Connection* connection, int direction);
  // An end of a connection that passes nothing has left it.
  bool Notice(Connection* connection, int direction);
  bool MayRead(const Connection& connection, int direction) const;
  bool MayWrite(const Connection& connection, int direction) const;
  void CountEnd(Connection* connection, int direction);

  std::string address_;
  int listening_;
  int wake_;

  // Of the thread.
  std::string target_;
  Way ways_[2];
  std::list<Connection> connections_;
  Tally tally_;

  Mutex mutex_;
  CondVar changed_;
  std::deque<std::function<void()>> commands_ ABSL_GUARDED_BY(mutex_);
  int64_t asked_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t done_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;

  std::thread thread_;
};

}  // namespace evenkeel::tests
