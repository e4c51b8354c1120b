// What the C ABI adds to the worker it is made of: null pointers, sizes, defaults, and where errors go.

#include <string>
#include <vector>

#include "client/link/scripted_coordinator.h"
#include "evenkeel/evenkeel.h"
#include "evenkeel/worker.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel {
namespace {

using ::testing::HasSubstr;

constexpr int kExperts = 4;

class CApiTest : public ::testing::Test {
 protected:
  CApiTest() : address_(coordinator_.address()) {
    evenkeel_layer_options_init(&layer_, sizeof(layer_));
    layer_.name = "layer";
    layer_.num_experts = kExperts;
    layer_.top_k = 2;
    layer_.route = R"({"score": "SIGMOID"})";
    evenkeel_worker_options_init(&options_, sizeof(options_));
    options_.coordinator = address_.c_str();
    options_.job = "run";
    options_.layers = &layer_;
    options_.num_layers = 1;
  }

  ~CApiTest() override { evenkeel_worker_destroy(worker_); }

  void Join() { ASSERT_EQ(evenkeel_worker_join(&options_, &worker_), EVENKEEL_OK) << evenkeel_last_error(); }

  static void ExpectRefused(evenkeel_status status, const std::string& named) {
    EXPECT_EQ(status, EVENKEEL_INVALID_ARGUMENT);
    EXPECT_THAT(evenkeel_last_error(), HasSubstr(named));
  }

