#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/telemetry/metrics.h"
#include "server/telemetry/parsed_page.h"

namespace evenkeel::telemetry {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Job "job" with one layer.
std::shared_ptr<const ExpertView> View(const std::vector<double>& load, const std::string& stream = "") {
  auto view = std::make_shared<ExpertView>();
  view->job = "job";
  view->layers.resize(1);
  view->layers[0].name = "a";
  view->layers[0].stream = stream;
  view->layers[0].load = load;
  for (size_t i = 0; i < load.size(); ++i) {
    view->layers[0].bias.push_back(0.5F - static_cast<float>(i));
    view->layers[0].tokens_total.push_back((uint64_t{1} << 50) + i);
  }
  return view;
}

// Metrics in that mode, and what they have logged.
struct Bench {
  explicit Bench(const std::string& mode) : metrics(OptionsFor(mode)) {}

  Metrics::Options OptionsFor(const std::string& mode) {
    Metrics::Options options;
    if (!mode.empty()) options.experts = *ParseExpertMode(mode);
    options.log = [this](const LogEvent& event) { log.push_back(event.message); };
    return options;
  }
  void Publish(std::shared_ptr<const ExpertView> view) {
    const std::string job = view->job;
    metrics.Publish(
        job, [] { return std::make_shared<const JobView>(); }, [view = std::move(view)] { return view; });
  }
  ParsedPage Read() {
    absl::StatusOr<ParsedPage> page = ParsePage(metrics.ExpertText());
    EXPECT_TRUE(page.ok()) << page.status();
    return page.value_or(ParsedPage());
  }

  std::vector<std::string> log;
  Metrics metrics;
};

TEST(ExpertPageTest, AllShowsEveryExpert) {
  Bench bench("all");
  bench.Publish(View({2, 0, kNone, 4.0 / 3}, "1"));
  const ParsedPage page = bench.Read();
  const auto value = [&](const char* name, const char* expert) {
    return page.Value(name, {{"job", "job"}, {"layer", "a"}, {"stream", "1"}, {"expert", expert}});
  };
  EXPECT_EQ(value("evenkeel_expert_load_ratio", "0"), 2);
  EXPECT_EQ(value("evenkeel_expert_load_ratio", "1"), 0);
  EXPECT_TRUE(std::isnan(value("evenkeel_expert_load_ratio", "2"))) << "nothing is wanted of it";
  EXPECT_EQ(value("evenkeel_expert_load_ratio", "3"), 1.33333);
  EXPECT_EQ(value("evenkeel_expert_bias", "2"), -1.5);
  EXPECT_EQ(value("evenkeel_expert_tokens_total", "3"), 1125899906842627.0) << "in full";
  EXPECT_EQ(page.families.size(), 3u);
  EXPECT_TRUE(bench.log.empty()) << "nobody chose";
}

TEST(ExpertPageTest, TopShowsTheFullestAndTheEmptiestByTheirPlaces) {
  Bench bench("topk:2");
  bench.Publish(View({1, 3, 0.5, 3, kNone, 0, 0.5}));
  const ParsedPage page = bench.Read();
  const auto of_places = [&](const std::string& name) {
    std::vector<double> values;
    for (int place = 1; place <= 3; ++place) {
      values.push_back(page.Value(name, {{"job", "job"}, {"layer", "a"}, {"rank", absl::StrCat(place)}}));
    }
    EXPECT_TRUE(std::isnan(values[2]));
    values.pop_back();
    return values;
  };
  EXPECT_THAT(of_places("evenkeel_expert_hot_id"), ElementsAre(1, 3));
  EXPECT_THAT(of_places("evenkeel_expert_hot_load_ratio"), ElementsAre(3, 3));
  EXPECT_THAT(of_places("evenkeel_expert_cold_id"), ElementsAre(5, 2));
  EXPECT_THAT(of_places("evenkeel_expert_cold_load_ratio"), ElementsAre(0, 0.5));
  EXPECT_EQ(page.families.size(), 4u);
}

TEST(ExpertPageTest, SmallLayersHaveFewerPlaces) {
  Bench bench("topk:8");
  bench.Publish(View({1, 0.5, 1.5}));
  EXPECT_EQ(bench.Read().families.at("evenkeel_expert_hot_id").samples.size(), 3u);
}

// Whatever the experts do, the series are the same: only their values change.
TEST(ExpertPageTest, Pitfall27PlacesAreTheLabelsAndSoSeriesNeverComeOrGo) {
  Bench bench("topk:2");
  const auto labels = [&] {
    std::vector<std::map<std::string, std::string>> all;
    for (const auto& [name, family] : bench.Read().families) {
      for (const ParsedPage::Sample& sample : family.samples) all.push_back(sample.labels);
    }
    return all;
  };
  bench.Publish(View({1, 2, 3, 4}));
  const auto before = labels();
  bench.Publish(View({4, 3, 2, 1}));
  EXPECT_EQ(labels(), before);
}

TEST(ExpertPageTest, OffShowsNothing) {
  Bench bench("off");
  bench.Publish(View({1, 1}));
  EXPECT_EQ(bench.metrics.ExpertText(), "");
}

TEST(ExpertPageTest, ManyExpertsAreShownByTheirTopAndThatIsSaidOnce) {
  Bench bench("");
  bench.Publish(View({1, 1}));
  EXPECT_EQ(bench.Read().families.count("evenkeel_expert_bias"), 1u);
  EXPECT_THAT(bench.log, ElementsAre(HasSubstr("shows all: all experts would be 6 series")));
  bench.Publish(View(std::vector<double>(11'000, 1)));
  EXPECT_EQ(bench.Read().families.at("evenkeel_expert_hot_id").samples.size(), 8u);
  bench.Read();
  EXPECT_THAT(bench.log, ElementsAre(HasSubstr("shows all"), HasSubstr("shows topk:8: all experts would be 33000")));
}

}  // namespace
}  // namespace evenkeel::telemetry
