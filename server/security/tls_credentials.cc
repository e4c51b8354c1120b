#include "server/security/tls_credentials.h"

#include <utility>

#include "base/check.h"

namespace evenkeel::security {

TlsCredentials::TlsCredentials(Certificates certificates) : certificates_(std::move(certificates)) {}

void TlsCredentials::Replace(Certificates certificates) {
  MutexLock lock(&mutex_);
  certificates_ = std::move(certificates);
  is_fetched_ = false;
}

grpc_ssl_certificate_config_reload_status TlsCredentials::Fetch(void* self,
                                                                grpc_ssl_server_certificate_config** config) {
  auto* const credentials = static_cast<TlsCredentials*>(self);
  MutexLock lock(&credentials->mutex_);
  if (std::exchange(credentials->is_fetched_, true)) return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
  const Certificates& certificates = credentials->certificates_;
  const grpc_ssl_pem_key_cert_pair pair = {certificates.private_key.c_str(), certificates.chain.c_str()};
  // gRPC wants some CA even where it asks no client for a certificate, and has no use for it then.
  const std::string& client_ca = certificates.client_ca.empty() ? certificates.chain : certificates.client_ca;
  *config = grpc_ssl_server_certificate_config_create(client_ca.c_str(), &pair, 1);
  return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
}

int TlsCredentials::AddPortToServer(const std::string& address, grpc_server* server) {
  bool wants_client_certificates = false;
  {
    MutexLock lock(&mutex_);
    wants_client_certificates = !certificates_.client_ca.empty();
  }
  grpc_ssl_server_credentials_options* const options = grpc_ssl_server_credentials_create_options_using_config_fetcher(
      wants_client_certificates ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
                                : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE,
      Fetch, this);
  grpc_server_credentials* const credentials = grpc_ssl_server_credentials_create_with_options(options);
  const int port = grpc_server_add_http2_port(server, address.c_str(), credentials);
  grpc_server_credentials_release(credentials);
  return port;
}

void TlsCredentials::SetAuthMetadataProcessor(const std::shared_ptr<grpc::AuthMetadataProcessor>& processor) {
  EVENKEEL_CHECK(processor == nullptr);
}

}  // namespace evenkeel::security
