#include "tools/status_command.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "evenkeel/v1/bias_coordinator.grpc.pb.h"
#include "tools/coordinator_call.h"
#include "tools/flags.h"
#include "tools/message_json.h"
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
  --tls-ca, --tls-cert, --tls-key, --tls-name, --token-file  see 'evenkeel token --help'

Example:

  evenkeel status
  evenkeel status --job pretrain-7b
  evenkeel status --job pretrain-7b --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["summary"])'
)";

struct Options {
  CoordinatorOptions coordinator;
  std::string job;
  bool json = false;
};

absl::Status ReadOptions(Args args, Options* options) {
  std::vector<Flag> flags = FlagsOf(&options->coordinator);
  flags.push_back({"job", &options->job});
  flags.push_back({"json", &options->json});
  EVENKEEL_RETURN_IF_ERROR(ParseFlags(args, flags));
  return CheckCoordinator(options->coordinator);
}

absl::StatusOr<std::string> Jobs(const Options& options) {
  v1::ListJobsResponse response;
  EVENKEEL_RETURN_IF_ERROR(CoordinatorCaller(options.coordinator)
                               .Call(&v1::BiasCoordinator::Stub::ListJobs, v1::ListJobsRequest(), &response));
  return options.json ? MessageJson(response) : ShowJobs(response);
}

absl::StatusOr<std::string> Job(const Options& options) {
  v1::DescribeJobRequest request;
  request.set_job(options.job);
  v1::DescribeJobResponse response;
  EVENKEEL_RETURN_IF_ERROR(
      CoordinatorCaller(options.coordinator).Call(&v1::BiasCoordinator::Stub::DescribeJob, request, &response));
  return options.json ? MessageJson(response) : ShowJob(response);
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
