#include "kernels/counting/count_problem.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <ostream>
#include <random>

#include "absl/strings/str_cat.h"
#include "kernels/counting/reference_count.h"

namespace evenkeel::counting {
namespace {

using Random = std::mt19937_64;
using routing::IdType;

int64_t Below(Random& random, int64_t end) { return static_cast<int64_t>(random() % static_cast<uint64_t>(end)); }

template <typename Value>
Value OneOf(Random& random, const std::vector<Value>& values) {
  return values[Below(random, values.size())];
}

bool OneIn(Random& random, int times) { return Below(random, times) == 0; }

// The bytes of values of type Stored.
template <typename Stored, typename Value>
std::vector<uint8_t> BytesOf(const std::vector<Value>& values) {
  const std::vector<Stored> stored(values.begin(), values.end());
  std::vector<uint8_t> bytes(stored.size() * sizeof(Stored));
  if (!bytes.empty()) std::memcpy(bytes.data(), stored.data(), bytes.size());
  return bytes;
}

std::vector<uint8_t> IdBytes(const std::vector<int64_t>& ids, IdType id_type) {
  return id_type == IdType::kInt32 ? BytesOf<int32_t>(ids) : BytesOf<int64_t>(ids);
}

int RandomExperts(Random& random) {
  const std::vector<int> edges = {1, 2, 3, 8, 31, 32, 33, 64, 255, 256, 257, 384, 1024, 12288, routing::kMaxExperts};
  return OneIn(random, 3) ? 1 + Below(random, 600) : OneOf(random, edges);
}

int RandomTopK(Random& random, int num_experts) {
  if (OneIn(random, 20)) return num_experts;
  if (OneIn(random, 8)) return 1 + Below(random, num_experts);
  return std::min(num_experts, OneOf<int>(random, {1, 2, 3, 4, 5, 6, 8, 9, 10, 16, 17, 22, 31, 32, 33, 40, 64}));
}

// Makes rows, of which each has its slots.
class RowMaker {
 public:
  RowMaker(int num_experts, int top_k, IdType id_type, Random* random)
      : experts_(num_experts), top_k_(top_k), id_type_(id_type), random_(*random) {
    std::iota(experts_.begin(), experts_.end(), 0);
  }

  // Distinct experts, of which some are missing.
  std::vector<int64_t> Countable(int one_short_in) {
    for (int slot = 0; slot < top_k_; ++slot) {
      std::swap(experts_[slot], experts_[slot + Below(random_, experts_.size() - slot)]);
    }
    std::vector<int64_t> ids(experts_.begin(), experts_.begin() + top_k_);
    for (int64_t& id : ids) {
      if (one_short_in > 0 && OneIn(random_, one_short_in)) id = -1;
    }
    return ids;
  }

  std::vector<int64_t> OfAnyKind() {
    std::vector<int64_t> ids = Countable(OneOf<int>(random_, {0, 0, 2, 10}));
    int64_t& spoilt = ids[Below(random_, top_k_)];
    switch (Below(random_, 8)) {
      case 0:
        spoilt = OutOfRange();
        break;
      case 1:
        spoilt = ids[Below(random_, top_k_)];  // twice, unless it is itself or short
        break;
      case 2:
        std::fill(ids.begin(), ids.end(), OneIn(random_, 2) ? -1 : ids.back());
        break;
      default:
        break;
    }
    return ids;
  }

 private:
  int64_t OutOfRange() {
    const int64_t end = experts_.size();
    std::vector<int64_t> values = {
        -2, -3, -33, end, end + 1, 1 << 30, std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::max()};
    if (id_type_ == IdType::kInt64) {
      const int64_t wide = int64_t{1} << 32;  // which 32 bits do not see
      values.insert(values.end(), {wide, wide - 1, -wide, -wide - 1, std::numeric_limits<int64_t>::min(),
                                   std::numeric_limits<int64_t>::max()});
    }
    return OneOf(random_, values);
  }