  client::ScriptedCoordinator coordinator_;
  const std::string address_;
  evenkeel_layer_options layer_;
  evenkeel_worker_options options_;
  evenkeel_worker* worker_ = nullptr;
};

TEST_F(CApiTest, HasTheVersionOfItsHeader) {
  EXPECT_EQ(evenkeel_api_version(), EVENKEEL_API_VERSION);
  EXPECT_STRNE(evenkeel_library_version(), "");
}

TEST_F(CApiTest, DefaultsAreThoseOfTheCppHeader) {
  evenkeel_worker_options options;
  evenkeel_worker_options_init(&options, sizeof(options));
  const WorkerOptions defaults;
  EXPECT_EQ(options.coordinator, defaults.coordinator);
  EXPECT_EQ(options.rank, defaults.rank);
  EXPECT_EQ(options.world_size, defaults.world_size);
  EXPECT_EQ(options.next_step, defaults.next_step);
  EXPECT_EQ(options.join_timeout_ms, defaults.join_timeout.count());
  EXPECT_EQ(options.begin_step_timeout_ms, defaults.begin_step_timeout.count());
  EXPECT_EQ(options.group_index, defaults.group.index);
  EXPECT_EQ(options.group_count, defaults.group.count);
  EXPECT_EQ(options.group_timeout_ms, defaults.group.timeout.count());
  EXPECT_EQ(options.allow_divergence, 0);
}

TEST_F(CApiTest, RunsAStep) {
  Join();
  ASSERT_EQ(evenkeel_begin_step(worker_, 1), EVENKEEL_OK);
  const std::vector<float> logits = {3, 2, 1, 0, 0, 0, 0, 9};
  std::vector<int32_t> ids(4, -7);
  std::vector<float> weights(4, -7);
  evenkeel_tokens tokens;
  evenkeel_tokens_init(&tokens, sizeof(tokens));
  tokens.rows = 2;
  tokens.logits = logits.data();
  evenkeel_assignments assignments;
  evenkeel_assignments_init(&assignments, sizeof(assignments));
  assignments.ids = ids.data();
  assignments.weights = weights.data();
  ASSERT_EQ(evenkeel_route(worker_, 0, &tokens, &assignments), EVENKEEL_OK) << evenkeel_last_error();
  // The bias of the script is 0, 1/8, 2/8, 3/8; the scores of the first row are 0.95, 0.88, 0.73 and 0.5.
  EXPECT_THAT(ids, testing::ElementsAre(1, 2, 3, 2));
  const std::vector<int32_t> more = {1, 2};
  evenkeel_ids chosen;
  evenkeel_ids_init(&chosen, sizeof(chosen));
  chosen.rows = 1;
  chosen.ids = more.data();
  ASSERT_EQ(evenkeel_count(worker_, 0, &chosen), EVENKEEL_OK);
  const std::vector<uint64_t> sums = {0, 0, 5, 5};
  evenkeel_counts counted;
  evenkeel_counts_init(&counted, sizeof(counted));
  counted.counts = sums.data();
  counted.valid_tokens = 5;
  ASSERT_EQ(evenkeel_add_counts(worker_, 0, &counted), EVENKEEL_OK);
  ASSERT_EQ(evenkeel_commit(worker_, 1, 1), EVENKEEL_OK);
  ASSERT_EQ(evenkeel_leave(worker_), EVENKEEL_OK);

  const v1::PushRequest push = coordinator_.Pushes().at(0);
  EXPECT_TRUE(push.ok());
  EXPECT_THAT(push.routed().low(), testing::ElementsAre(0, 2, 8, 6));
  evenkeel_report report;
  evenkeel_report_init(&report, sizeof(report));
  ASSERT_EQ(evenkeel_read_report(worker_, &report), EVENKEEL_OK);
  EXPECT_EQ(report.epoch, 1);
  EXPECT_EQ(report.step, 1);
  EXPECT_EQ(report.bias_hash, coordinator_.VersionOf(1, 1).state_hash());
  ASSERT_EQ(report.num_layers, 1);
  EXPECT_EQ(report.max_violation[0], 1.0f);
}

TEST_F(CApiTest, CommitSaysWhetherTheStepWasTaken) {
  Join();
  ASSERT_EQ(evenkeel_begin_step(worker_, 1), EVENKEEL_OK);
  ASSERT_EQ(evenkeel_commit(worker_, 1, 0), EVENKEEL_OK);
  ASSERT_EQ(evenkeel_leave(worker_), EVENKEEL_OK);
  EXPECT_FALSE(coordinator_.Pushes().at(0).ok());
  evenkeel_report report;
  evenkeel_report_init(&report, sizeof(report));
  ASSERT_EQ(evenkeel_read_report(worker_, &report), EVENKEEL_OK);
  EXPECT_EQ(report.ok, 0);
}

TEST_F(CApiTest, TellsOfEveryCommit) {
  std::vector<evenkeel_figures> told;
  options_.on_commit = [](const evenkeel_figures* figures, void* context) {
    static_cast<std::vector<evenkeel_figures>*>(context)->push_back(*figures);
  };
  options_.on_commit_context = &told;
  Join();
  ASSERT_EQ(evenkeel_set_counting(worker_, EVENKEEL_COUNTING_DRY_RUN), EVENKEEL_OK);
  ASSERT_EQ(evenkeel_begin_step(worker_, 1), EVENKEEL_OK);
  ASSERT_EQ(evenkeel_commit(worker_, 1, 1), EVENKEEL_OK);
  EXPECT_EQ(told.size(), 0u) << "of which nothing remains";
  ASSERT_EQ(evenkeel_set_counting(worker_, EVENKEEL_COUNTING_REPLAY), EVENKEEL_OK);
  ASSERT_EQ(evenkeel_begin_step(worker_, 1), EVENKEEL_OK);
  ASSERT_EQ(evenkeel_commit(worker_, 1, 1), EVENKEEL_OK);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].struct_size, sizeof(evenkeel_figures));
  EXPECT_EQ(told[0].step, 1u);
  EXPECT_EQ(told[0].staleness, 0u);
  EXPECT_GT(told[0].commit_host_ns, 0);
  EXPECT_EQ(told[0].counting, EVENKEEL_COUNTING_REPLAY);
  ASSERT_EQ(evenkeel_leave(worker_), EVENKEEL_OK);
}

