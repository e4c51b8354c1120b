#include "client/worker/bias_frame.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace evenkeel::client {

void WriteVersion(const v1::CommittedVersion& version, const LayerTable& layers, char* frame) {
  BiasFrame::Header header = {};
  header.kind = BiasFrame::Kind::kVersion;
  header.epoch = version.version().epoch();
  header.step = version.version().step();
  header.ok = version.ok();
  header.state_hash = version.state_hash();
  header.tokens = version.tokens();
  std::memcpy(frame, &header, sizeof(header));
  std::memcpy(frame + BiasFrame::ViolationsAt(), version.max_violation().data(), sizeof(float) * layers.size());
  std::memcpy(frame + BiasFrame::BiasAt(layers), version.bias().data(), sizeof(float) * layers.total_experts());
}

void WriteFailure(const absl::Status& why, char* frame) {
  BiasFrame::Header header = {};
  header.kind = BiasFrame::Kind::kFailed;
  header.code = static_cast<int64_t>(why.code());
  const absl::string_view message = why.message().substr(0, sizeof(header.message) - 1);
  std::copy(message.begin(), message.end(), header.message);
  std::memcpy(frame, &header, sizeof(header));
}

absl::Status ReadFrame(const char* frame, const LayerTable& layers, StepReport* report) {
  BiasFrame::Header header;
  std::memcpy(&header, frame, sizeof(header));
  if (header.kind == BiasFrame::Kind::kFailed) {
    header.message[sizeof(header.message) - 1] = '\0';
    return absl::Status(static_cast<absl::StatusCode>(header.code),
                        absl::StrCat("rank 0 of the group: ", header.message));
  }
  if (header.kind != BiasFrame::Kind::kVersion) {
    return absl::DataLossError(
        absl::StrCat("the leader's broadcast has the unknown kind ", static_cast<uint64_t>(header.kind)));
  }
  report->epoch = header.epoch;
  report->step = header.step;
  report->ok = header.ok != 0;
  report->bias_hash = header.state_hash;
  report->tokens = header.tokens;
  for (int i = 0; i < layers.size(); ++i) {
    const char* violation = frame + BiasFrame::ViolationsAt() + sizeof(float) * layers[i].place;
    std::memcpy(&report->max_violation[i], violation, sizeof(float));
  }
  return absl::OkStatus();
}

}  // namespace evenkeel::client
