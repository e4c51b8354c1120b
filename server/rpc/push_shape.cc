#include "server/rpc/push_shape.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "base/error_detail.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/wire_format_lite.h"
#include "grpcpp/impl/codegen/proto_buffer_reader.h"

namespace evenkeel::rpc {
namespace {

using google::protobuf::internal::WireFormatLite;

absl::Status NoPush() {
  return ServiceError(absl::StatusCode::kInvalidArgument, v1::ErrorDetail::INVALID_FIELD,
                      "the request is not a PushRequest");
}

}  // namespace

absl::StatusOr<std::string> JobOf(const grpc::ByteBuffer& push) {
  grpc::ByteBuffer bytes(push);
  grpc::ProtoBufferReader reader(&bytes);
  if (!reader.status().ok()) return NoPush();
  google::protobuf::io::CodedInputStream input(&reader);
  constexpr uint32_t kJob = WireFormatLite::MakeTag(v1::PushRequest::kJobFieldNumber,  //
                                                    WireFormatLite::WIRETYPE_LENGTH_DELIMITED);
  // As in all of protobuf, the last one counts.
  std::string job;
  while (const uint32_t tag = input.ReadTag()) {
    const bool is_read =
        tag == kJob ? WireFormatLite::ReadString(&input, &job) : WireFormatLite::SkipField(&input, tag);
    if (!is_read) return NoPush();
  }
  if (!input.ConsumedEntireMessage()) return NoPush();
  return job;
}

size_t MaxPushBytes(const v1::JobSpec& job, int ranks) {
  constexpr size_t kSlack = 4096;          // names, numbers, tags and lengths
  constexpr size_t kBytesPerExpert = 8;    // low and high
  constexpr size_t kBytesPerRow = 2 * 10;  // valid tokens and short slots, varints
  constexpr size_t kBytesPerRank = 8 + 5;  // a fingerprint, and its number among those that diverged
  size_t bytes = kSlack + kBytesPerRank * std::max({ranks, job.world_size(), 1});
  for (const v1::LayerSpec& layer : job.layers()) {
    const size_t rows = std::max(layer.streams(), 1);
    const size_t planes = layer.counts_dispatched() ? 2 : 1;
    bytes += rows * (kBytesPerRow + planes * kBytesPerExpert * std::max(layer.num_experts(), 0));
  }
  return bytes;
}

void PushShapes::Learn(const v1::JobSpec& job, int ranks) {
  const size_t bytes = MaxPushBytes(job, ranks);
  MutexLock lock(&mutex_);
  size_t& most = most_[job.name()];
  most = std::max(most, bytes);
}

absl::Status PushShapes::Check(const std::string& job, size_t bytes) {
  size_t most = 0;
  {
    MutexLock lock(&mutex_);
    const auto found = most_.find(job);
    if (found == most_.end() || bytes <= found->second) return absl::OkStatus();
    most = found->second;
  }
  return ServiceError(absl::StatusCode::kInvalidArgument, v1::ErrorDetail::SHAPE_MISMATCH,
                      absl::StrCat("the push has ", bytes, " bytes; one of job \"", job, "\" has at most ", most));
}

}  // namespace evenkeel::rpc
