#include "client/worker/bias_frame.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "client/worker/workspace.h"

namespace evenkeel::client {
namespace {

BiasFrame::Header HeaderOf(const char* frame) {
  BiasFrame::Header header;
  std::memcpy(&header, frame, sizeof(header));
  return header;
}

std::string NameOf(uint64_t routes) {
  return routes == Workspace::kLeaving ? "its leave" : absl::StrCat("the bias of step ", routes);
}

}  // namespace

bool IsHalted(const v1::CommittedVersion& version) {
  return std::find(version.reasons().begin(), version.reasons().end(), v1::UpdateReason::HALTED) !=
         version.reasons().end();
}

void WriteVersion(const v1::CommittedVersion& version, uint64_t routes, const LayerTable& layers, char* frame) {
  BiasFrame::Header header = {};
  header.kind = BiasFrame::Kind::kVersion;
  header.routes = routes;
  header.epoch = version.version().epoch();
  header.step = version.version().step();
  header.ok = version.ok();
  header.state_hash = version.state_hash();
  header.tokens = version.tokens();
  header.violations = version.violations_size();
  header.halted = IsHalted(version);
  header.contributors = version.participants_size();
  std::memcpy(frame, &header, sizeof(header));
  std::memcpy(frame + BiasFrame::ViolationsAt(), version.max_violation().data(), sizeof(float) * layers.total_rows());
  // A job that is only observed has none.
  char* const bias = frame + BiasFrame::BiasAt(layers);
  std::fill(bias, frame + BiasFrame::Bytes(layers), '\0');
  if (!version.bias().empty()) std::memcpy(bias, version.bias().data(), sizeof(float) * version.bias_size());
}

void WriteFailure(const absl::Status& why, uint64_t routes, char* frame) {
  BiasFrame::Header header = {};
  header.kind = BiasFrame::Kind::kFailed;
  header.routes = routes;
  header.code = static_cast<int64_t>(why.code());
  const absl::string_view message = why.message().substr(0, sizeof(header.message) - 1);
  std::copy(message.begin(), message.end(), header.message);
  std::memcpy(frame, &header, sizeof(header));
}

void Readdress(uint64_t routes, char* frame) {
  std::memcpy(frame + offsetof(BiasFrame::Header, routes), &routes, sizeof(routes));
}

bool IsFailure(const char* frame, uint64_t routes) {
  const BiasFrame::Header header = HeaderOf(frame);
  return header.kind == BiasFrame::Kind::kFailed && header.routes == routes;
}

absl::Status ReadFrame(const char* frame, uint64_t routes, const LayerTable& layers, StepReport* report) {
  BiasFrame::Header header = HeaderOf(frame);
  if (header.kind != BiasFrame::Kind::kVersion && header.kind != BiasFrame::Kind::kFailed) {
    return absl::DataLossError(
        absl::StrCat("the leader's broadcast has the unknown kind ", static_cast<uint64_t>(header.kind)));
  }
  if (header.routes != routes) {
    return absl::FailedPreconditionError(absl::StrCat("rank 0 of the group is at another step: it broadcast ",
                                                      NameOf(header.routes), " where this rank was at ",
                                                      NameOf(routes)));
  }
  if (header.kind == BiasFrame::Kind::kFailed) {
    header.message[sizeof(header.message) - 1] = '\0';
    return absl::Status(static_cast<absl::StatusCode>(header.code),
                        absl::StrCat("rank 0 of the group: ", header.message));
  }
  report->epoch = header.epoch;
  report->step = header.step;
  report->ok = header.ok != 0;
  report->bias_hash = header.state_hash;
  report->tokens = header.tokens;
  report->violations = static_cast<int>(header.violations);
  report->halted = header.halted != 0;
  report->contributors = static_cast<int>(header.contributors);
  std::vector<float> violations(layers.total_rows());
  std::memcpy(violations.data(), frame + BiasFrame::ViolationsAt(), sizeof(float) * violations.size());
  ReportViolations(layers, violations, report);
  return absl::OkStatus();
}

}  // namespace evenkeel::client
