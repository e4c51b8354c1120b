#include "server/dashboard/api.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <initializer_list>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "base/error_detail.h"
#include "base/message_json.h"
#include "base/status_macros.h"
#include "job/snapshot.h"
#include "server/dashboard/api_error.h"
#include "server/dashboard/await.h"
#include "server/dashboard/load_json.h"
#include "server/http/server.h"

namespace evenkeel::dashboard {
namespace {

using Json = absl::StatusOr<std::string>;
using security::Method;

// Less than a client of the server is let wait.
constexpr std::chrono::milliseconds kLongestWait(4000);
// People look at a page, and programs at a few: more at once would only hold the engine up.
constexpr int kMostWaiting = 6;
static_assert(kMostWaiting < http::kNumThreads, "scrapes and probes never wait for the engine");

security::Caller CallerOf(const http::Request& request) {
  constexpr absl::string_view kScheme = "Bearer ";
  security::Caller caller;
  if (absl::StartsWithIgnoreCase(request.authorization, kScheme)) {
    caller.token = request.authorization.substr(kScheme.size());
  }
  caller.is_private = request.is_local;
  return caller;
}

absl::Status CheckParameters(const http::Query& query, std::initializer_list<absl::string_view> known) {
  for (const auto& [name, value] : query) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    return ServiceError(absl::StatusCode::kInvalidArgument, v1::ErrorDetail::INVALID_FIELD,
                        absl::StrCat("there is no parameter \"", absl::CHexEscape(name), "\" here",
                                     known.size() == 0 ? "" : "; there is ", absl::StrJoin(known, ", ")));
  }
  return absl::OkStatus();
}

// What the engine is asked for, by any number of threads.
class Api {
 public:
  Api(engine::Engine* engine, security::Gate* gate) : engine_(engine), gate_(gate) {}

  http::Response Jobs(const http::Request& request);
  http::Response Job(const http::Request& request);
  http::Response Load(const http::Request& request);
  http::Response History(const http::Request& request);

 private:
  // Answers with what `ask` says, once the caller is let in. `job` is empty where the method names none.
  http::Response Answer(const http::Request& request, Method method, const std::string& job,
                        std::initializer_list<absl::string_view> parameters,
                        const std::function<Json(const security::Pass&)>& ask);
  Json Ask(const security::Pass& pass, const std::function<Json(const security::Pass&)>& ask);

  engine::Engine* const engine_;
  security::Gate* const gate_;
  std::atomic<int> waiting_{0};
};

http::Response Api::Answer(const http::Request& request, Method method, const std::string& job,
                           std::initializer_list<absl::string_view> parameters,
                           const std::function<Json(const security::Pass&)>& ask) {
  const Json json = [&]() -> Json {
    EVENKEEL_ASSIGN_OR_RETURN(const security::Pass pass, gate_->Admit(CallerOf(request), method, job, /*bytes=*/0,
                                                                      std::chrono::steady_clock::now()));
    EVENKEEL_RETURN_IF_ERROR(CheckParameters(request.query, parameters));
    return Ask(pass, ask);
  }();
  if (!json.ok()) return ErrorResponse(json.status());
  return {200, kJson, *json, {}};
}

Json Api::Ask(const security::Pass& pass, const std::function<Json(const security::Pass&)>& ask) {
  const bool has_room = waiting_.fetch_add(1) < kMostWaiting;
  Json json =
      has_room
          ? ask(pass)
          : Json(ServiceError(absl::StatusCode::kUnavailable, v1::ErrorDetail::LIMIT_EXCEEDED,
                              absl::StrCat("more than ", kMostWaiting, " requests at the same time; ask again later")));
  waiting_.fetch_sub(1);
  return json;
}

http::Response Api::Jobs(const http::Request& request) {
  return Answer(request, Method::kListJobs, "", {}, [this](const security::Pass& pass) -> Json {
    EVENKEEL_ASSIGN_OR_RETURN(v1::ListJobsResponse list,
                              Await<v1::ListJobsResponse>(kLongestWait, [this](auto done) { engine_->List(done); }));
    v1::ListJobsResponse seen;
    for (v1::JobSummary& job : *list.mutable_jobs()) {
      if (pass.MaySee(job.name())) seen.add_jobs()->Swap(&job);
    }
    return MessageJson(seen, JsonLayout::kCompact);
  });
}

http::Response Api::Job(const http::Request& request) {
  const std::string& job = request.wildcards[0];
  return Answer(request, Method::kDescribeJob, job, {}, [&](const security::Pass&) -> Json {
    EVENKEEL_ASSIGN_OR_RETURN(
        const v1::DescribeJobResponse description,
        Await<v1::DescribeJobResponse>(kLongestWait, [&](auto done) { engine_->Describe(job, done); }));
    return MessageJson(description, JsonLayout::kCompact);
  });
}

http::Response Api::Load(const http::Request& request) {
  v1::GetStateRequest question;
  question.set_job(request.wildcards[0]);
  return Answer(request, Method::kGetState, question.job(), {}, [&](const security::Pass&) -> Json {
    EVENKEEL_ASSIGN_OR_RETURN(
        const v1::GetStateResponse answer,
        Await<v1::GetStateResponse>(kLongestWait, [&](auto done) { engine_->GetState(question, done); }));
    EVENKEEL_ASSIGN_OR_RETURN(const job::SnapshotStates states, job::OpenSnapshot(answer.snapshot()));
    return LoadJson(states.state);
  });
}

// What `query` asks for, of the job.
absl::StatusOr<v1::GetHistoryRequest> HistoryQuestion(const std::string& job, const http::Query& query) {
  v1::GetHistoryRequest question;
  question.set_job(job);
  const auto layer = query.find("layer");
  if (layer != query.end()) question.set_layer(layer->second);
  const auto stream = query.find("stream");
  uint32_t number = 0;
  if (stream != query.end() && !absl::SimpleAtoi(stream->second, &number)) {
    return ServiceError(absl::StatusCode::kInvalidArgument, v1::ErrorDetail::INVALID_FIELD,
                        absl::StrCat("stream is \"", absl::CHexEscape(stream->second), "\"; it must be a number"));
  }
  question.set_stream(number);
  return question;
}

http::Response Api::History(const http::Request& request) {
  const std::string& job = request.wildcards[0];
  return Answer(request, Method::kGetHistory, job, {"layer", "stream"}, [&](const security::Pass&) -> Json {
    EVENKEEL_ASSIGN_OR_RETURN(const v1::GetHistoryRequest question, HistoryQuestion(job, request.query));
    EVENKEEL_ASSIGN_OR_RETURN(
        const v1::GetHistoryResponse history,
        Await<v1::GetHistoryResponse>(kLongestWait, [&](auto done) { engine_->GetHistory(question, done); }));
    return MessageJson(history, JsonLayout::kCompact);
  });
}

}  // namespace

std::vector<http::Route> ApiRoutes(engine::Engine* engine, security::Gate* gate) {
  const auto api = std::make_shared<Api>(engine, gate);
  const auto route = [api](const char* path, http::Response (Api::*handler)(const http::Request&)) {
    return http::Route{path, [api, handler](const http::Request& request) { return ((*api).*handler)(request); }};
  };
  return {
      route("/api/v1/jobs", &Api::Jobs),
      route("/api/v1/jobs/*", &Api::Job),
      route("/api/v1/jobs/*/load", &Api::Load),
      route("/api/v1/jobs/*/history", &Api::History),
  };
}

}  // namespace evenkeel::dashboard
