#include "server/http/server.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "civetweb.h"
#include "server/http/gzip.h"

namespace evenkeel::http {
namespace {

// A client that connects and says nothing, or does not take its answer, holds a thread for no longer.
constexpr char kRequestTimeoutMs[] = "5000";

// Shorter answers go out as they are: they fit a packet or two.
constexpr size_t kLeastPacked = 2048;

// Of every answer.
constexpr struct {
  const char* name;
  const char* value;
} kFields[] = {
    {"Cache-Control", "no-store"},
    {"Content-Security-Policy",
     "default-src 'none'; connect-src 'self'; img-src 'self'; script-src 'self'; style-src 'self'; base-uri 'none'; "
     "form-action 'none'; frame-ancestors 'none'"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
    {"Referrer-Policy", "no-referrer"},
    {"Vary", "Accept-Encoding"},
    {"X-Content-Type-Options", "nosniff"},
};

// The host of `address`, which civetweb takes for a list of addresses if it is let.
absl::StatusOr<std::string> HostOf(const std::string& address) {
  constexpr char kHostCharacters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_";
  const size_t colon = address.rfind(':');
  uint32_t port = 0;
  if (colon == std::string::npos || colon == 0 || address.find_first_not_of(kHostCharacters) < colon ||
      address.find_first_not_of("0123456789", colon + 1) != std::string::npos ||
      !absl::SimpleAtoi(address.substr(colon + 1), &port) || port > 65535) {
    return absl::InvalidArgumentError(absl::StrCat("HTTP address \"", absl::CHexEscape(address),
                                                   "\" is not host:port, with the name or IPv4 address of a host"));
  }
  return address.substr(0, colon);
}

absl::string_view TextOf(const char* text) { return text == nullptr ? "" : text; }

Request RequestOf(const mg_connection* connection) {
  Request request;
  request.authorization = std::string(TextOf(mg_get_header(connection, "Authorization")));
  const absl::string_view peer = mg_get_request_info(connection)->remote_addr;
  request.is_local = absl::StartsWith(peer, "127.") || peer == "::1";
  return request;
}

// Packs a long answer where the client can take it so: a scrape is a tenth of it then.
void Pack(const mg_connection* connection, Response* response) {
  if (response->body.size() < kLeastPacked) return;
  if (!AcceptsGzip(TextOf(mg_get_header(connection, "Accept-Encoding")))) return;
  response->body = Gzip(response->body);
  response->fields.push_back({"Content-Encoding", "gzip"});
}

void Send(mg_connection* connection, const Response& response, bool with_body) {
  mg_response_header_start(connection, response.status);
  for (const auto& field : kFields) mg_response_header_add(connection, field.name, field.value, -1);
  for (const Response::Field& field : response.fields) {
    mg_response_header_add(connection, field.name.c_str(), field.value.c_str(), -1);
  }
  mg_response_header_add(connection, "Content-Type", response.type.c_str(), -1);
  mg_response_header_add(connection, "Content-Length", absl::StrCat(response.body.size()).c_str(), -1);
  mg_response_header_send(connection);
  if (with_body) mg_write(connection, response.body.data(), response.body.size());
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

struct Server::Impl {
  Impl(std::string host, std::vector<Route> routes) : host(std::move(host)), routes(std::move(routes)) {}
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
  const std::vector<Route> routes;
  mg_context* context = nullptr;
  int port = 0;
  std::string address;

  Mutex mutex;
  // What civetweb had to say first: on a failed start, the cause.
  std::string first_message ABSL_GUARDED_BY(mutex);
};

int Server::Impl::HandleRequest(mg_connection* connection) {
  const mg_request_info* const request = mg_get_request_info(connection);
  const absl::string_view method = request->request_method;
  Response response = Answer(Of(connection)->routes, method, TextOf(request->local_uri_raw),
                             TextOf(request->query_string), RequestOf(connection));
  Pack(connection, &response);
  Send(connection, response, method != "HEAD");
  return response.status;
}

int Server::Impl::HandleMessage(const mg_connection* connection, const char* message) {
  Impl* const impl = Of(connection);
  MutexLock lock(&impl->mutex);
  if (impl->first_message.empty()) impl->first_message = message;
  return 1;  // and nothing on stderr
}

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const std::string& address, std::vector<Route> routes) {
  EVENKEEL_ASSIGN_OR_RETURN(std::string host, HostOf(address));
  auto impl = std::make_unique<Impl>(std::move(host), std::move(routes));
  mg_callbacks callbacks = {};
  callbacks.begin_request = Impl::HandleRequest;
  callbacks.log_message = Impl::HandleMessage;
  const std::string num_threads = absl::StrCat(kNumThreads);
  // A path is decoded by whoever takes it apart: a slash within a segment is not one between two.
  const char* options[] = {"listening_ports",
                           address.c_str(),
                           "num_threads",
                           num_threads.c_str(),
                           "request_timeout_ms",
                           kRequestTimeoutMs,
                           "decode_url",
                           "no",
                           nullptr};
  mg_init_data init = {&callbacks, impl.get(), options};
  unsigned code = 0;
  char text[256] = "";
  mg_error_data error = {&code, text, sizeof(text)};
  impl->context = mg_start2(&init, &error);
  if (impl->context == nullptr) {
    MutexLock lock(&impl->mutex);
    return absl::UnavailableError(
        absl::StrCat("cannot serve HTTP on ", address, ": ", impl->first_message.empty() ? text : impl->first_message));
  }
  mg_server_port port = {};
  mg_get_server_ports(impl->context, 1, &port);
  impl->port = port.port;
  impl->address = absl::StrCat(impl->host, ":", impl->port);
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Server::~Server() = default;

const std::string& Server::address() const { return impl_->address; }

}  // namespace evenkeel::http
