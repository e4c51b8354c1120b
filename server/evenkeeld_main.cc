// evenkeeld: the coordinator. Wires store, engine, gRPC and metrics together, and waits for a signal.

#include <malloc.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "base/log_event.h"
#include "base/status_macros.h"
#include "google/protobuf/stubs/logging.h"
#include "server/dashboard/api.h"
#include "server/dashboard/page.h"
#include "server/engine/engine.h"
#include "server/http/health.h"
#include "server/http/server.h"
#include "server/log/log_writer.h"
#include "server/options.h"
#include "server/recorder/recorder.h"
#include "server/rpc/admin_server.h"
#include "server/rpc/server.h"
#include "server/security/certificate_files.h"
#include "server/security/gate.h"
#include "server/security/identities.h"
#include "server/security/tls_credentials.h"
#include "server/security/watched_files.h"
#include "server/store/store.h"
#include "server/telemetry/metrics.h"
#include "server/telemetry/metrics_routes.h"

ABSL_FLAG(std::string, config, "", "YAML file with a CoordinatorConfig (doc/operations.md); flags win over it.");
ABSL_FLAG(std::string, listen, "",
          "host:port of the gRPC service; port 0 takes a free one. Default: the file's, else 127.0.0.1:7411.");
ABSL_FLAG(std::string, metrics_listen, "",
          "host:port of the web page, its API and the metrics; port 0 takes a free one, \"none\" has none. Default: "
          "the file's, else 127.0.0.1:7412.");
ABSL_FLAG(std::string, state_dir, "", "Folder that holds the state; made if missing, held by one process at a time.");
ABSL_FLAG(std::string, record, "",
          "Folder of the record of every commit, for 'evenkeel replay --record'; made if missing. Default: the file's, "
          "else none is written.");
ABSL_FLAG(std::string, expert_metrics, "",
          "Series of each expert on /metrics/experts: off, topk:N or all. Default: the file's, else all up to 32,768 "
          "series and topk:8 above.");
ABSL_FLAG(std::string, ready_file, "", "File to write once calls are accepted: JSON with the addresses and the pid.");
ABSL_FLAG(
    std::string, admin_listen, "",
    "host:port, on loopback, of reflection, channelz and health; port 0 takes a free one. Default: the file's, else "
    "there is none.");
ABSL_FLAG(std::string, identities, "", "YAML file with who may do what (doc/operations.md).");
ABSL_FLAG(std::string, tls_certificate, "", "PEM file with the coordinator's certificate: connections are encrypted.");
ABSL_FLAG(std::string, tls_private_key, "", "PEM file with its key.");
ABSL_FLAG(std::string, tls_client_ca, "", "PEM file with the CAs of the clients, who then need certificates.");
ABSL_FLAG(std::string, log_format, "",
          "What the log on stderr has: \"text\" or \"json\", one object a line. Default: the file's, else text.");
ABSL_FLAG(std::string, log_level, "",
          "The least that it has: \"info\", \"warning\" or \"error\". Default: the file's, else info.");
ABSL_FLAG(bool, insecure, false, "Listen beyond loopback although what goes over the connections is not encrypted.");

namespace evenkeel {
namespace {

constexpr char kUsage[] =
    "Keeps the expert biases of MoE training jobs, and hands every worker the same new ones each step.\n\n"
    "  evenkeeld --state_dir /var/lib/evenkeel\n"
    "  evenkeeld --config evenkeeld.yaml\n"
    "  evenkeeld --state_dir state --listen 127.0.0.1:0 --metrics_listen 127.0.0.1:0 --ready_file ready.json\n\n"
    "SIGTERM and SIGINT stop it cleanly: what was answered is on disk, workers push again to the next life. SIGHUP "
    "makes "
    "it read its certificates and identities again, which it also does by itself when they change.";

// Memory of a step comes again with the next: given back to the system in between, every page of it would be cleared
// and mapped anew at each step.
void KeepMemory() {
  mallopt(M_TRIM_THRESHOLD, 512 << 20);
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
}

// Debian's abseil looks for deadlocks whenever a mutex is taken, in gRPC at every step of a call: a tool for tests, and
// a twentieth of the coordinator's work.
void TrustMutexes() { absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore); }

// Blocked in all threads, and taken by WaitForStop.
sigset_t Signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGHUP);
  return signals;
}

// Until a signal ends the process, `files` are looked after. Returns the signal's name.
std::string WaitForStop(security::WatchedFiles* files) {
  const sigset_t signals = Signals();
  const timespec second = {1, 0};
  while (true) {
    const int signal = sigtimedwait(&signals, nullptr, &second);
    if (signal == SIGHUP) {
      files->Reload();
    } else if (signal > 0) {
      return strsignal(signal);
    } else {
      files->Poll();
    }
  }
}