TEST_F(CApiTest, TheCppHeaderTellsOfEveryCommit) {
  WorkerOptions options;
  options.coordinator = address_;
  options.job = "run";
  LayerOptions layer;
  layer.name = "layer";
  layer.num_experts = kExperts;
  layer.top_k = 2;
  options.layers = {layer};
  std::vector<WorkerFigures> told;
  options.on_commit = [&told](const WorkerFigures& figures) { told.push_back(figures); };
  Result<std::unique_ptr<Worker>> worker = Worker::Join(options);
  ASSERT_TRUE(worker.ok()) << worker.status().message();
  for (uint64_t step = 1; step <= 3; ++step) {
    ASSERT_TRUE((*worker)->BeginStep(step).ok());
    ASSERT_TRUE((*worker)->Commit(step).ok());
  }
  ASSERT_EQ(told.size(), 3u);
  for (uint64_t step = 1; step <= 3; ++step) {
    EXPECT_EQ(told[step - 1].step, step);
    EXPECT_GT(told[step - 1].commit_host_time.count(), 0);
    EXPECT_EQ(told[step - 1].counting, Counting::kTrain);
  }
  ASSERT_TRUE((*worker)->Leave().ok());
}

TEST_F(CApiTest, ANullPointerIsAnError) {
  ExpectRefused(evenkeel_worker_join(nullptr, &worker_), "evenkeel_worker_options is null");
  ExpectRefused(evenkeel_worker_join(&options_, nullptr), "worker is null");
  ExpectRefused(evenkeel_begin_step(nullptr, 1), "worker is null");
  ExpectRefused(evenkeel_route(nullptr, 0, nullptr, nullptr), "worker is null");
  ExpectRefused(evenkeel_count(nullptr, 0, nullptr), "worker is null");
  ExpectRefused(evenkeel_add_counts(nullptr, 0, nullptr), "worker is null");
  ExpectRefused(evenkeel_count_dispatched(nullptr, 0, nullptr), "worker is null");
  ExpectRefused(evenkeel_add_dispatched(nullptr, 0, nullptr), "worker is null");
  EXPECT_EQ(evenkeel_stream_bias(nullptr, 0, 0), nullptr);
  ExpectRefused(evenkeel_commit(nullptr, 1, 1), "worker is null");
  ExpectRefused(evenkeel_read_report(nullptr, nullptr), "worker is null");
  ExpectRefused(evenkeel_leave(nullptr), "worker is null");
  EXPECT_EQ(evenkeel_bias(nullptr, 0), nullptr);
  EXPECT_STREQ(evenkeel_summary(nullptr), "");
  evenkeel_worker_destroy(nullptr);

  Join();
  ASSERT_EQ(evenkeel_begin_step(worker_, 1), EVENKEEL_OK);
  ExpectRefused(evenkeel_route(worker_, 0, nullptr, nullptr), "evenkeel_tokens is null");
  ExpectRefused(evenkeel_count(worker_, 0, nullptr), "evenkeel_ids is null");
  ExpectRefused(evenkeel_route_backward(worker_, 0, nullptr, nullptr), "evenkeel_tokens is null");
  EXPECT_EQ(evenkeel_set_stream(worker_, nullptr), EVENKEEL_FAILED_PRECONDITION);
  EXPECT_THAT(evenkeel_last_error(), testing::HasSubstr("has no device"));
  ExpectRefused(evenkeel_add_counts(worker_, 0, nullptr), "evenkeel_counts is null");
  ExpectRefused(evenkeel_count_dispatched(worker_, 0, nullptr), "evenkeel_ids is null");
  ExpectRefused(evenkeel_add_dispatched(worker_, 0, nullptr), "evenkeel_counts is null");
  EXPECT_EQ(evenkeel_stream_bias(worker_, 0, 0), evenkeel_bias(worker_, 0));
  EXPECT_EQ(evenkeel_stream_bias(worker_, 0, 1), nullptr);
  ExpectRefused(evenkeel_read_report(worker_, nullptr), "evenkeel_report is null");
}

