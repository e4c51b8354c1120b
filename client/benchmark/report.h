#pragma once

#include <string>
#include <utility>
#include <vector>

namespace evenkeel::step_benchmark {

// Of `values`, not empty: the smallest that a share `q` of them does not exceed.
double Quantile(std::vector<double> values, double q);
double Median(const std::vector<double>& values);

// What one part of the benchmark has to say: for people as lines, for programs as a JSON object.
class Report {
 public:
  // `name` is the object's; `title` the first line, which ends with the unit.
  Report(std::string name, std::string title) : name_(std::move(name)), title_(std::move(title)) {}

  // The median and the 99th percentile of `samples`, not empty.
  void AddSamples(const std::string& name, const std::string& title, const std::vector<double>& samples);
  // A figure, and the line that tells of it; "" for none.
  void AddFigure(const std::string& name, double figure, const std::string& line = "");
  void AddWords(const std::string& name, const std::string& words, const std::string& line = "");

  // "name": {...}
  std::string Json() const;
  std::string Text() const;

 private:
  void Add(const std::string& name, const std::string& value, const std::string& line);

  const std::string name_;
  const std::string title_;
  std::vector<std::string> fields_;
  std::vector<std::string> rows_;
  std::vector<std::string> lines_;
};

}  // namespace evenkeel::step_benchmark