  std::vector<int64_t> experts_;
  const int top_k_;
  const IdType id_type_;
  Random& random_;
};

uint64_t MostOf(CountType type) {
  switch (type) {
    case CountType::kInt32:
      return std::numeric_limits<int32_t>::max();
    case CountType::kInt64:
      return kMaxCount;
    case CountType::kFloat32:
      break;
  }
  return static_cast<uint64_t>(kMaxFloatCount);
}

// Which double holds exactly.
std::vector<uint8_t> CountBytes(const std::vector<double>& counts, CountType type) {
  switch (type) {
    case CountType::kInt32:
      return BytesOf<int32_t>(counts);
    case CountType::kInt64:
      return BytesOf<int64_t>(counts);
    case CountType::kFloat32:
      break;
  }
  return BytesOf<float>(counts);
}

// One count that is none; another makes its sum good where there is one that can.
void SpoilCounts(Random& random, CountType type, std::vector<double>* counts) {
  const bool is_float = type == CountType::kFloat32;
  double& spoilt = (*counts)[Below(random, counts->size())];
  double& other = (*counts)[Below(random, counts->size())];
  const double was = spoilt;
  std::vector<double> values = {-1, -2};
  if (type == CountType::kInt64) values.insert(values.end(), {0x1p48 + 1, 0x1p52, -0x1p63});
  if (is_float) values.insert(values.end(), {0.5, 0x1p24 + 2, 0x1p40, INFINITY, -INFINITY, NAN});
  spoilt = OneOf(random, values);
  const bool can_make_good = &other != &spoilt && other + was - spoilt <= MostOf(type);
  if (can_make_good) other += was - spoilt;
}

}  // namespace

IdsInput IdsProblem::Input() const {
  IdsInput input;
  input.num_experts = num_experts;
  input.top_k = top_k;
  input.ids = ids.empty() ? nullptr : ids.data();
  input.id_type = id_type;
  input.rows = rows;
  input.ids_stride = stride;
  input.valid_mask = mask.empty() ? nullptr : mask.data();
  return input;
}

std::string IdsProblem::Describe() const {
  return absl::StrCat(num_experts, " experts, top_k ", top_k, ", int", id_type == IdType::kInt32 ? 32 : 64, ", ", rows,
                      " rows, stride ", stride, mask.empty() ? "" : ", masked");
}

IdsProblem RandomIds(uint64_t seed) {
  Random random(seed);
  IdsProblem problem;
  problem.num_experts = RandomExperts(random);
  problem.top_k = RandomTopK(random, problem.num_experts);
  problem.id_type = OneIn(random, 2) ? IdType::kInt32 : IdType::kInt64;
  problem.rows = OneIn(random, 10) ? Below(random, 3) : Below(random, 2 + 20000 / problem.top_k);
  problem.rows = std::min<int64_t>(problem.rows, 2000);
  problem.stride = problem.top_k + OneOf<int>(random, {0, 0, 1, 3, 17});
  RowMaker maker(problem.num_experts, problem.top_k, problem.id_type, &random);
  std::vector<int64_t> ids;
  for (int64_t row = 0; row < problem.rows; ++row) {
    const std::vector<int64_t> slots = maker.OfAnyKind();
    ids.insert(ids.end(), slots.begin(), slots.end());
    for (int64_t gap = problem.top_k; gap < problem.stride; ++gap) ids.push_back(Below(random, problem.num_experts));
  }
  if (problem.rows > 0) ids.resize(ids.size() - (problem.stride - problem.top_k));  // a step further is too far
  problem.ids = IdBytes(ids, problem.id_type);
  if (OneIn(random, 2)) {
    const int one_valid_in = OneOf<int>(random, {1, 2, 10, 1 << 30});
    for (int64_t row = 0; row < problem.rows; ++row) {
      problem.mask.push_back(OneIn(random, one_valid_in) ? 1 + Below(random, 255) : 0);
    }
  }
  return problem;
}

IdsProblem RandomIdsOf(int num_experts, int top_k, int64_t rows, IdType id_type, uint64_t seed) {
  Random random(seed);
  RowMaker maker(num_experts, top_k, id_type, &random);
  std::vector<int64_t> ids;
  for (int64_t row = 0; row < rows; ++row) {
    const std::vector<int64_t> slots = maker.Countable(20);
    ids.insert(ids.end(), slots.begin(), slots.end());
  }
  return {num_experts, top_k, id_type, rows, top_k, IdBytes(ids, id_type), {}};
}

CountsInput CountsProblem::Input() const {
  CountsInput input;
  input.num_experts = num_experts;
  input.top_k = top_k;
  input.counts = counts.data();
  input.type = type;
  input.valid_rows = valid_rows;
  input.short_slots = short_slots;
  input.any_sum = any_sum;
  return input;
}

std::string CountsProblem::Describe() const {
  return absl::StrCat(num_experts, " experts, top_k ", top_k, ", type ", static_cast<int>(type), ", ", valid_rows,
                      " rows, ", short_slots, " short slots", any_sum ? ", of any sum" : "");
}

CountsProblem RandomCounts(uint64_t seed) {
  Random random(seed);
  CountsProblem problem;
  problem.num_experts = RandomExperts(random);
  problem.top_k = RandomTopK(random, problem.num_experts);
  problem.type = OneOf(random, std::vector<CountType>{CountType::kInt32, CountType::kInt64, CountType::kFloat32});
  // So that the slots of all rows are at most kMaxCount.
  const uint64_t most = std::min(MostOf(problem.type), (kMaxCount - 2 * problem.top_k) / problem.num_experts);
  const uint64_t limit = OneOf<uint64_t>(random, {1, 1000, most});
  std::vector<double> counts;
  uint64_t sum = 0;
  for (int expert = 0; expert < problem.num_experts; ++expert) {
    const uint64_t count = OneIn(random, 5) ? limit : Below(random, limit + 1);
    counts.push_back(count);
    sum += count;
  }
  problem.valid_rows = (sum + problem.top_k - 1) / problem.top_k + (OneIn(random, 2) ? 1 : 0);
  problem.short_slots = problem.top_k * problem.valid_rows - sum;
  switch (Below(random, 6)) {
    case 0:
    case 1:
      SpoilCounts(random, problem.type, &counts);
      break;
    case 2:
      problem.short_slots > 0 ? --problem.short_slots : ++problem.valid_rows;
      break;
    default:
      break;
  }
  problem.any_sum = OneIn(random, 4);
  problem.counts = CountBytes(counts, problem.type);
  return problem;
}

bool operator==(const Counted& a, const Counted& b) {
  return a.counts == b.counts && a.stats.valid_rows == b.stats.valid_rows &&
         a.stats.short_slots == b.stats.short_slots && a.refused == b.refused;
}

std::ostream& operator<<(std::ostream& out, const Counted& counted) {
  out << counted.stats.valid_rows << " rows, " << counted.stats.short_slots << " short slots, " << counted.refused
      << " refused, counts of";
  for (size_t expert = 0; expert < counted.counts.size(); ++expert) {
    if (counted.counts[expert] != 0) out << " " << expert << ":" << counted.counts[expert];
  }
  return out;
}

Counted Count(const IdsProblem& problem) {
  Counted counted(problem.num_experts);
  ReferenceCountIds(problem.Input(), counted.Output()).IgnoreError();  // it is valid
  return counted;
}

Counted Count(const CountsProblem& problem) {
  Counted counted(problem.num_experts);
  ReferenceAddCounts(problem.Input(), counted.Output()).IgnoreError();  // likewise
  return counted;
}

}  // namespace evenkeel::counting
