#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "civetweb.h"
#include "server/telemetry/metrics.h"

namespace evenkeel::telemetry {
namespace {

constexpr char kPageType[] = "text/plain; version=0.0.4; charset=utf-8";
constexpr char kNumThreads[] = "4";
// A client that connects and says nothing holds a thread for no longer.
constexpr char kRequestTimeoutMs[] = "5000";

// The host of `address`, which civetweb takes for a list of addresses if it is let.
absl::StatusOr<std::string> HostOf(const std::string& address) {
  constexpr char kHostCharacters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_";
  const size_t colon = address.rfind(':');
  uint32_t port = 0;
  if (colon == std::string::npos || colon == 0 || address.find_first_not_of(kHostCharacters) < colon ||
      address.find_first_not_of("0123456789", colon + 1) != std::string::npos ||
      !absl::SimpleAtoi(address.substr(colon + 1), &port) || port > 65535) {
    return absl::InvalidArgumentError(absl::StrCat("metrics address \"", absl::CHexEscape(address),
                                                   "\" is not host:port, with the name or IPv4 address of a host"));
  }
  return address.substr(0, colon);
}

void Respond(mg_connection* connection, bool with_body, const char* type, const std::string& body) {
  mg_send_http_ok(connection, type, static_cast<int64_t>(body.size()));
  if (with_body) mg_write(connection, body.data(), body.size());
}

// Ends `context`, which listens on `host` and `port`. civetweb looks every two seconds, or after a connection, whether
// it is to stop; so that nobody waits, connections are made until it has.
void Stop(mg_context* context, const std::string& host, int port) {
  std::atomic<bool> stopped{false};
  std::thread waker([&] {
    while (!stopped) {
      char ignored[64];
      mg_connection* connection = mg_connect_client(host.c_str(), port, /*use_ssl=*/0, ignored, sizeof(ignored));
      if (connection != nullptr) mg_close_connection(connection);
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  });
  mg_stop(context);
  stopped = true;
  waker.join();
}

// civetweb's library state, which it counts the users of.
struct CivetwebLibrary {
  CivetwebLibrary() { mg_init_library(MG_FEATURES_DEFAULT); }
  ~CivetwebLibrary() { mg_exit_library(); }
};

}  // namespace

struct MetricsServer::Impl {
  Impl(std::string host, Metrics* metrics) : host(std::move(host)), metrics(metrics) {}
  ~Impl() {
    if (context != nullptr) Stop(context, host, port);
  }

  // Callbacks of civetweb, on its threads.
  static int HandleRequest(mg_connection* connection);
  static int HandleMessage(const mg_connection* connection, const char* message);
  static Impl* Of(const mg_connection* connection) {
    return static_cast<Impl*>(mg_get_user_data(mg_get_context(connection)));
  }

  const CivetwebLibrary library;
  const std::string host;
  Metrics* const metrics;
  mg_context* context = nullptr;
  int port = 0;
  std::string address;

  Mutex mutex;
  // What civetweb had to say first: on a failed start, the cause.
  std::string first_message ABSL_GUARDED_BY(mutex);
};

int MetricsServer::Impl::HandleRequest(mg_connection* connection) {
  const mg_request_info* request = mg_get_request_info(connection);
  const absl::string_view method = request->request_method;
  const absl::string_view path = request->local_uri == nullptr ? "" : request->local_uri;
  if (method != "GET" && method != "HEAD") {
    return mg_send_http_error(connection, 405, "%s", "Only GET and HEAD are answered here");
  }
  if (path == "/metrics") {
    Respond(connection, method == "GET", kPageType, Of(connection)->metrics->Text());
  } else if (path == "/healthz") {
    Respond(connection, method == "GET", "text/plain", "ok");
  } else {
    return mg_send_http_error(connection, 404, "%s", "There is /metrics, and there is /healthz");
  }
  return 200;
}

int MetricsServer::Impl::HandleMessage(const mg_connection* connection, const char* message) {
  Impl* const impl = Of(connection);
  MutexLock lock(&impl->mutex);
  if (impl->first_message.empty()) impl->first_message = message;
  return 1;  // and nothing on stderr
}

absl::StatusOr<std::unique_ptr<MetricsServer>> MetricsServer::Start(const std::string& address, Metrics* metrics) {
  EVENKEEL_ASSIGN_OR_RETURN(std::string host, HostOf(address));
  auto impl = std::make_unique<Impl>(std::move(host), metrics);
  mg_callbacks callbacks = {};
  callbacks.begin_request = Impl::HandleRequest;
  callbacks.log_message = Impl::HandleMessage;
  const char* options[] = {"listening_ports",    address.c_str(),   "num_threads", kNumThreads,
                           "request_timeout_ms", kRequestTimeoutMs, nullptr};
  mg_init_data init = {&callbacks, impl.get(), options};
  unsigned code = 0;
  char text[256] = "";
  mg_error_data error = {&code, text, sizeof(text)};
  impl->context = mg_start2(&init, &error);
  if (impl->context == nullptr) {
    MutexLock lock(&impl->mutex);
    return absl::UnavailableError(absl::StrCat("cannot serve metrics on ", address, ": ",
                                               impl->first_message.empty() ? text : impl->first_message));
  }
  mg_server_port port = {};
  mg_get_server_ports(impl->context, 1, &port);
  impl->port = port.port;
  impl->address = absl::StrCat(impl->host, ":", impl->port);
  return std::unique_ptr<MetricsServer>(new MetricsServer(std::move(impl)));
}

MetricsServer::MetricsServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

MetricsServer::~MetricsServer() = default;

const std::string& MetricsServer::address() const { return impl_->address; }

}  // namespace evenkeel::telemetry
