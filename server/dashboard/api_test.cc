#include "server/dashboard/api.h"

#include <stdlib.h>

#include <fstream>
#include <future>
#include <iterator>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/log_event.h"
#include "gmock/gmock.h"
#include "google/protobuf/struct.pb.h"
#include "google/protobuf/util/json_util.h"
#include "gtest/gtest.h"
#include "server/security/identities.h"
#include "server/security/token.h"
#include "server/store/store.h"
#include "server/telemetry/metrics.h"
#include "yaml-cpp/yaml.h"

namespace evenkeel::dashboard {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kReader[] = "reader-token";
constexpr char kWorker[] = "worker-token";

std::string NewStateFolder() {
  std::string folder = absl::StrCat(getenv("TEST_TMPDIR"), "/api_XXXXXX");
  EXPECT_NE(mkdtemp(folder.data()), nullptr);
  return folder;
}

std::shared_ptr<const security::Identities> SomeIdentities() {
  v1::Identities file;
  v1::Identity* reader = file.add_identities();
  reader->set_name("reader");
  reader->set_role(v1::Identity::Role::READER);
  reader->add_jobs("team/*");
  reader->add_token_sha256(security::HexOf(security::HashOf(kReader)));
  v1::Identity* worker = file.add_identities();
  worker->set_name("worker");
  worker->set_role(v1::Identity::Role::WORKER);
  worker->add_jobs("*");
  worker->add_token_sha256(security::HexOf(security::HashOf(kWorker)));
  auto identities = security::Identities::Of(file);
  EXPECT_TRUE(identities.ok()) << identities.status();
  return *identities;
}

// Strictly JSON. Protobuf's maps are of another size where the thread sanitizer is about, so that its Struct may be
// parsed but not looked into; all JSON is YAML.
YAML::Node ReadJson(const std::string& json) {
  google::protobuf::Value value;
  EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(json, &value).ok()) << json;
  return YAML::Load(json);
}

// The names of all fields within `value`, as paths; entries of lists share theirs.
void AddPaths(const YAML::Node& value, const std::string& path, std::set<std::string>* paths) {
  if (value.IsMap()) {
    for (const auto& field : value) {
      const std::string of_field = absl::StrCat(path, "/", field.first.as<std::string>());
      paths->insert(of_field);
      AddPaths(field.second, of_field, paths);
    }
  } else if (value.IsSequence()) {
    for (const YAML::Node& entry : value) AddPaths(entry, path, paths);
  }
}

std::set<std::string> PathsOf(const std::string& json) {
  std::set<std::string> paths;
  AddPaths(ReadJson(json), "", &paths);
  return paths;
}

// What doc/api.md shows for this request.
std::string Documented(const std::string& target) {
  std::ifstream file("doc/api.md");
  const std::string document{std::istreambuf_iterator<char>(file), {}};
  const std::string request = absl::StrCat("\nGET ", target, "\n\n```json\n");
  const size_t begin = document.find(request);
  EXPECT_NE(begin, std::string::npos) << target;
  if (begin == std::string::npos) return "{}";
  const size_t first = begin + request.size();
  return document.substr(first, document.find("\n```", first) - first);
}

// The API over a real engine, with two jobs of one contributor: "team/run", with a layer of two streams and one that
// has a target, and "other".
class ApiTest : public testing::Test {
 protected:
  ApiTest() {
    auto store = store::Store::Open(NewStateFolder());
    EXPECT_TRUE(store.ok()) << store.status();
    auto engine = engine::Engine::Start(v1::CoordinatorConfig(), *std::move(store), &metrics_, /*recorder=*/nullptr,
                                        {[](const LogEvent&) {}, [](const absl::Status&) {}});
    EXPECT_TRUE(engine.ok()) << engine.status();
    engine_ = *std::move(engine);
    routes_ = ApiRoutes(engine_.get(), &gate_);
    Join("team/run");
    Join("other");
  }
  ~ApiTest() override {
    engine_->Drain();
    engine_->Stop();
  }

  void Join(const std::string& job) {
    v1::JoinRequest request;
    request.set_protocol_version(1);
    request.set_incarnation(7);
    request.set_next_step(1);
    request.mutable_job()->set_name(job);
    request.mutable_job()->set_contributors(1);
    v1::LayerSpec* a = request.mutable_job()->add_layers();
    a->set_name("a \"quoted\" <b>");
    a->set_num_experts(2);
    a->set_top_k(1);
    a->set_streams(2);
    v1::LayerSpec* b = request.mutable_job()->add_layers();
    b->set_name("b");
    b->set_num_experts(3);
    b->set_top_k(1);
    v1::LayerOverride* override_b = request.mutable_job()->add_overrides();
    override_b->set_layer("b");
    for (const float share : {0.75f, 0.25f, -1.0f}) override_b->mutable_balance()->add_target(share);
    std::promise<absl::Status> joined;
    engine_->Join(request, [&](absl::StatusOr<v1::JoinResponse> response) { joined.set_value(response.status()); });
    const absl::Status status = joined.get_future().get();
    EXPECT_TRUE(status.ok()) << status;
  }

