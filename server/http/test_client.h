#pragma once

#include <string>

namespace evenkeel::http {

// For tests: what a server of this machine answered. Empty where it did not.
struct TestAnswer {
  int status = 0;
  std::string head;  // status line and header fields
  std::string body;
};

// Sends `request` to `address`, 127.0.0.1:port, as it is, and reads until the server closes the connection.
TestAnswer Exchange(const std::string& address, const std::string& request);

// A request of HTTP/1.1 without a body; `fields` are further header fields, each ending in "\r\n".
TestAnswer Ask(const std::string& address, const std::string& method, const std::string& path,
               const std::string& fields = "");

}  // namespace evenkeel::http
