#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "server/http/url.h"

namespace evenkeel::http {

inline constexpr char kPlainText[] = "text/plain; charset=utf-8";

// What a handler is told of a GET.
struct Request {
  // What the stars of the route's path stand for, in order: any bytes but zero.
  std::vector<std::string> wildcards;
  Query query;
  // The value of the header field Authorization; empty where there is none.
  std::string authorization;
  // Whether nobody on the way can read it: it comes from this machine.
  bool is_local = false;
};

struct Response {
  // A header field that not every answer has.
  struct Field {
    std::string name;
    std::string value;
  };

  int status = 200;
  std::string type = kPlainText;
  std::string body;
  std::vector<Field> fields = {};
};

// Answers a GET, on any thread, several at a time; of a HEAD the body is left away. May block for as long as the server
// lets a client wait.
using Handler = std::function<Response(const Request&)>;

struct Route {
  // Absolute, such as "/metrics" or "/jobs/*/load": a star stands for one segment, which is not empty.
  std::string path;
  Handler handler;
};

// What the server answers to `method` on `path` and `query`, which are as they came: what the first route that fits
// says; or 400, 404, 405 or 414, in a sentence. `request` has the rest.
Response Answer(const std::vector<Route>& routes, absl::string_view method, absl::string_view path,
                absl::string_view query, Request request);

}  // namespace evenkeel::http
