#include "tools/status_view.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::tools {
namespace {

v1::JobSummary Summary() {
  v1::JobSummary job;
  job.set_name("pretrain");
  job.mutable_version()->set_epoch(2);
  job.mutable_version()->set_step(80);
  job.set_open_step(81);
  job.set_epoch(3);
  job.set_contributors(4);
  job.set_joined(3);
  job.set_layers(1);
  job.set_experts(64);
  job.set_max_violation(0.125);
  job.set_state_hash(0xabcdef);
  return job;
}

TEST(StatusViewTest, JobsAreATable) {
  v1::ListJobsResponse response;
  *response.add_jobs() = Summary();
  EXPECT_EQ(ShowJobs(response),
            "  job       epoch  step  open step  joined  layers  experts  max violation  state hash\n"
            "  pretrain      3    80         81     3/4       1       64          0.125  0000000000abcdef\n");
}

TEST(StatusViewTest, NoJobsAreALine) {
  EXPECT_EQ(ShowJobs(v1::ListJobsResponse()), "no jobs; the first worker that joins makes one\n");
}

TEST(StatusViewTest, AJobSaysHowLateItsLastStepWasRouted) {
  v1::DescribeJobResponse response;
  *response.mutable_summary() = Summary();
  response.mutable_summary()->set_staleness(7);
  EXPECT_THAT(ShowJob(response), testing::HasSubstr("\n  ! the last step was routed with a version 7 steps late\n"));
}

TEST(StatusViewTest, OneJobHasContributorsAndLayers) {
  v1::DescribeJobResponse response;
  *response.mutable_summary() = Summary();
  v1::ContributorStatus* contributor = response.add_contributors();
  contributor->add_ranks(0);
  contributor->add_ranks(1);
  contributor->set_incarnation(0x1234567890abcdef);
  contributor->set_joined(true);
  contributor->set_state(v1::ContributorState::AWAITED);
  contributor->set_heard_ms_ago(1240);
  response.mutable_summary()->add_stragglers(0);
  response.mutable_summary()->set_failure("step 81 has failed");
  contributor->mutable_worker()->set_hostname("node-a");
  response.add_contributors()->set_contributor(1);
  response.mutable_contributors(1)->set_state(v1::ContributorState::FREE);
  v1::LayerStatus* layer = response.add_layers();
  layer->set_name("layers.3\ngate");
  layer->set_num_experts(64);
  layer->set_top_k(6);
  layer->set_last_reason(v1::UpdateReason::BELOW_MIN_TOKENS);
  layer->set_last_update(79);
  layer->set_max_violation(0.125);
  layer->set_min_violation(-0.5);
  layer->set_bias_min(-0.25f);
  layer->set_bias_max(0.0625f);
  EXPECT_EQ(ShowJob(response),
            "job pretrain: step 80 committed in epoch 2, step 81 open in epoch 3; 3/4 contributors joined; "
            "max violation 0.125; state hash 0000000000abcdef\n"
            "\n"
            "  ! failed: step 81 has failed\n"
            "  ! step 81 waits for contributor 0\n"
            "\n"
            "  contributor  ranks  incarnation       state    heard s ago  pushed s ago  host    device\n"
            "            0  0-1    1234567890abcdef  awaited          1.2                node-a\n"
            "            1         -                 free\n"
            "\n"
            "  layer           experts  top_k  last update  why               max violation     min    avg     cv"
            "  entropy  dead  starved  bias min  bias max\n"
            "  layers.3\\ngate       64      6           79  below min tokens          0.125  -0.500  0.000  0.000"
            "    0.000     0        0   -0.2500    0.0625\n");
}

TEST(StatusViewTest, AJobShowsItsHaltAndHowItsConfigHasChanged) {
  v1::DescribeJobResponse response;
  *response.mutable_summary() = Summary();
  response.mutable_halt()->set_step(70);
  response.mutable_halt()->mutable_cause()->set_message("ranks 2 and 3 count the same tokens");
  for (const uint64_t step : {0, 40, 60, 81, 90}) {
    v1::ConfigChange* change = response.add_changes();
    change->set_from_step(step);
    change->set_mode(v1::JobSpec::Mode::BALANCE);
    change->mutable_balance()->set_rate(step == 0 ? .5 : .25);
    if (step < 60) continue;
    v1::LayerOverride* layer = change->add_overrides();
    layer->set_layer("b");
    layer->mutable_balance()->set_frozen(step > 60);
    if (step == 90) change->set_mode(v1::JobSpec::Mode::FROZEN);
    if (step == 90) change->set_note("the end");
  }
  EXPECT_THAT(
      ShowJob(response),
      testing::HasSubstr(
          "state hash 0000000000abcdef\n"
          "\n"
          "  ! halted since step 70: ranks 2 and 3 count the same tokens; no layer moves until 'evenkeel set --job "
          "pretrain --resume'\n"
          "\n"
          "  from step            config                          note\n"
          "          0  past      as the job was made\n"
          "         40  past      rate: 0.5 -> 0.25\n"
          "         60  past      layer b: added: frozen: false\n"
          "         81  in force  layer b: frozen: false -> true\n"
          "         90  to come   mode: BALANCE -> FROZEN         the end\n"
          "\n"
          "  contributor"));
}

TEST(StatusViewTest, StreamsAndDropsAreShownWhereThereAreSome) {
  v1::DescribeJobResponse response;
  *response.mutable_summary() = Summary();
  for (int i = 0; i < 3; ++i) {
    v1::LayerStatus* layer = response.add_layers();
    layer->set_name(i < 2 ? "a" : "b");
    layer->set_stream(i % 2);
    layer->set_num_experts(64);
    layer->set_top_k(6);
  }
  response.mutable_layers(0)->set_drop_rate(0);
  response.mutable_layers(1)->set_drop_rate(0.03125);
  EXPECT_THAT(ShowJob(response), testing::HasSubstr("  layer  stream  experts  top_k  last update  why    max "
                                                    "violation    min    avg     cv  entropy  dead  starved"
                                                    "  dropped  bias min  bias max\n"
                                                    "  a           0       64      6            0  never          "
                                                    "0.000  0.000  0.000  0.000    0.000     0        0"
                                                    "   0.0000    0.0000    0.0000\n"
                                                    "  a           1       64      6            0  never          "
                                                    "0.000  0.000  0.000  0.000    0.000     0        0"
                                                    "   0.0312    0.0000    0.0000\n"
                                                    "  b           0       64      6            0  never          "
                                                    "0.000  0.000  0.000  0.000    0.000     0        0"
                                                    "        -    0.0000    0.0000\n"));
}

TEST(StatusViewTest, AReasonOfALaterVersionIsANumber) {
  v1::DescribeJobResponse response;
  response.add_layers()->set_last_reason(static_cast<v1::UpdateReason::Kind>(99));
  EXPECT_NE(ShowJob(response).find(" 99 "), std::string::npos);
}

TEST(StatusViewTest, JobsInTroubleComeFirstAndSayWhy) {
  v1::ListJobsResponse response;
  for (const char* name : {"a", "halted", "lost", "z"}) {
    *response.add_jobs() = Summary();
    response.mutable_jobs(response.jobs_size() - 1)->set_name(name);
  }
  v1::ContributorCount* count = response.mutable_jobs(2)->add_counts();
  count->set_state(v1::ContributorState::LOST);
  count->set_contributors(2);
  response.mutable_jobs(2)->add_stragglers(7);
  const std::string text = ShowJobs(response, {"halted"});
  std::vector<std::string> order;
  for (absl::string_view line : absl::StrSplit(text, '\n')) order.push_back(std::string(line.substr(0, 8)));
  EXPECT_THAT(order, testing::ElementsAre("  job   ", "  halted", "  lost  ", "  a     ", "  z     ", "", "  ! halt",
                                          "  ! lost", ""));
  EXPECT_THAT(text, testing::HasSubstr("  ! halted: halted\n  ! lost: waits for contributor 7; 2 lost\n"));
}

v1::DescribeJobResponse Large() {
  v1::DescribeJobResponse response;
  *response.mutable_summary() = Summary();
  for (int i = 0; i < 30; ++i) {
    v1::ContributorStatus* contributor = response.add_contributors();
    contributor->set_contributor(i);
    contributor->set_state(i == 25 ? v1::ContributorState::LATE : v1::ContributorState::PUSHED);
    v1::LayerStatus* layer = response.add_layers();
    layer->set_name(absl::StrCat("layers.", i));
    layer->set_max_violation(i % 10 + i * .001);
  }
  return response;
}

// The first words of the lines behind the one that begins with `title`.
std::vector<std::string> FirstWords(const std::string& text, absl::string_view title) {
  std::vector<std::string> words;
  bool is_behind = false;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    const std::vector<absl::string_view> parts = absl::StrSplit(line, ' ', absl::SkipEmpty());
    if (is_behind && parts.empty()) break;
    if (is_behind) words.emplace_back(parts[0]);
    if (!parts.empty() && parts[0] == title) is_behind = true;
  }
  return words;
}