TEST_F(CApiTest, OptionsThatWereNotSetUp) {
  options_.struct_size = 0;
  ExpectRefused(evenkeel_worker_join(&options_, &worker_), "begin with evenkeel_worker_options_init");
  EXPECT_EQ(worker_, nullptr);
  options_.struct_size = sizeof(options_);
  layer_.struct_size = 0;
  ExpectRefused(evenkeel_worker_join(&options_, &worker_), "begin with evenkeel_layer_options_init");
  layer_.struct_size = sizeof(layer_);
  options_.layers = nullptr;
  ExpectRefused(evenkeel_worker_join(&options_, &worker_), "evenkeel_layer_options is null");
  options_.num_layers = 0;
  ExpectRefused(evenkeel_worker_join(&options_, &worker_), "layers is empty");
}

TEST_F(CApiTest, LayersAreAsFarApartAsTheProgramSays) {
  struct Longer {
    evenkeel_layer_options known;
    uint64_t later;
  };
  std::vector<Longer> layers(2, {layer_, 0});
  for (Longer& layer : layers) layer.known.struct_size = sizeof(Longer);
  layers[1].known.name = "another";
  options_.layers = &layers[0].known;
  options_.num_layers = 2;
  Join();
  EXPECT_NE(evenkeel_bias(worker_, 1), nullptr);

  evenkeel_worker* second = nullptr;
  layers[1].known.struct_size = sizeof(evenkeel_layer_options);
  ExpectRefused(evenkeel_worker_join(&options_, &second), "layers[1].struct_size is 64, that of layers[0] 72");
  layers[1].known.struct_size = sizeof(Longer);
  layers[1].later = 1;
  ExpectRefused(evenkeel_worker_join(&options_, &second), "does not know");
}

TEST_F(CApiTest, NamesABadOption) {
  options_.join_timeout_ms = -1;
  ExpectRefused(evenkeel_worker_join(&options_, &worker_), "join_timeout_ms is -1");
  options_.join_timeout_ms = 1000;
  options_.begin_step_timeout_ms = -5;
  ExpectRefused(evenkeel_worker_join(&options_, &worker_), "begin_step_timeout_ms is -5");
  options_.begin_step_timeout_ms = 1000;
  options_.on_loss = 4;
  ExpectRefused(evenkeel_worker_join(&options_, &worker_), "on_loss is 4");
  options_.on_loss = EVENKEEL_ON_LOSS_WAIT;
  options_.loss_patience_ms = -2;
  ExpectRefused(evenkeel_worker_join(&options_, &worker_), "loss_patience_ms is -2");
  options_.loss_patience_ms = 0;
  options_.loss_log_steps = 3;
  ExpectRefused(evenkeel_worker_join(&options_, &worker_), "loss.log_steps is 3; it must be at least 4");
  options_.loss_log_steps = 4;
  options_.lag = 2;
  ExpectRefused(evenkeel_worker_join(&options_, &worker_), "lag is 2");
  options_.lag = 0;
  options_.job = nullptr;
  ExpectRefused(evenkeel_worker_join(&options_, &worker_), "job is empty");
  options_.job = "run";
  layer_.name = nullptr;
  ExpectRefused(evenkeel_worker_join(&options_, &worker_), "a layer's name is empty");
}

TEST_F(CApiTest, ALayerBringsItsBias) {
  const float bias[] = {0.5f, -0.5f, 0, 0.25f};
  options_.coordinator = nullptr;
  layer_.initial_bias = bias;
  ASSERT_EQ(evenkeel_worker_join(&options_, &worker_), EVENKEEL_OK) << evenkeel_last_error();
  for (int expert = 0; expert < 4; ++expert) EXPECT_EQ(evenkeel_bias(worker_, 0)[expert], bias[expert]);
  evenkeel_worker* second = nullptr;
  layer_.num_experts = -1;
  ExpectRefused(evenkeel_worker_join(&options_, &second), "num_experts is -1");
}

