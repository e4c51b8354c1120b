#include "tools/watch_lines.h"

#include "gtest/gtest.h"

namespace evenkeel::tools {
namespace {

v1::DescribeJobResponse Job() {
  v1::DescribeJobResponse response;
  v1::JobSummary* job = response.mutable_summary();
  job->set_name("pretrain");
  job->mutable_version()->set_step(81);
  job->set_open_step(82);
  job->set_epoch(3);
  job->set_joined(3);
  job->set_contributors(4);
  job->set_max_violation(.125);
  for (const double violation : {.25, .5, .375}) {
    v1::LayerStatus* layer = response.add_layers();
    layer->set_name("a\n");
    layer->set_stream(static_cast<uint32_t>(response.layers_size() - 1));
    layer->set_max_violation(violation);
  }
  return response;
}

TEST(WatchLinesTest, AStepIsALine) {
  v1::DescribeJobResponse response = Job();
  EXPECT_EQ(WatchLine(response), "step 81  epoch 3  max violation 0.125  worst a\\n/1 0.500  joined 3/4");
  response.mutable_summary()->add_stragglers(3);
  response.mutable_summary()->set_staleness(1);
  EXPECT_EQ(WatchLine(response),
            "step 81  epoch 3  max violation 0.125  worst a\\n/1 0.500  joined 3/4  ! step 82 waits "
            "for contributor 3 (and 1 more)");
  response.clear_layers();
  response.mutable_summary()->clear_stragglers();
  response.mutable_summary()->clear_staleness();
  EXPECT_EQ(WatchLine(response), "step 81  epoch 3  max violation 0.125  joined 3/4");
}

TEST(WatchLinesTest, AndAnObject) {
  v1::DescribeJobResponse response = Job();
  response.mutable_summary()->add_stragglers(3);
  EXPECT_EQ(WatchLineJson(response),
            R"({"job": "pretrain", "epoch": 3, "step": 81, "open_step": 82, "joined": 3, "contributors": 4, )"
            R"("max_violation": 0.125, "worst": {"layer": "a\u000a", "stream": 1, "max_violation": 0.5}, )"
            R"("stand_outs": ["step 82 waits for contributor 3"]})");
  response.clear_layers();
  EXPECT_NE(WatchLineJson(response).find("\"worst\": null"), std::string::npos);
}

}  // namespace
}  // namespace evenkeel::tools
