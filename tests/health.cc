#include "tests/health.h"

#include <chrono>

#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/grpcpp.h"

namespace evenkeel::tests {
namespace {

// Debian ships no stubs for grpc.health.v1, whose two messages have one field each:
// HealthCheckRequest {string service = 1;}  HealthCheckResponse {ServingStatus status = 1;}
std::string RequestBytes(const std::string& service) {
  return std::string{'\x0a', static_cast<char>(service.size())} + service;
}

std::string StatusName(const std::string& response) {
  if (response == std::string("\x08\x01")) return "SERVING";
  if (response == std::string("\x08\x02")) return "NOT_SERVING";
  return "UNKNOWN";
}

}  // namespace

std::string CheckHealth(const std::string& address, const std::string& service) {
  grpc::GenericStub stub(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
  const grpc::Slice slice(RequestBytes(service));
  const grpc::ByteBuffer request(&slice, 1);
  grpc::CompletionQueue queue;
  auto call = stub.PrepareUnaryCall(&context, "/grpc.health.v1.Health/Check", request, &queue);
  call->StartCall();
  grpc::ByteBuffer response;
  grpc::Status status;
  call->Finish(&response, &status, &queue);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  if (!status.ok()) return status.error_message();
  grpc::Slice bytes;
  response.DumpToSingleSlice(&bytes);
  return StatusName(std::string(bytes.begin(), bytes.end()));
}

}  // namespace evenkeel::tests
