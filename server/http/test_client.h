#pragma once

#include <string>

namespace evenkeel::http {

// For tests: what a server of this machine answered. Empty where it did not.
struct TestAnswer {
  int status = 0;
  std::string head;  // status line and header fields
  std::string body;
};

// A connection to `address`, 127.0.0.1:port, that has sent `text` and waits. Its destructor closes it.
class OpenConnection {
 public:
  OpenConnection(const std::string& address, const std::string& text);
  ~OpenConnection();
  OpenConnection(const OpenConnection&) = delete;
  OpenConnection& operator=(const OpenConnection&) = delete;

  // Whether the server still waits too: it has neither answered nor closed it.
  bool IsOpen() const;

 private:
  int socket_;
};

// Sends `request` to `address`, 127.0.0.1:port, as it is, and reads until the server closes the connection.
TestAnswer Exchange(const std::string& address, const std::string& request);

// A request of HTTP/1.1 without a body; `fields` are further header fields, each ending in "\r\n".
TestAnswer Ask(const std::string& address, const std::string& method, const std::string& path,
               const std::string& fields = "");

}  // namespace evenkeel::http
