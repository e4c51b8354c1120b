#pragma once

#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "base/mutex.h"
#include "grpc/grpc_security.h"
#include "grpcpp/security/server_credentials.h"
#include "server/security/certificate_files.h"

namespace evenkeel::security {

// TLS for one address of a gRPC server, with certificates that can be replaced while it serves: connections that are
// open keep theirs, new ones get the new. Thread-safe.
//
// gRPC's own FileWatcherCertificateProvider is not for us: version 1.51 hands on whatever the files hold at the moment,
// and lets go of the certificate it has before it looks whether the next one can be used. This asks gRPC's SSL
// credentials to fetch a certificate with every connection instead, which keep the last good one.
class TlsCredentials final : public grpc::ServerCredentials {
 public:
  // `certificates` are as ReadCertificates gives them. With a client_ca, now and later, clients need certificates;
  // without, now and later, they do not.
  explicit TlsCredentials(Certificates certificates);

  // From the next connection on.
  void Replace(Certificates certificates);

 private:
  // gRPC's: once, before the server starts.
  int AddPortToServer(const std::string& address, grpc_server* server) override;
  // Not ours: who calls is asked where the calls are answered.
  void SetAuthMetadataProcessor(const std::shared_ptr<grpc::AuthMetadataProcessor>& processor) override;

  static grpc_ssl_certificate_config_reload_status Fetch(void* self, grpc_ssl_server_certificate_config** config);

  Mutex mutex_;
  Certificates certificates_ ABSL_GUARDED_BY(mutex_);
  // Whether gRPC has fetched them.
  bool is_fetched_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace evenkeel::security