TEST_F(CApiTest, TypesThatThereAreNot) {
  Join();
  ASSERT_EQ(evenkeel_begin_step(worker_, 1), EVENKEEL_OK);
  evenkeel_tokens tokens;
  evenkeel_tokens_init(&tokens, sizeof(tokens));
  evenkeel_assignments assignments;
  evenkeel_assignments_init(&assignments, sizeof(assignments));
  tokens.logits_type = 3;
  ExpectRefused(evenkeel_route(worker_, 0, &tokens, &assignments), "logits_type is 3");
  tokens.logits_type = EVENKEEL_BFLOAT16;
  assignments.ids_type = 2;
  ExpectRefused(evenkeel_route(worker_, 0, &tokens, &assignments), "ids_type is 2");
  evenkeel_gradients gradients;
  evenkeel_gradients_init(&gradients, sizeof(gradients));
  gradients.d_logits_type = -1;
  ExpectRefused(evenkeel_route_backward(worker_, 0, &tokens, &gradients), "d_logits_type is -1");
  evenkeel_ids ids;
  evenkeel_ids_init(&ids, sizeof(ids));
  ids.ids_type = 7;
  ExpectRefused(evenkeel_count(worker_, 0, &ids), "ids_type is 7");
}

TEST_F(CApiTest, KindsOfCounting) {
  Join();
  for (const int32_t unknown : {-1, 4, INT32_MAX}) {
    ExpectRefused(evenkeel_set_counting(worker_, unknown), "counting is " + std::to_string(unknown));
  }
  const uint64_t sums[kExperts] = {2, 0, 0, 0};
  evenkeel_counts counts;
  evenkeel_counts_init(&counts, sizeof(counts));
  counts.counts = sums;
  counts.valid_tokens = 1;
  ASSERT_EQ(evenkeel_set_counting(worker_, EVENKEEL_COUNTING_EVALUATE), EVENKEEL_OK);
  EXPECT_EQ(evenkeel_add_counts(worker_, 0, &counts), EVENKEEL_OK) << "between steps";
  ASSERT_EQ(evenkeel_set_counting(worker_, EVENKEEL_COUNTING_DRY_RUN), EVENKEEL_OK);
  ASSERT_EQ(evenkeel_begin_step(worker_, 1), EVENKEEL_OK);
  EXPECT_EQ(evenkeel_set_counting(worker_, EVENKEEL_COUNTING_TRAIN), EVENKEEL_FAILED_PRECONDITION);
  EXPECT_EQ(evenkeel_add_counts(worker_, 0, &counts), EVENKEEL_OK);
  ASSERT_EQ(evenkeel_commit(worker_, 1, 1), EVENKEEL_OK);
  ASSERT_EQ(evenkeel_set_counting(worker_, EVENKEEL_COUNTING_REPLAY), EVENKEEL_OK);
  ASSERT_EQ(evenkeel_begin_step(worker_, 1), EVENKEEL_OK);
  const float logits[kExperts] = {0, 0, 0, 0};
  const int32_t given[] = {3, 1};
  evenkeel_tokens tokens;
  evenkeel_tokens_init(&tokens, sizeof(tokens));
  EXPECT_EQ(tokens.micro_batch, -1);
  tokens.rows = 1;
  tokens.logits = logits;
  tokens.micro_batch = 0;
  evenkeel_assignments assignments;
  evenkeel_assignments_init(&assignments, sizeof(assignments));
  ExpectRefused(evenkeel_route(worker_, 0, &tokens, &assignments), "replay_ids is null");
  tokens.replay_ids = given;
  EXPECT_EQ(evenkeel_route(worker_, 0, &tokens, &assignments), EVENKEEL_OK);
  EXPECT_EQ(evenkeel_route(worker_, 0, &tokens, &assignments), EVENKEEL_OK) << "recomputed";
  ASSERT_EQ(evenkeel_commit(worker_, 1, 1), EVENKEEL_OK);
  ASSERT_EQ(evenkeel_leave(worker_), EVENKEEL_OK);
  ASSERT_EQ(coordinator_.Pushes().size(), 1);
  EXPECT_TRUE(coordinator_.Pushes()[0].replayed());
  EXPECT_THAT(coordinator_.Pushes()[0].routed().low(), testing::ElementsAre(0, 1, 0, 1));
}

