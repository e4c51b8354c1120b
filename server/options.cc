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
#include "server/log/log_writer.h"

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

bool IsLoopbackAddress(absl::string_view address) { return IsLoopback(address.substr(0, address.rfind(':'))); }

absl::Status CheckAddress(absl::string_view field, const std::string& address) {
  const size_t colon = address.rfind(':');
  uint32_t port = 0;
  if (colon == std::string::npos || colon == 0 || !absl::SimpleAtoi(address.substr(colon + 1), &port) || port > 65535) {
    return absl::InvalidArgumentError(absl::StrCat(field, ": \"", address, "\" is not host:port"));
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

// That only this machine reaches it, unless more is asked for. `remedy` is what else could be done.
absl::Status CheckReach(absl::string_view field, const std::string& address, bool insecure, absl::string_view remedy) {
  EVENKEEL_RETURN_IF_ERROR(CheckAddress(field, address));
  if (insecure || IsLoopbackAddress(address)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(field, ": ", address, " can be reached from other machines, and connections are not encrypted; ",
                   "listen on a loopback address, ", remedy, "or give --insecure if the network is trusted"));
}

absl::Status CheckTls(const v1::Tls& tls) {
  if (tls.certificate().empty()) return absl::InvalidArgumentError("tls.certificate is not set; TLS needs one");
  if (tls.private_key().empty()) return absl::InvalidArgumentError("tls.private_key is not set; TLS needs one");
  if (tls.has_client_ca() && tls.client_ca().empty()) return absl::InvalidArgumentError("tls.client_ca is empty");
  return absl::OkStatus();
}

// Where it listens, and how safely.
absl::Status CheckAddresses(const v1::CoordinatorConfig& config, bool insecure) {
  if (config.has_tls()) {
    EVENKEEL_RETURN_IF_ERROR(CheckTls(config.tls()));
    EVENKEEL_RETURN_IF_ERROR(CheckAddress("listen", config.listen()));
  } else {
    EVENKEEL_RETURN_IF_ERROR(CheckReach("listen", config.listen(), insecure, "set tls, "));
    if (config.has_identities() && !IsLoopbackAddress(config.listen())) {
      return absl::InvalidArgumentError(absl::StrCat("identities: ", config.identities(), " holds for nobody at ",
                                                     config.listen(), ", where tokens could be read; set tls"));
    }
  }
  if (config.metrics_listen() != kNoAddress) {
    EVENKEEL_RETURN_IF_ERROR(CheckReach("metrics_listen", config.metrics_listen(), insecure, ""));
  }
  if (config.admin_listen() == kNoAddress) return absl::OkStatus();
  EVENKEEL_RETURN_IF_ERROR(CheckAddress("admin_listen", config.admin_listen()));
  if (IsLoopbackAddress(config.admin_listen())) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "admin_listen: ", config.admin_listen(), " can be reached from other machines; administration is for loopback"));
}

void ReadFlags(const CommandLine& flags, v1::CoordinatorConfig* config) {
  if (!flags.listen.empty()) config->set_listen(flags.listen);
  if (!flags.metrics_listen.empty()) config->set_metrics_listen(flags.metrics_listen);
  if (!flags.state_dir.empty()) config->set_state_dir(flags.state_dir);
  if (!flags.record_dir.empty()) config->set_record_dir(flags.record_dir);
  if (!flags.admin_listen.empty()) config->set_admin_listen(flags.admin_listen);
  if (!flags.expert_metrics.empty()) config->set_expert_metrics(flags.expert_metrics);
  if (!flags.identities.empty()) config->set_identities(flags.identities);
  if (!flags.tls_certificate.empty()) config->mutable_tls()->set_certificate(flags.tls_certificate);
  if (!flags.tls_private_key.empty()) config->mutable_tls()->set_private_key(flags.tls_private_key);
  if (!flags.tls_client_ca.empty()) config->mutable_tls()->set_client_ca(flags.tls_client_ca);
  if (!flags.log_format.empty()) config->set_log_format(flags.log_format);
  if (!flags.log_level.empty()) config->set_log_level(flags.log_level);
}

absl::Status CheckLimit(absl::string_view field, int64_t value) {
  if (value >= 1) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("limits.", field, " is ", value, "; at least 1"));
}

absl::Status CheckLimits(const v1::Limits& limits) {
  EVENKEEL_RETURN_IF_ERROR(CheckLimit("max_jobs", limits.max_jobs()));
  EVENKEEL_RETURN_IF_ERROR(CheckLimit("max_contributors", limits.max_contributors()));
  EVENKEEL_RETURN_IF_ERROR(CheckLimit("max_layers", limits.max_layers()));
  EVENKEEL_RETURN_IF_ERROR(CheckLimit("max_experts", limits.max_experts()));
  EVENKEEL_RETURN_IF_ERROR(CheckLimit("max_connections", limits.max_connections()));
  EVENKEEL_RETURN_IF_ERROR(CheckLimit("max_message_bytes", limits.max_message_bytes()));
  EVENKEEL_RETURN_IF_ERROR(CheckLimit("max_buffer_bytes", limits.max_buffer_bytes()));
  EVENKEEL_RETURN_IF_ERROR(CheckLimit("max_silence_seconds", limits.max_silence_seconds()));
  return CheckLimit("max_connection_age_seconds", limits.max_connection_age_seconds());
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

absl::StatusOr<telemetry::ExpertMode> ExpertModeOf(const v1::CoordinatorConfig& config) {
  return config.has_expert_metrics() ? telemetry::ParseExpertMode(config.expert_metrics()) : telemetry::ExpertMode();
}

absl::StatusOr<v1::CoordinatorConfig> ConfigureCoordinator(const CommandLine& command_line) {
  v1::CoordinatorConfig config;
  if (!command_line.config_file.empty()) {
    EVENKEEL_RETURN_IF_ERROR(config::ParseFile(command_line.config_file, &config));
  }
  ReadFlags(command_line, &config);
  if (!config.has_record_file_bytes()) config.set_record_file_bytes(kDefaultRecordFileBytes);
  if (!config.has_record_job_bytes()) config.set_record_job_bytes(kDefaultRecordJobBytes);
  if (!config.has_listen()) config.set_listen(kDefaultListen);
  if (!config.has_metrics_listen()) config.set_metrics_listen(kDefaultMetricsListen);
  if (!config.has_admin_listen()) config.set_admin_listen(kNoAddress);
  if (!config.has_log_format()) config.set_log_format("text");
  if (!config.has_log_level()) config.set_log_level("info");
  *config.mutable_limits() = job::WithDefaults(config.limits());

  if (config.state_dir().empty()) {
    return absl::InvalidArgumentError("state_dir is not set; give --state_dir DIR, or state_dir in the --config file");
  }
  EVENKEEL_RETURN_IF_ERROR(CheckAddresses(config, command_line.insecure));
  EVENKEEL_RETURN_IF_ERROR(CheckRecord(config));
  EVENKEEL_RETURN_IF_ERROR(LogFormatOf("log_format", config.log_format()).status());
  EVENKEEL_RETURN_IF_ERROR(LogLevelOf("log_level", config.log_level()).status());
  EVENKEEL_RETURN_IF_ERROR(ExpertModeOf(config).status());
  EVENKEEL_RETURN_IF_ERROR(CheckLimits(config.limits()));
  EVENKEEL_RETURN_IF_ERROR(CheckDefaultBalance(config.default_balance()));
  return config;
}

}  // namespace evenkeel
