#include "tools/report/page.h"

#include <random>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::tools {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

RunPicture Picture(int layers, int experts, int samples) {
  const int seed = 61256;
  std::mt19937 random(seed);
  std::lognormal_distribution<float> load(0, .8f);
  std::normal_distribution<float> move(0, .01f);
  RunPicture picture;
  picture.source = "the record in /r/pretrain";
  picture.tokens = 1234567;
  v1::JobSummary* job = picture.description.mutable_summary();
  job->set_name("pretrain");
  job->mutable_version()->set_step(static_cast<uint64_t>(samples));
  job->set_open_step(static_cast<uint64_t>(samples) + 1);
  job->set_layers(layers);
  picture.description.mutable_effective()->mutable_balance()->set_rule(v1::BalanceConfig::PROPORTIONAL);
  picture.history.set_stride(1);
  for (int i = 0; i < layers; ++i) {
    v1::LayerStatus* layer = picture.description.add_layers();
    layer->set_name(absl::StrCat("model.layers.", i, ".mlp.gate"));
    layer->set_num_experts(experts);
    layer->set_max_violation(.125 + .001 * i);
    layer->set_noise_floor(.0625);
    v1::HistoryRow* row = picture.history.add_rows();
    row->set_layer(layer->name());
    LoadRow loads;
    loads.layer = layer->name();
    for (int e = 0; e < experts; ++e) loads.counts.push_back(static_cast<uint64_t>(1000 * load(random)));
    loads.loads = LoadsOf(loads.counts);
    loads.bias.resize(loads.counts.size());
    picture.start.rows.push_back(loads);
    picture.end.rows.push_back(loads);
  }
  picture.start.first_step = 1;
  picture.start.last_step = 8;
  picture.end.first_step = 93;
  picture.end.last_step = 100;
  for (int s = 1; s <= samples; ++s) {
    picture.history.add_steps(static_cast<uint64_t>(s));
    for (int i = 0; i < layers; ++i) picture.history.add_max_violation(load(random));
  }
  for (const int row : WorstRows(picture.description)) {
    RunPicture::BiasHistory bias = {row, {}};
    std::vector<float> values(static_cast<size_t>(experts));
    for (int s = 1; s <= samples; ++s) {
      bias.history.add_bias_steps(static_cast<uint64_t>(s));
      for (float& value : values) bias.history.add_bias(value += move(random));
    }
    picture.biases.push_back(std::move(bias));
  }
  return picture;
}

TEST(PageTest, AFileOfItsOwnThatShowsTheRun) {
  const std::string page = ReportPage(Picture(4, 8, 20));
  EXPECT_THAT(page, StartsWith("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"));
  EXPECT_THAT(page,
              AllOf(HasSubstr("<h1>pretrain</h1>"), HasSubstr("From the record in /r/pretrain."),
                    HasSubstr("<dt>tokens</dt><dd>1\xe2\x80\xaf"
                              "234\xe2\x80\xaf"
                              "567</dd>"),
                    HasSubstr("proportional"), HasSubstr("Max violation over the steps"),
                    HasSubstr("At the start: steps 1 to 8 together"), HasSubstr("At the end: steps 93 to 100 together"),
                    HasSubstr("Bias of the most uneven layers")));
  EXPECT_THAT(page, AllOf(HasSubstr("prefers-color-scheme:dark"), HasSubstr("@media print")));
  EXPECT_THAT(page, AllOf(Not(HasSubstr("<script")), Not(HasSubstr("http://")), Not(HasSubstr("https://")),
                          Not(HasSubstr("src=")), Not(HasSubstr("href=")), Not(HasSubstr("url("))));
  EXPECT_EQ(page, ReportPage(Picture(4, 8, 20))) << "the same bytes of the same run";
}

TEST(PageTest, TheMostUnevenLayerIsTheFirst) {
  const std::string page = ReportPage(Picture(4, 8, 20));
  const size_t table = page.find("<tbody>");
  EXPECT_LT(page.find("<td>model.layers.3.mlp.gate", table), page.find("<td>model.layers.2.mlp.gate", table));
  EXPECT_LT(page.find("<h3>model.layers.3.mlp.gate"), page.find("<h3>model.layers.2.mlp.gate"));
}

TEST(PageTest, NamesAndMessagesOfOthersAreText) {
  RunPicture picture = Picture(2, 4, 3);
  const std::string evil = "</title></style><script>alert(1)</script><img src=x onerror=alert(1)>\"'";
  picture.source = evil;
  picture.description.mutable_summary()->set_name(evil);
  picture.description.mutable_summary()->set_failure(evil);
  picture.description.mutable_layers(0)->set_name(evil);
  picture.history.mutable_rows(0)->set_layer(evil);
  picture.start.rows[0].layer = evil;
  picture.events.push_back({2, evil});
  picture.description.add_violations()->set_message(evil);
  for (const uint64_t step : {0, 2}) {
    v1::ConfigChange* change = picture.description.add_changes();
    change->set_from_step(step);
    change->set_note(evil);
  }
  const std::string page = ReportPage(picture);
  EXPECT_THAT(page, AllOf(Not(HasSubstr("<script")), Not(HasSubstr("<img")), HasSubstr("&lt;img src=x onerror")));
  size_t closed = 0;
  for (size_t at = page.find("</style>"); at != std::string::npos; at = page.find("</style>", at + 1)) ++closed;
  EXPECT_EQ(closed, 1);
}

TEST(PageTest, WhatIsNotKnownIsLeftOut) {
  RunPicture picture;
  picture.description.mutable_summary()->set_name("new");
  const std::string page = ReportPage(picture);
  EXPECT_THAT(page, AllOf(HasSubstr("<h1>new</h1>"), Not(HasSubstr("over the steps")), Not(HasSubstr("<svg")),
                          Not(HasSubstr("What happened")), Not(HasSubstr("Config changes"))));
  RunPicture live = Picture(2, 4, 3);
  live.start = {};
  live.end.first_step = live.end.last_step;
  EXPECT_THAT(ReportPage(live), AllOf(HasSubstr("At the end: step 100<"), Not(HasSubstr("At the start:")),
                                      HasSubstr("The loads of the start are in the record alone.")));
}

TEST(PageTest, ALargeRunIsASmallFile) {
  const std::string page = ReportPage(Picture(61, 256, 256));
  EXPECT_LT(page.size(), size_t{2} << 20);
  EXPECT_GT(page.size(), size_t{100} << 10);
}

}  // namespace
}  // namespace evenkeel::tools