  void Push(const std::string& job, const std::vector<uint32_t>& counts, const std::vector<uint64_t>& tokens) {
    v1::PushRequest push;
    push.set_job(job);
    push.set_incarnation(7);
    push.set_epoch(1);
    push.set_step(1);
    push.set_ok(true);
    push.mutable_routed_with()->set_epoch(1);
    for (const uint64_t valid : tokens) push.add_valid_tokens(valid);
    for (const uint32_t count : counts) push.mutable_routed()->add_low(count);
    std::promise<absl::Status> pushed;
    engine_->Push(push, [&](absl::StatusOr<std::shared_ptr<const v1::CommittedVersion>> reply, bool) {
      pushed.set_value(reply.status());
    });
    const absl::Status status = pushed.get_future().get();
    EXPECT_TRUE(status.ok()) << status;
  }

  http::Response Get(const std::string& path, const std::string& token = "", const std::string& query = "") {
    http::Request request;
    request.is_local = true;
    if (!token.empty()) request.authorization = absl::StrCat("Bearer ", token);
    return http::Answer(routes_, "GET", path, query, request);
  }

  template <typename Message>
  static Message Parse(const http::Response& response) {
    EXPECT_EQ(response.status, 200) << response.body;
    return ParseBody<Message>(response);
  }
  template <typename Message>
  static Message ParseBody(const http::Response& response) {
    EXPECT_EQ(response.type, "application/json");
    Message message;
    EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(response.body, &message).ok()) << response.body;
    return message;
  }
  static std::string ErrorField(const http::Response& response, const std::string& name) {
    EXPECT_EQ(response.type, "application/json");
    return ReadJson(response.body)[name].as<std::string>();
  }
  static std::vector<std::string> JobsOf(const http::Response& response) {
    std::vector<std::string> names;
    const auto list = Parse<v1::ListJobsResponse>(response);
    for (const v1::JobSummary& job : list.jobs()) names.push_back(job.name());
    return names;
  }

  telemetry::Metrics metrics_;
  security::Gate gate_{[](const LogEvent&) {}};
  std::unique_ptr<engine::Engine> engine_;
  std::vector<http::Route> routes_;
};

TEST_F(ApiTest, ListsTheJobs) { EXPECT_THAT(JobsOf(Get("/api/v1/jobs")), ElementsAre("other", "team/run")); }

TEST_F(ApiTest, DescribesAJobWhoseNameHoldsASlash) {
  Push("team/run", {1, 3, 4, 4, 5, 3, 2}, {4, 8, 10});
  const auto job = Parse<v1::DescribeJobResponse>(Get("/api/v1/jobs/team%2Frun"));
  EXPECT_EQ(job.summary().name(), "team/run");
  EXPECT_EQ(job.summary().version().step(), 1);
  ASSERT_EQ(job.layers_size(), 3);
  EXPECT_EQ(job.layers(0).name(), "a \"quoted\" <b>");
  EXPECT_DOUBLE_EQ(job.layers(0).max_violation(), 0.5);
  EXPECT_EQ(job.layers(1).stream(), 1);
  EXPECT_EQ(Get("/api/v1/jobs/team/run").status, 404);
}

