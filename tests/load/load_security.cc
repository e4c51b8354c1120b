#include "tests/load/load_security.h"

#include <fstream>

#include "server/security/test_certificates.h"
#include "tests/child_process.h"

namespace evenkeel::load {

LoadSecurity::LoadSecurity(bool tls) {
  if (!tls) return;
  const security::TestCa ca("the load's CA");
  const security::TestCertificate server = ca.IssueServer();
  const security::TestCertificate worker = ca.IssueClient("URI:spiffe://example/worker");
  const std::string folder = tests::NewFolder("tls");
  const auto write = [&](const char* name, const std::string& text) {
    const std::string path = folder + "/" + name;
    std::ofstream(path) << text;
    return path;
  };
  echo_arguments_ = {write("chain.pem", server.chain), write("key.pem", server.private_key),
                     write("ca.pem", ca.certificate())};
  coordinator_flags_ = {"--tls_certificate=" + echo_arguments_[0], "--tls_private_key=" + echo_arguments_[1],
                        "--tls_client_ca=" + echo_arguments_[2]};
  credentials_ = grpc::SslCredentials({ca.certificate(), worker.private_key, worker.chain});
}

}  // namespace evenkeel::load
