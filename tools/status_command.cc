#include "tools/status_command.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <limits>
#include <memory>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/error_detail.h"
#include "base/grpc_status.h"
#include "base/status_macros.h"
#include "evenkeel/v1/bias_coordinator.grpc.pb.h"
#include "google/protobuf/util/json_util.h"
#include "tools/flags.h"
#include "tools/status_view.h"

namespace evenkeel::tools {
namespace {

constexpr absl::string_view kHelp = R"(evenkeel status: what a running coordinator knows about its jobs.

  evenkeel status [--coordinator HOST:PORT] [--job NAME] [--json] [--timeout SECONDS]

  --coordinator HOST:PORT  absent: 127.0.0.1:7411
  --job NAME               one job, with its contributors and layers; absent: a line for each job
  --json                   the answer as JSON, for scripts: a ListJobsResponse, or a DescribeJobResponse with --job;
                           64-bit numbers are strings, as in all protobuf JSON
  --timeout SECONDS        how long to wait for the answer; absent: 5

Example:

  evenkeel status
  evenkeel status --job pretrain-7b
  evenkeel status --job pretrain-7b --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["summary"])'
)";

struct Options {
  std::string coordinator = "127.0.0.1:7411";
  std::string job;
  bool json = false;
  double timeout = 5;
};

absl::Status CheckAddress(const std::string& address) {
  constexpr int kMaxPort = 65535;
  const size_t colon = address.rfind(':');
  int port = 0;
  if (colon != std::string::npos && colon > 0 && absl::SimpleAtoi(address.substr(colon + 1), &port) && port >= 1 &&
      port <= kMaxPort) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("--coordinator: \"", address, "\" is not HOST:PORT with a port from 1 to ", kMaxPort));
}

absl::Status ReadOptions(Args args, Options* options) {
  constexpr double kMaxSeconds = 86400;
  const Flag flags[] = {
      {"coordinator", &options->coordinator},
      {"job", &options->job},
      {"json", &options->json},
      {"timeout", &options->timeout},
  };
  EVENKEEL_RETURN_IF_ERROR(ParseFlags(args, flags));
  EVENKEEL_RETURN_IF_ERROR(CheckAddress(options->coordinator));
  if (options->timeout > 0 && options->timeout <= kMaxSeconds) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("--timeout: ", options->timeout, " is not above 0 and at most ", kMaxSeconds, " seconds"));
}

// One call to one coordinator.
class Caller {
 public:
  explicit Caller(const Options& options) : options_(options) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    // The description of a job with many contributors is larger than gRPC's default.
    arguments.SetMaxReceiveMessageSize(std::numeric_limits<int>::max());
    stub_ = v1::BiasCoordinator::NewStub(
        grpc::CreateCustomChannel(options.coordinator, grpc::InsecureChannelCredentials(), arguments));
  }

  template <typename Method, typename Request, typename Response>
  absl::Status Call(Method method, const Request& request, Response* response) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() +
                         std::chrono::microseconds(static_cast<int64_t>(options_.timeout * 1e6)));
    return Explained(FromGrpcStatus((stub_.get()->*method)(&context, request, response)));
  }

 private:
  // With what to do next, where this side knows it.
  absl::Status Explained(const absl::Status& status) const {
    std::string text;
    if (status.code() == absl::StatusCode::kUnavailable && ReasonOf(status) == v1::ErrorDetail::REASON_UNSPECIFIED) {
      text = absl::StrCat("no coordinator answers at ", options_.coordinator, " (", status.message(),
                          "); start one with 'evenkeeld --state_dir DIR', or name another by --coordinator HOST:PORT");
    } else if (status.code() == absl::StatusCode::kDeadlineExceeded) {
      text = absl::StrCat("the coordinator at ", options_.coordinator, " did not answer within ", options_.timeout,
                          " s; it is busy, or this is no coordinator; wait longer by --timeout SECONDS");
    } else if (ReasonOf(status) == v1::ErrorDetail::JOB_UNKNOWN) {
      text = absl::StrCat(status.message(), "; 'evenkeel status' without --job lists the jobs there are");
    } else {
      return status;
    }
    return absl::Status(status.code(), text);
  }

  const Options& options_;
  std::unique_ptr<v1::BiasCoordinator::Stub> stub_;
};

absl::StatusOr<std::string> Json(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions print;
  print.add_whitespace = true;
  print.always_print_primitive_fields = true;
  print.preserve_proto_field_names = true;
  std::string text;
  const auto status = google::protobuf::util::MessageToJsonString(message, &text, print);
  if (!status.ok()) return absl::InternalError(absl::StrCat("the answer is not JSON: ", status.ToString()));
  return text;
}

absl::StatusOr<std::string> Jobs(const Options& options) {
  v1::ListJobsResponse response;
  EVENKEEL_RETURN_IF_ERROR(
      Caller(options).Call(&v1::BiasCoordinator::Stub::ListJobs, v1::ListJobsRequest(), &response));
  return options.json ? Json(response) : ShowJobs(response);
}

absl::StatusOr<std::string> Job(const Options& options) {
  v1::DescribeJobRequest request;
  request.set_job(options.job);
  v1::DescribeJobResponse response;
  EVENKEEL_RETURN_IF_ERROR(Caller(options).Call(&v1::BiasCoordinator::Stub::DescribeJob, request, &response));
  return options.json ? Json(response) : ShowJob(response);
}

int Run(Args args, Streams streams) {
  Options options;
  const absl::Status usage = ReadOptions(args, &options);
  if (!usage.ok()) return RefuseUsage("status", usage, streams.err);
  const absl::StatusOr<std::string> text = options.job.empty() ? Jobs(options) : Job(options);
  if (text.ok()) streams.out << *text;
  return Finish("status", text.status(), streams.err);
}

}  // namespace

const Command kStatusCommand = {"status", "what a running coordinator knows about its jobs", kHelp, Run};

}  // namespace evenkeel::tools