TEST_F(ApiTest, TellsTheLoadOfEveryExpert) {
  Push("team/run", {1, 3, 4, 4, 5, 3, 2}, {4, 8, 10});
  const http::Response answer = Get("/api/v1/jobs/team%2Frun/load");
  ASSERT_EQ(answer.status, 200) << answer.body;
  const YAML::Node load = ReadJson(answer.body);
  EXPECT_EQ(load["version"]["step"].as<std::string>(), "1");
  const YAML::Node rows = load["layers"];
  ASSERT_EQ(rows.size(), 3u);
  const auto numbers = [&](int row, const char* field) {
    std::vector<double> values;
    for (const YAML::Node& value : rows[row][field]) values.push_back(value.IsNull() ? 0 : value.as<double>());
    return values;
  };
  EXPECT_EQ(rows[0]["name"].as<std::string>(), "a \"quoted\" <b>");
  EXPECT_EQ(rows[0]["stream"].as<int>(), 0);
  EXPECT_EQ(rows[1]["stream"].as<int>(), 1);
  EXPECT_EQ(rows[0]["tokens"].as<int>(), 4);
  EXPECT_THAT(numbers(0, "counts"), ElementsAre(1, 3));
  EXPECT_EQ(rows[0]["wanted"].as<double>(), 2);
  EXPECT_THAT(numbers(2, "counts"), ElementsAre(5, 3, 2));
  EXPECT_THAT(numbers(2, "wanted"), ElementsAre(7.5, 2.5, 0));
  EXPECT_TRUE(rows[2]["wanted"][2].IsNull());

  // The bias that the workers have, to the bit.
  v1::GetStateRequest question;
  question.set_job("team/run");
  std::promise<v1::JobState> told;
  engine_->GetState(question, [&](absl::StatusOr<v1::GetStateResponse> answer) {
    v1::JobState state;
    EXPECT_TRUE(answer.ok() && state.ParseFromString(answer->snapshot().state()));
    told.set_value(state);
  });
  const v1::JobState state = told.get_future().get();
  for (int row = 0; row < 3; ++row) {
    const std::vector<double> bias = numbers(row, "bias");
    ASSERT_EQ(bias.size(), state.layers(row).bias_size());
    for (size_t i = 0; i < bias.size(); ++i) {
      EXPECT_EQ(static_cast<float>(bias[i]), state.layers(row).bias(static_cast<int>(i)));
    }
  }
  EXPECT_NE(state.layers(0).bias(0), 0);
}

TEST_F(ApiTest, TellsTheHistory) {
  Push("team/run", {1, 3, 4, 4, 5, 3, 2}, {4, 8, 10});
  const std::string path = "/api/v1/jobs/team%2Frun/history";
  const auto history = Parse<v1::GetHistoryResponse>(Get(path));
  EXPECT_THAT(history.steps(), ElementsAre(1));
  ASSERT_EQ(history.rows_size(), 3);
  EXPECT_FLOAT_EQ(history.max_violation(0), 0.5);
  EXPECT_EQ(history.bias_size(), 0);

  const auto of_layer = Parse<v1::GetHistoryResponse>(Get(path, "", "layer=a%20%22quoted%22%20%3Cb%3E&stream=1"));
  EXPECT_GT(of_layer.bias_steps_size(), 0);
  EXPECT_EQ(of_layer.bias_size(), 2 * of_layer.bias_steps_size());

  EXPECT_EQ(Get(path, "", "layer=nobody").status, 400);
  EXPECT_EQ(Get(path, "", "stream=-1").status, 400);
  EXPECT_THAT(ErrorField(Get(path, "", "stream=x"), "message"), HasSubstr("\"x\""));
  EXPECT_EQ(Get("/api/v1/jobs/nobody/history").status, 404);
}

TEST_F(ApiTest, AJobThatHasCommittedNothingHasALoadOfZeros) {
  const http::Response load = Get("/api/v1/jobs/other/load");
  EXPECT_EQ(load.status, 200) << load.body;
  EXPECT_EQ(ReadJson(load.body)["layers"][0]["wanted"].as<double>(), 0);
}

// Strictly: a field that there is not, or of another type, is an error.
template <typename Message>
bool IsOf(const std::string& json) {
  Message message;
  return google::protobuf::util::JsonStringToMessage(json, &message).ok();
}

TEST_F(ApiTest, AnswersAreAsDocumented) {
  Push("team/run", {1, 3, 4, 4, 5, 3, 2}, {4, 8, 10});
  EXPECT_TRUE(IsOf<v1::ListJobsResponse>(Documented("/api/v1/jobs")));
  EXPECT_TRUE(IsOf<v1::DescribeJobResponse>(Documented("/api/v1/jobs/team%2Frun")));
  EXPECT_TRUE(IsOf<v1::GetHistoryResponse>(Documented("/api/v1/jobs/team%2Frun/history?layer=layers.0.gate")));

  const std::string layer = "layer=b";
  EXPECT_EQ(PathsOf(Documented("/api/v1/jobs")), PathsOf(Get("/api/v1/jobs").body));
  EXPECT_EQ(PathsOf(Documented("/api/v1/jobs/team%2Frun/load")), PathsOf(Get("/api/v1/jobs/team%2Frun/load").body));
  EXPECT_EQ(PathsOf(Documented("/api/v1/jobs/team%2Frun/history?layer=layers.0.gate")),
            PathsOf(Get("/api/v1/jobs/team%2Frun/history", "", layer).body));
  EXPECT_EQ(PathsOf(Documented("/api/v1/jobs/nobody")), PathsOf(Get("/api/v1/jobs/nobody").body));

  // What the job was made with is job.proto's to explain, and figures come with heartbeats.
  const std::set<std::string> documented = PathsOf(Documented("/api/v1/jobs/team%2Frun"));
  for (const std::string& path : PathsOf(Get("/api/v1/jobs/team%2Frun").body)) {
    EXPECT_TRUE(documented.count(path) == 1 || absl::StartsWith(path, "/effective/")) << path;
  }
  EXPECT_EQ(documented.count("/contributors/figures/staleness"), 1);
}