TEST(StatusViewTest, TheWorstLayersComeFirstAndTheOthersAreANumber) {
  const std::string text = ShowJob(Large(), {16, 4, false});
  EXPECT_THAT(FirstWords(text, "layer"),
              testing::ElementsAre("layers.29", "layers.19", "layers.9", "layers.28", "and"));
  EXPECT_THAT(text, testing::HasSubstr("\n  and 26 more layers; --layers all shows them\n"));
}

TEST(StatusViewTest, LayersByNameAreAllThereInTheOrderOfTheirNumbers) {
  const std::vector<std::string> words = FirstWords(ShowJob(Large(), {16, 1000, true}), "layer");
  ASSERT_EQ(words.size(), 30);
  for (int i = 0; i < 30; ++i) EXPECT_EQ(words[i], absl::StrCat("layers.", i));
}

TEST(StatusViewTest, ContributorsOutOfOrderComeFirstHoweverFewAreShown) {
  const std::string text = ShowJob(Large(), {2, 1, false});
  EXPECT_THAT(FirstWords(text, "contributor"), testing::ElementsAre("25", "0", "1", "and"));
  EXPECT_THAT(text, testing::HasSubstr("\n  and 27 more contributors, all in order; --contributors all shows them\n"));
}

TEST(StatusViewTest, FiguresAreShownWhereAWorkerTellsThem) {
  v1::DescribeJobResponse response = Large();
  EXPECT_THAT(ShowJob(response), testing::Not(testing::HasSubstr("undelivered")));
  v1::WorkerFigures* figures = response.mutable_contributors(0)->mutable_figures();
  figures->set_undelivered_steps(3);
  figures->set_commit_host_ns(12345);
  EXPECT_THAT(ShowJob(response), testing::HasSubstr("host  device  stale  undelivered  lost  commit us\n"));
  EXPECT_THAT(ShowJob(response), testing::HasSubstr("      0            3     0       12.3\n"));
}

TEST(StatusViewTest, TheNoiseFloorStandsBesideTheViolation) {
  v1::DescribeJobResponse response = Large();
  response.mutable_layers(0)->set_noise_floor(.0625);
  EXPECT_THAT(ShowJob(response, {1, 100, true}), testing::HasSubstr("max violation  noise floor    min"));
  EXPECT_THAT(ShowJob(response, {1, 100, true}), testing::HasSubstr("  0.000        0.062  0.000"));
}

}  // namespace
}  // namespace evenkeel::tools
