#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "evenkeel/v1/coordinator_config.pb.h"
#include "server/telemetry/expert_mode.h"

namespace evenkeel {

// The metrics_listen of a coordinator that serves no metrics page, and the admin_listen of one without administration.
inline constexpr char kNoAddress[] = "none";

// What the command line of evenkeeld said; empty for what it left out.
struct CommandLine {
  std::string config_file;
  std::string listen;
  std::string metrics_listen;
  std::string state_dir;
  std::string record_dir;
  std::string admin_listen;
  std::string identities;
  std::string tls_certificate;
  std::string tls_private_key;
  std::string tls_client_ca;
  std::string log_format;
  std::string log_level;
  std::string expert_metrics;
  // Listen beyond loopback although what goes over the connections is not encrypted.
  bool insecure = false;
};

// The configuration in force: defaults, then the file, then the command line; every field set and checked, but for
// record_dir, which is absent where nothing is to be recorded, and expert_metrics, which is where the number of series
// is to choose.
// INVALID_ARGUMENT or NOT_FOUND, naming the field and its value, when something is wrong.
absl::StatusOr<v1::CoordinatorConfig> ConfigureCoordinator(const CommandLine& command_line);

// What expert_metrics of a configuration asks for.
absl::StatusOr<telemetry::ExpertMode> ExpertModeOf(const v1::CoordinatorConfig& config);

}  // namespace evenkeel
