#include "server/options.h"

#include <cstdint>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "config/balance_config.h"
#include "config/text.h"
#include "job/job_plan.h"

namespace evenkeel {
namespace {

constexpr char kDefaultListen[] = "127.0.0.1:7411";
constexpr char kDefaultMetricsListen[] = "127.0.0.1:7412";
constexpr int64_t kMinRecordFileBytes = 64 << 10;
constexpr int64_t kDefaultRecordFileBytes = 64 << 20;
constexpr int64_t kDefaultRecordJobBytes = int64_t{1} << 30;

bool IsLoopback(absl::string_view host) {
  return host == "localhost" || host == "[::1]" || absl::StartsWith(host, "127.");
}

absl::Status CheckAddress(absl::string_view field, const std::string& address, bool insecure) {
  const size_t colon = address.rfind(':');
  uint32_t port = 0;
  if (colon == std::string::npos || colon == 0 || !absl::SimpleAtoi(address.substr(colon + 1), &port) || port > 65535) {
    return absl::InvalidArgumentError(absl::StrCat(field, ": \"", address, "\" is not host:port"));
  }
  if (!insecure && !IsLoopback(address.substr(0, colon))) {
    return absl::InvalidArgumentError(
        absl::StrCat(field, ": ", address, " can be reached from other machines, and connections are not encrypted; ",
                     "listen on a loopback address, or give --insecure if the network is trusted"));
  }
  return absl::OkStatus();
}

absl::Status CheckRecord(const v1::CoordinatorConfig& config) {
  if (config.has_record_dir() && config.record_dir().empty()) {
    return absl::InvalidArgumentError("record_dir is empty; name a folder, or leave it out for no record");
  }
  if (config.record_file_bytes() < kMinRecordFileBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("record_file_bytes is ", config.record_file_bytes(), "; at least ", kMinRecordFileBytes));
  }
  if (config.record_job_bytes() / 2 < config.record_file_bytes()) {
    return absl::InvalidArgumentError(absl::StrCat("record_job_bytes is ", config.record_job_bytes(),
                                                   "; at least twice record_file_bytes (", config.record_file_bytes(),
                                                   ")"));
  }
  return absl::OkStatus();
}

absl::Status CheckLimit(absl::string_view field, int value) {
  if (value >= 1) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("limits.", field, " is ", value, "; at least 1"));
}

absl::Status CheckLimits(const v1::Limits& limits) {
  EVENKEEL_RETURN_IF_ERROR(CheckLimit("max_jobs", limits.max_jobs()));
  EVENKEEL_RETURN_IF_ERROR(CheckLimit("max_contributors", limits.max_contributors()));
  EVENKEEL_RETURN_IF_ERROR(CheckLimit("max_layers", limits.max_layers()));
  EVENKEEL_RETURN_IF_ERROR(CheckLimit("max_experts", limits.max_experts()));
  return CheckLimit("max_message_bytes", limits.max_message_bytes());
}

// Held against one expert, so that all that does not depend on a layer's size is judged before a job asks.
absl::Status CheckDefaultBalance(const v1::BalanceConfig& message) {
  if (message.target_size() > 0) {
    return absl::InvalidArgumentError("default_balance.target is a layer's affair; give it in the job's overrides");
  }
  const absl::StatusOr<balance::BalanceConfig> config = config::BalanceConfigFromProto(message);
  absl::Status status = config.status();
  if (status.ok()) status = balance::Validate(*config, /*num_experts=*/1);
  if (status.ok()) return status;
  return absl::InvalidArgumentError(absl::StrCat("default_balance: ", status.message()));
}

}  // namespace

absl::StatusOr<v1::CoordinatorConfig> ConfigureCoordinator(const CommandLine& command_line) {
  v1::CoordinatorConfig config;
  if (!command_line.config_file.empty()) {
    EVENKEEL_RETURN_IF_ERROR(config::ParseFile(command_line.config_file, &config));
  }
  if (!command_line.listen.empty()) config.set_listen(command_line.listen);
  if (!command_line.metrics_listen.empty()) config.set_metrics_listen(command_line.metrics_listen);
  if (!command_line.state_dir.empty()) config.set_state_dir(command_line.state_dir);
  if (!command_line.record_dir.empty()) config.set_record_dir(command_line.record_dir);
  if (!config.has_record_file_bytes()) config.set_record_file_bytes(kDefaultRecordFileBytes);
  if (!config.has_record_job_bytes()) config.set_record_job_bytes(kDefaultRecordJobBytes);
  if (!config.has_listen()) config.set_listen(kDefaultListen);
  if (!config.has_metrics_listen()) config.set_metrics_listen(kDefaultMetricsListen);
  *config.mutable_limits() = job::WithDefaults(config.limits());

  if (config.state_dir().empty()) {
    return absl::InvalidArgumentError("state_dir is not set; give --state_dir DIR, or state_dir in the --config file");
  }
  EVENKEEL_RETURN_IF_ERROR(CheckAddress("listen", config.listen(), command_line.insecure));
  if (config.metrics_listen() != kNoMetrics) {
    EVENKEEL_RETURN_IF_ERROR(CheckAddress("metrics_listen", config.metrics_listen(), command_line.insecure));
  }
  EVENKEEL_RETURN_IF_ERROR(CheckRecord(config));
  EVENKEEL_RETURN_IF_ERROR(CheckLimits(config.limits()));
  EVENKEEL_RETURN_IF_ERROR(CheckDefaultBalance(config.default_balance()));
  return config;
}

}  // namespace evenkeel
