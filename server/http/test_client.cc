#include "server/http/test_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "absl/strings/str_cat.h"

namespace evenkeel::http {

namespace {

// A connection to `address` on which `text` has gone out; -1 where that failed.
int Send(const std::string& address, const std::string& text) {
  const int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in name = {};
  name.sin_family = AF_INET;
  name.sin_port = htons(static_cast<uint16_t>(std::atoi(address.substr(address.rfind(':') + 1).c_str())));
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(connection, reinterpret_cast<sockaddr*>(&name), sizeof(name)) == 0 &&
      send(connection, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size())) {
    return connection;
  }
  close(connection);
  return -1;
}

}  // namespace

OpenConnection::OpenConnection(const std::string& address, const std::string& text) : socket_(Send(address, text)) {}

OpenConnection::~OpenConnection() {
  if (socket_ >= 0) close(socket_);
}

bool OpenConnection::IsOpen() const {
  char byte;
  return socket_ >= 0 && recv(socket_, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

TestAnswer Exchange(const std::string& address, const std::string& request) {
  const int connection = Send(address, request);
  std::string reply;
  if (connection >= 0) {
    char buffer[4096];
    for (ssize_t size; (size = recv(connection, buffer, sizeof(buffer), 0)) > 0;) reply.append(buffer, size);
  }
  if (connection >= 0) close(connection);
  const size_t end = std::min(reply.find("\r\n\r\n"), reply.size());
  const size_t code = std::min(reply.find(' '), reply.size());
  return {std::atoi(reply.c_str() + code), reply.substr(0, end), reply.substr(std::min(end + 4, reply.size()))};
}

TestAnswer Ask(const std::string& address, const std::string& method, const std::string& path,
               const std::string& fields) {
  return Exchange(address, absl::StrCat(method, " ", path, " HTTP/1.1\r\nHost: ", address, "\r\n", fields,
                                        "Connection: close\r\n\r\n"));
}

}  // namespace evenkeel::http
