// The least that a coordinator could cost: takes pushes as bytes and, when as many have come as a step has workers,
// answers them all with the same bytes. Nothing is parsed, summed, decided or written.
//
//   echo_server FAN_IN REPLY_BYTES [CHAIN KEY CLIENT_CA]
//
// With those three files, PEM, over mutual TLS. Says host:port on stdout once it listens, and ends with its stdin.

#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "base/mutex.h"
#include "evenkeel/v1/bias_coordinator.grpc.pb.h"
#include "grpcpp/grpcpp.h"

namespace evenkeel::load {
namespace {

class Echo final : public v1::BiasCoordinator::WithRawCallbackMethod_Push<v1::BiasCoordinator::Service> {
 public:
  Echo(size_t fan_in, size_t reply_bytes) : fan_in_(fan_in) {
    const grpc::Slice bytes(std::string(reply_bytes, 'e'));
    reply_ = grpc::ByteBuffer(&bytes, 1);
  }

  grpc::ServerUnaryReactor* Push(grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
                                 grpc::ByteBuffer* response) override {
    grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
    std::vector<Waiting> round;
    {
      MutexLock lock(&mutex_);
      waiting_.push_back({reactor, response});
      if (waiting_.size() == fan_in_) round.swap(waiting_);
    }
    for (const Waiting& call : round) {
      *call.response = reply_;
      call.reactor->Finish(grpc::Status::OK);
    }
    return reactor;
  }

 private:
  struct Waiting {
    grpc::ServerUnaryReactor* reactor;
    grpc::ByteBuffer* response;
  };

  const size_t fan_in_;
  grpc::ByteBuffer reply_;
  Mutex mutex_;
  std::vector<Waiting> waiting_ ABSL_GUARDED_BY(mutex_);
};

std::string Read(const char* path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::shared_ptr<grpc::ServerCredentials> CredentialsOf(const std::vector<const char*>& files) {
  if (files.empty()) return grpc::InsecureServerCredentials();
  grpc::SslServerCredentialsOptions options(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  options.pem_key_cert_pairs = {{Read(files[1]), Read(files[0])}};
  options.pem_root_certs = Read(files[2]);
  return grpc::SslServerCredentials(options);
}

int Serve(size_t fan_in, size_t reply_bytes, const std::shared_ptr<grpc::ServerCredentials>& credentials) {
  Echo echo(fan_in, reply_bytes);
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", credentials, &port);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.RegisterService(&echo);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) return 1;
  std::printf("127.0.0.1:%d\n", port);
  std::fflush(stdout);
  char byte;
  while (read(STDIN_FILENO, &byte, 1) > 0) {
  }
  server->Shutdown(std::chrono::system_clock::now());
  return 0;
}

}  // namespace
}  // namespace evenkeel::load

int main(int argc, char** argv) {
  int fan_in = 0;
  int reply_bytes = 0;
  if ((argc == 3 || argc == 6) && absl::SimpleAtoi(argv[1], &fan_in) && absl::SimpleAtoi(argv[2], &reply_bytes) &&
      fan_in > 0 && reply_bytes >= 0) {
    return evenkeel::load::Serve(fan_in, reply_bytes, evenkeel::load::CredentialsOf({argv + 3, argv + argc}));
  }
  std::fprintf(stderr, "usage: echo_server FAN_IN REPLY_BYTES [CHAIN KEY CLIENT_CA]\n");
  return 2;
}