TEST_F(ApiTest, ErrorsHaveCodeReasonAndMessage) {
  const http::Response unknown = Get("/api/v1/jobs/nobody");
  EXPECT_EQ(unknown.status, 404);
  EXPECT_EQ(ErrorField(unknown, "code"), "NOT_FOUND");
  EXPECT_EQ(ErrorField(unknown, "reason"), "JOB_UNKNOWN");
  EXPECT_THAT(ErrorField(unknown, "message"), HasSubstr("nobody"));
  EXPECT_EQ(Get("/api/v1/jobs/nobody/load").status, 404);

  const http::Response parameter = Get("/api/v1/jobs", "", "colour=%22red");
  EXPECT_EQ(parameter.status, 400);
  EXPECT_EQ(ErrorField(parameter, "reason"), "INVALID_FIELD");
  EXPECT_THAT(ErrorField(parameter, "message"), HasSubstr("\"colour\""));
}

TEST_F(ApiTest, NamesOfStrangersAreNothingButNames) {
  for (const char* path : {"/api/v1/jobs/%22%5C%3Cscript%3E%0A", "/api/v1/jobs/..%2F..%2Fetc%2Fpasswd",
                           "/api/v1/jobs/%ff%fe/load", "/api/v1/jobs/%27%3B--"}) {
    const http::Response response = Get(path);
    EXPECT_EQ(response.status, 404) << path;
    EXPECT_EQ(ErrorField(response, "reason"), "JOB_UNKNOWN");
  }
}

TEST_F(ApiTest, WithIdentitiesATokenIsAskedFor) {
  gate_.SetIdentities(SomeIdentities());
  for (const char* path : {"/api/v1/jobs", "/api/v1/jobs/other", "/api/v1/jobs/other/load",
                           "/api/v1/jobs/other/history", "/api/v1/jobs/nobody"}) {
    for (const std::string token : {"", "wrong"}) {
      const http::Response response = Get(path, token);
      EXPECT_EQ(response.status, 401) << path;
      EXPECT_EQ(ErrorField(response, "reason"), "NOT_KNOWN");
      ASSERT_EQ(response.fields.size(), 1);
      EXPECT_EQ(response.fields[0].name, "WWW-Authenticate");
    }
  }
  // Nor is one taken from where it would be logged.
  EXPECT_EQ(Get("/api/v1/jobs", "", absl::StrCat("token=", kReader)).status, 401);
}

TEST_F(ApiTest, AReaderSeesItsJobsAndNoOthers) {
  gate_.SetIdentities(SomeIdentities());
  EXPECT_THAT(JobsOf(Get("/api/v1/jobs", kReader)), ElementsAre("team/run"));
  EXPECT_EQ(Get("/api/v1/jobs/team%2Frun", kReader).status, 200);
  EXPECT_EQ(Get("/api/v1/jobs/team%2Frun/load", kReader).status, 200);
  for (const char* path :
       {"/api/v1/jobs/other", "/api/v1/jobs/other/load", "/api/v1/jobs/other/history", "/api/v1/jobs/nobody"}) {
    EXPECT_EQ(Get(path, kReader).status, 403) << path;
  }
  // A worker may not look around.
  EXPECT_EQ(Get("/api/v1/jobs", kWorker).status, 403);
  EXPECT_EQ(Get("/api/v1/jobs/other", kWorker).status, 403);
}

TEST_F(ApiTest, ATokenThatOthersCouldReadIsRefused) {
  gate_.SetIdentities(SomeIdentities());
  http::Request request;
  request.authorization = absl::StrCat("Bearer ", kReader);
  const http::Response response = http::Answer(routes_, "GET", "/api/v1/jobs", "", request);
  EXPECT_EQ(response.status, 401);
  EXPECT_THAT(ErrorField(response, "message"), HasSubstr("not encrypted"));
}

TEST_F(ApiTest, AnEngineThatIsDrainedSaysSo) {
  engine_->Drain();
  const http::Response response = Get("/api/v1/jobs");
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(ErrorField(response, "reason"), "SHUTTING_DOWN");
}

}  // namespace
}  // namespace evenkeel::dashboard