// Written under another name first, so that whoever sees the file sees all of it.
absl::Status WriteReadyFile(const std::string& path, const std::string& grpc, const std::string& metrics,
                            const std::string& admin) {
  const std::string temporary = absl::StrCat(path, ".", getpid());
  std::ofstream file(temporary);
  file << "{\"grpc\": \"" << grpc << "\", \"metrics\": \"" << metrics << "\", \"admin\": \"" << admin
       << "\", \"pid\": " << getpid() << "}\n";
  file.close();
  if (!file || std::rename(temporary.c_str(), path.c_str()) != 0) {
    return absl::UnavailableError(absl::StrCat("--ready_file: cannot write ", path));
  }
  return absl::OkStatus();
}

// After a failed write nothing may be answered, and what the disk holds is unknown: the next life finds out.
void DieOfStore(const LogSink& log, const absl::Status& status) {
  log(ErrorEvent(
      "store_failed",
      absl::StrCat("the state cannot be written, and nothing was answered that is not on disk: ", status.message(),
                   "; ending. Mend the disk and start again: workers will push the open step again")));
  std::_Exit(1);
}

absl::StatusOr<std::unique_ptr<recorder::Recorder>> StartRecorder(const v1::CoordinatorConfig& config,
                                                                  const LogSink& log, telemetry::Metrics* metrics) {
  recorder::Recorder::Options options;
  options.directory = config.record_dir();
  options.bounds = {config.record_file_bytes(), config.record_job_bytes()};
  return recorder::Recorder::Start(options,
                                   {log, [metrics](const std::string& job) { metrics->CountRecordError(job); }});
}

absl::Status ReadIdentities(const v1::CoordinatorConfig& config, security::WatchedFiles* files, security::Gate* gate) {
  if (!config.has_identities()) return absl::OkStatus();
  return files->Add({config.identities()}, [path = config.identities(), gate]() -> absl::Status {
    EVENKEEL_ASSIGN_OR_RETURN(std::shared_ptr<const security::Identities> identities, security::Identities::Read(path));
    gate->SetIdentities(std::move(identities));
    return absl::OkStatus();
  });
}

// Null where connections are not to be encrypted.
absl::StatusOr<std::shared_ptr<security::TlsCredentials>> ReadTls(const v1::CoordinatorConfig& config,
                                                                  security::WatchedFiles* files) {
  if (!config.has_tls()) return nullptr;
  const v1::Tls& tls = config.tls();
  std::vector<std::string> paths = {tls.certificate(), tls.private_key()};
  if (tls.has_client_ca()) paths.push_back(tls.client_ca());
  auto credentials = std::make_shared<std::shared_ptr<security::TlsCredentials>>();
  const absl::Status status = files->Add(paths, [tls, credentials]() -> absl::Status {
    EVENKEEL_ASSIGN_OR_RETURN(security::Certificates certificates, security::ReadCertificates(tls));
    if (*credentials != nullptr) {
      (*credentials)->Replace(std::move(certificates));
    } else {
      *credentials = std::make_shared<security::TlsCredentials>(std::move(certificates));
    }
    return absl::OkStatus();
  });
  EVENKEEL_RETURN_IF_ERROR(status);
  return *credentials;
}

void Append(std::vector<http::Route> more, std::vector<http::Route>* routes) {
  for (http::Route& route : more) routes->push_back(std::move(route));
}

// Null where nothing is to be served over HTTP.
absl::StatusOr<std::unique_ptr<http::Server>> StartHttp(const v1::CoordinatorConfig& config,
                                                        const telemetry::Metrics* metrics, engine::Engine* engine,
                                                        security::Gate* gate, const std::atomic<bool>* ready) {
  if (config.metrics_listen() == kNoAddress) return nullptr;
  std::vector<http::Route> routes = http::HealthRoutes([ready] { return ready->load(); });
  Append(telemetry::MetricsRoutes(metrics), &routes);
  Append(dashboard::ApiRoutes(engine, gate), &routes);
  Append(dashboard::PageRoutes(), &routes);
  return http::Server::Start(config.metrics_listen(), std::move(routes));
}

CommandLine ReadCommandLine() {
  CommandLine command_line;
  command_line.config_file = absl::GetFlag(FLAGS_config);
  command_line.listen = absl::GetFlag(FLAGS_listen);
  command_line.metrics_listen = absl::GetFlag(FLAGS_metrics_listen);
  command_line.state_dir = absl::GetFlag(FLAGS_state_dir);
  command_line.record_dir = absl::GetFlag(FLAGS_record);
  command_line.admin_listen = absl::GetFlag(FLAGS_admin_listen);
  command_line.identities = absl::GetFlag(FLAGS_identities);
  command_line.tls_certificate = absl::GetFlag(FLAGS_tls_certificate);
  command_line.tls_private_key = absl::GetFlag(FLAGS_tls_private_key);
  command_line.tls_client_ca = absl::GetFlag(FLAGS_tls_client_ca);
  command_line.log_format = absl::GetFlag(FLAGS_log_format);
  command_line.log_level = absl::GetFlag(FLAGS_log_level);
  command_line.expert_metrics = absl::GetFlag(FLAGS_expert_metrics);
  command_line.insecure = absl::GetFlag(FLAGS_insecure);
  return command_line;
}