TEST_F(CApiTest, Captures) {
  Join();
  ExpectRefused(evenkeel_begin_capture(nullptr), "worker is null");
  ExpectRefused(evenkeel_end_capture(nullptr), "worker is null");
  ExpectRefused(evenkeel_set_counting(nullptr, 0), "worker is null");
  EXPECT_EQ(evenkeel_begin_capture(worker_), EVENKEEL_FAILED_PRECONDITION);
  ASSERT_EQ(evenkeel_begin_step(worker_, 1), EVENKEEL_OK);
  ASSERT_EQ(evenkeel_begin_capture(worker_), EVENKEEL_OK);
  const uint64_t sums[kExperts] = {2, 0, 0, 0};
  evenkeel_counts counts;
  evenkeel_counts_init(&counts, sizeof(counts));
  EXPECT_EQ(counts.micro_batch, -1);
  counts.counts = sums;
  counts.valid_tokens = 1;
  EXPECT_EQ(evenkeel_add_counts(worker_, 0, &counts), EVENKEEL_OK);
  ASSERT_EQ(evenkeel_end_capture(worker_), EVENKEEL_OK);
  EXPECT_EQ(evenkeel_end_capture(worker_), EVENKEEL_FAILED_PRECONDITION);
  ASSERT_EQ(evenkeel_commit(worker_, 1, 1), EVENKEEL_OK);
  ASSERT_EQ(evenkeel_leave(worker_), EVENKEEL_OK);
  EXPECT_THAT(coordinator_.Pushes().at(0).routed().low(), testing::Each(0));
}

TEST_F(CApiTest, WhatAJobDoesGoesIntoTheJoin) {
  const auto expect_none = [&](const char* field, int32_t evenkeel_worker_options::*option, int32_t beyond) {
    for (const int32_t number : {-1, beyond}) {
      options_.*option = number;
      ExpectRefused(evenkeel_worker_join(&options_, &worker_), std::string(field) + " is " + std::to_string(number));
    }
    options_.*option = 0;
  };
  expect_none("mode", &evenkeel_worker_options::mode, EVENKEEL_MODE_OBSERVE + 1);
  expect_none("on_skip", &evenkeel_worker_options::on_skip, EVENKEEL_ON_SKIP_APPLY + 1);
  expect_none("on_violation", &evenkeel_worker_options::on_violation, EVENKEEL_ON_VIOLATION_HALT + 1);
  expect_none("on_missing", &evenkeel_worker_options::on_missing, EVENKEEL_ON_MISSING_COMMIT_WITHOUT + 1);
  options_.mode = EVENKEEL_MODE_FROZEN;
  options_.on_skip = EVENKEEL_ON_SKIP_APPLY;
  layer_.balance = "{\"rate\": 0.5}";
  Join();
  const v1::JobSpec job = coordinator_.Joins().at(0).job();
  EXPECT_EQ(job.mode(), v1::JobSpec::Mode::FROZEN);
  EXPECT_EQ(job.skip_policy(), v1::JobSpec::SkipPolicy::APPLY);
  EXPECT_EQ(job.overrides(0).balance().rate(), 0.5);
}

TEST_F(CApiTest, ADeviceThatIsNotThereIsNamed) {
  options_.device = 0;
  EXPECT_NE(evenkeel_worker_join(&options_, &worker_), EVENKEEL_OK) << "tests run where there is no GPU";
  EXPECT_STRNE(evenkeel_last_error(), "");
  options_.device = -1;
  options_.group_reducer = "nccl";
  ExpectRefused(evenkeel_worker_join(&options_, &worker_), "needs a device");
  options_.group_reducer = "mpi";
  ExpectRefused(evenkeel_worker_join(&options_, &worker_), "group.reducer is \"mpi\"");
}

TEST_F(CApiTest, TheCppHeaderRefusesAZeroByte) {
  WorkerOptions options;
  options.job = std::string("a\0b", 3);
  options.layers = {{"layer", 4, 2, ""}};
  EXPECT_EQ(Worker::Join(options).status().message(), "job has a zero byte in it");
  options.job = "run";
  options.layers[0].name.push_back('\0');
  EXPECT_EQ(Worker::Join(options).status().message(), "a layer's name has a zero byte in it");
}

}  // namespace
}  // namespace evenkeel
