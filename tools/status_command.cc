#include "tools/status_command.h"

#include <limits>
#include <set>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/message_json.h"
#include "base/status_macros.h"
#include "evenkeel/v1/bias_coordinator.grpc.pb.h"
#include "tools/coordinator_call.h"
#include "tools/flags.h"
#include "tools/status_view.h"

namespace evenkeel::tools {
namespace {

constexpr absl::string_view kHelp =
    R"(evenkeel status: what a running coordinator knows about its jobs, what stands out first.

  evenkeel status [--coordinator HOST:PORT] [--job NAME] [--layers all|N] [--contributors all|N] [--sort ORDER]
                  [--json] [--timeout SECONDS]

  --coordinator HOST:PORT  absent: 127.0.0.1:7411
  --job NAME               one job, with its contributors and layers; absent: a line for each job, those that need
                           somebody first
  --layers all|N           how many layers are shown; absent: 10
  --contributors all|N     how many of the contributors that are in order are shown; absent: 16. The others always are
  --sort violation|name    the layers in this order; absent: violation, the most uneven first
  --json                   the answer as JSON, for scripts: a ListJobsResponse, or a DescribeJobResponse with --job,
                           whole, in the coordinator's order; 64-bit numbers are strings, as in all protobuf JSON
  --timeout SECONDS        how long to wait for the answer; absent: 5
  --tls-ca, --tls-cert, --tls-key, --tls-name, --token-file  see 'evenkeel token --help'

A line that begins with "!" is something that stands out: a halt, a failure, who keeps the step, numbers that cannot be
right, workers of different versions, experts without a token, layers far (more than 4 times) above their noise floor,
which is the max violation that a perfectly even router would have at so many tokens, and biases at their cap. No such
line: all is in order. doc/operations.md says what to do.

Max violation is the load of the fullest expert less 1: 0 is even, 1 is twice its share.

Example:

  evenkeel status
  evenkeel status --job pretrain-7b
  evenkeel status --job pretrain-7b --layers all --sort name
  evenkeel status --job pretrain-7b --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["summary"])'
)";

struct Options {
  CoordinatorOptions coordinator;
  std::string job;
  std::string layers = "10";
  std::string contributors = "16";
  std::string sort = "violation";
  bool json = false;
  JobViewOptions view;
};

// "all", or a number.
absl::Status ReadNumber(absl::string_view flag, const std::string& text, size_t* number) {
  int value = 0;
  if (text == "all") {
    *number = std::numeric_limits<size_t>::max();
  } else if (absl::SimpleAtoi(text, &value) && value >= 0) {
    *number = static_cast<size_t>(value);
  } else {
    return absl::InvalidArgumentError(absl::StrCat("--", flag, ": \"", text, "\" is neither all nor a number"));
  }
  return absl::OkStatus();
}

absl::Status ReadOptions(Args args, Options* options) {
  std::vector<Flag> flags = FlagsOf(&options->coordinator);
  flags.push_back({"job", &options->job});
  flags.push_back({"layers", &options->layers});
  flags.push_back({"contributors", &options->contributors});
  flags.push_back({"sort", &options->sort});
  flags.push_back({"json", &options->json});
  EVENKEEL_RETURN_IF_ERROR(ParseFlags(args, flags));
  EVENKEEL_RETURN_IF_ERROR(ReadNumber("layers", options->layers, &options->view.layers));
  EVENKEEL_RETURN_IF_ERROR(ReadNumber("contributors", options->contributors, &options->view.contributors));
  if (options->sort != "violation" && options->sort != "name") {
    return absl::InvalidArgumentError(absl::StrCat("--sort: \"", options->sort, "\" is none of violation, name"));
  }
  options->view.by_name = options->sort == "name";
  return CheckCoordinator(options->coordinator);
}

// Those of the jobs that are halted, which a list does not tell. A job that cannot be described now is passed over; one
// that nobody has joined is in nobody's way.
std::set<std::string> HaltedJobs(const v1::ListJobsResponse& jobs, CoordinatorCaller* caller) {
  std::set<std::string> halted;
  for (const v1::JobSummary& job : jobs.jobs()) {
    if (job.joined() == 0) continue;
    v1::DescribeJobRequest request;
    request.set_job(job.name());
    v1::DescribeJobResponse response;
    const absl::Status status = caller->Call(&v1::BiasCoordinator::Stub::DescribeJob, request, &response);
    if (status.ok() && response.has_halt()) halted.insert(job.name());
  }
  return halted;
}

absl::StatusOr<std::string> Jobs(const Options& options) {
  CoordinatorCaller caller(options.coordinator);
  v1::ListJobsResponse response;
  EVENKEEL_RETURN_IF_ERROR(caller.Call(&v1::BiasCoordinator::Stub::ListJobs, v1::ListJobsRequest(), &response));
  if (options.json) return MessageJson(response);
  return ShowJobs(response, HaltedJobs(response, &caller));
}

absl::StatusOr<std::string> Job(const Options& options) {
  v1::DescribeJobRequest request;
  request.set_job(options.job);
  v1::DescribeJobResponse response;
  EVENKEEL_RETURN_IF_ERROR(
      CoordinatorCaller(options.coordinator).Call(&v1::BiasCoordinator::Stub::DescribeJob, request, &response));
  return options.json ? MessageJson(response) : ShowJob(response, options.view);
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
