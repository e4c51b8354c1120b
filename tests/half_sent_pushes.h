#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace evenkeel::tests {

// An HTTP/2 connection that begins pushes and never ends them: headers, and all of a large message but its last byte,
// as fast as flow control lets it.
class HalfSentPushes {
 public:
  // To host:port, an IPv4 address. `bytes` is the size of each message.
  HalfSentPushes(const std::string& address, int calls, int bytes);
  ~HalfSentPushes();
  HalfSentPushes(const HalfSentPushes&) = delete;
  HalfSentPushes& operator=(const HalfSentPushes&) = delete;

  // Sends what may be sent, and reads what has come. False when the other side has ended it, or all that there is to
  // send has been sent.
  bool Go();

  int64_t sent() const { return sent_; }
  // Calls that the other side has ended.
  int refused() const { return refused_; }

 private:
  struct Call {
    int64_t window = 65'535;
    int64_t left = 0;
  };

  void Read();
  void OnFrame(uint8_t type, uint8_t flags, uint32_t stream, const std::string& payload);
  void OnSettings(const std::string& payload);
  void Send(Call* call, uint32_t stream);

  int socket_;
  bool is_closed_ = false;
  int64_t window_ = 65'535;  // of the connection
  int64_t initial_window_ = 65'535;
  std::map<uint32_t, Call> calls_;
  std::string received_;
  std::string to_send_;
  int64_t sent_ = 0;
  int refused_ = 0;
};

}  // namespace evenkeel::tests
