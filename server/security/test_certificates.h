#pragma once

#include <memory>
#include <string>
#include <vector>

namespace evenkeel::security {

// A certificate and its key, as PEM.
struct TestCertificate {
  std::string chain;
  std::string private_key;
};

// A CA of a test's own: elliptic keys, made in a millisecond.
class TestCa {
 public:
  explicit TestCa(const std::string& name);
  ~TestCa();

  // Its own certificate, PEM.
  const std::string& certificate() const { return certificate_; }

  struct Request {
    std::string name = "test";
    // Subject alternative names as OpenSSL writes them: "DNS:localhost", "URI:spiffe://example/a", "IP:127.0.0.1".
    std::vector<std::string> sans;
    // Seconds from now; both may be past.
    long valid_from = -3600;
    long valid_to = 86400;
  };
  TestCertificate Issue(const Request& request) const;
  // For the name "localhost" and the loopback addresses.
  TestCertificate IssueServer() const;
  TestCertificate IssueClient(const std::string& san) const;

 private:
  struct Impl;
  const std::unique_ptr<Impl> impl_;
  std::string certificate_;
};

}  // namespace evenkeel::security