// Of which `config` has the words.
LogWriter LogOf(const v1::CoordinatorConfig& config) {
  return LogWriter(STDERR_FILENO, *LogFormatOf("log_format", config.log_format()),
                   *LogLevelOf("log_level", config.log_level()));
}

// `*writer` becomes the one that the configuration asks for, as soon as that is known.
absl::Status Run(LogWriter* writer) {
  EVENKEEL_ASSIGN_OR_RETURN(const v1::CoordinatorConfig config, ConfigureCoordinator(ReadCommandLine()));
  *writer = LogOf(config);
  const LogSink log = [writer](const LogEvent& event) { writer->Write(event); };
  security::Gate gate(log);
  security::WatchedFiles files(log);
  EVENKEEL_RETURN_IF_ERROR(ReadIdentities(config, &files, &gate));
  EVENKEEL_ASSIGN_OR_RETURN(const std::shared_ptr<security::TlsCredentials> tls, ReadTls(config, &files));

  EVENKEEL_ASSIGN_OR_RETURN(std::unique_ptr<store::Store> store, store::Store::Open(config.state_dir()));
  EVENKEEL_ASSIGN_OR_RETURN(const telemetry::ExpertMode experts, ExpertModeOf(config));
  telemetry::Metrics metrics({experts, config.state_dir(), log});
  std::unique_ptr<recorder::Recorder> recorder;
  if (config.has_record_dir()) {
    EVENKEEL_ASSIGN_OR_RETURN(recorder, StartRecorder(config, log, &metrics));
  }
  EVENKEEL_ASSIGN_OR_RETURN(
      std::unique_ptr<engine::Engine> engine,
      engine::Engine::Start(config, std::move(store), &metrics, recorder.get(),
                            {log, [log](const absl::Status& status) { DieOfStore(log, status); }}));
  std::atomic<bool> ready{false};
  EVENKEEL_ASSIGN_OR_RETURN(std::unique_ptr<http::Server> http,
                            StartHttp(config, &metrics, engine.get(), &gate, &ready));
  EVENKEEL_ASSIGN_OR_RETURN(std::unique_ptr<rpc::Server> server,
                            rpc::Server::Start(config, engine.get(), {&gate, tls, log}, &metrics));
  std::unique_ptr<rpc::AdminServer> admin;
  if (config.admin_listen() != kNoAddress) {
    EVENKEEL_ASSIGN_OR_RETURN(admin, rpc::AdminServer::Start(config.admin_listen()));
  }

  const std::string metrics_address = http ? http->address() : "";
  const std::string admin_address = admin ? admin->address() : "";
  log(InfoEvent(
      "serving",
      absl::StrCat("serving on ", server->address(), tls ? " with TLS" : "", ", the page and /metrics on ",
                   http ? absl::StrCat("http://", metrics_address) : "no address", ", state in ", config.state_dir(),
                   config.has_record_dir() ? absl::StrCat(", record in ", config.record_dir()) : "")));
  if (!absl::GetFlag(FLAGS_ready_file).empty()) {
    EVENKEEL_RETURN_IF_ERROR(
        WriteReadyFile(absl::GetFlag(FLAGS_ready_file), server->address(), metrics_address, admin_address));
  }
  ready = true;
  log(InfoEvent("stopping", absl::StrCat(WaitForStop(&files), ": stopping")));
  ready = false;
  server->Drain();
  engine->Drain();
  server->Shutdown();
  http.reset();
  engine->Stop();
  return absl::OkStatus();
}

}  // namespace
}  // namespace evenkeel

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage(evenkeel::kUsage);
  const std::vector<char*> words = absl::ParseCommandLine(argc, argv);
  evenkeel::LogWriter log(STDERR_FILENO, evenkeel::LogFormat::kText, evenkeel::LogEvent::Level::kInfo);
  if (words.size() > 1) {
    log.Write(
        evenkeel::ErrorEvent("bad_arguments", absl::StrCat("unexpected argument \"", words[1], "\"; see --help")));
    return 2;
  }
  evenkeel::KeepMemory();
  evenkeel::TrustMutexes();
  const sigset_t signals = evenkeel::Signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  // What is malformed is answered to its sender; a log line for each would let anyone fill the disk.
  google::protobuf::SetLogHandler(nullptr);
  // A file-size limit (ulimit -f) is to be an error of the write, which the store reports.
  signal(SIGXFSZ, SIG_IGN);
  const absl::Status status = evenkeel::Run(&log);
  if (!status.ok()) {
    log.Write(evenkeel::ErrorEvent("cannot_serve", std::string(status.message())));
    return 1;
  }
  return 0;
}
