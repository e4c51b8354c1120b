#include "tools/status_view.h"

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
  EXPECT_THAT(ShowJob(response),
              testing::HasSubstr("max violation 0.125; routed with a version 7 steps late; state hash"));
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
            "step 81 waits for contributor 0\n"
            "failed: step 81 has failed\n"
            "\n"
            "  contributor  ranks  incarnation       state    heard s ago  pushed s ago  host    device\n"
            "            0  0,1    1234567890abcdef  awaited          1.2                node-a\n"
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
  EXPECT_THAT(ShowJob(response),
              testing::HasSubstr(
                  "state hash 0000000000abcdef\n"
                  "halted since step 70: ranks 2 and 3 count the same tokens; no layer moves until 'evenkeel set --job "
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

}  // namespace
}  // namespace evenkeel::tools
