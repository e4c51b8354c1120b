#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

#include "kernels/ieee.h"
#include "kernels/routing/forced_balance.h"
#include "kernels/routing/half.h"
#include "kernels/routing/warp/approximations.h"

// A warp of 32 lanes on the CPU: what row-inl.h is made of, for all lanes at once. Of a GPU it has the semantics and
// not the speed. Only what a lane's mask lets through is read or written, so that a sanitizer or a guard page sees
// every access that the device would make.
namespace evenkeel::routing::emulated {

#define EVENKEEL_WARP inline
#define EVENKEEL_UNROLL
#define EVENKEEL_NO_UNROLL

inline constexpr int kWarp = 32;

// A value for each lane; made of one value, it is uniform.
template <typename T>
struct Lanes {
  T lane[kWarp];

  Lanes() = default;
  Lanes(T uniform) {  // NOLINT: on the device it is the same type
    for (T& value : lane) value = uniform;
  }

  template <typename Function, typename... Others>
  static Lanes Map(Function function, const Others&... others) {
    Lanes result;
    for (int l = 0; l < kWarp; ++l) result.lane[l] = static_cast<T>(function(others.lane[l]...));
    return result;
  }

  friend Lanes operator+(const Lanes& a, const Lanes& b) {
    return Map([](T x, T y) { return x + y; }, a, b);
  }
  friend Lanes operator-(const Lanes& a, const Lanes& b) {
    return Map([](T x, T y) { return x - y; }, a, b);
  }
  friend Lanes operator*(const Lanes& a, const Lanes& b) {
    return Map([](T x, T y) { return x * y; }, a, b);
  }
  friend Lanes operator&(const Lanes& a, const Lanes& b) {
    return Map([](T x, T y) { return x & y; }, a, b);
  }
  friend Lanes operator|(const Lanes& a, const Lanes& b) {
    return Map([](T x, T y) { return x | y; }, a, b);
  }
  friend Lanes operator^(const Lanes& a, const Lanes& b) {
    return Map([](T x, T y) { return x ^ y; }, a, b);
  }
  friend Lanes operator~(const Lanes& a) {
    return Map([](T x) { return ~x; }, a);
  }
  friend Lanes operator!(const Lanes& a) {
    return Map([](T x) { return !x; }, a);
  }
  friend Lanes operator>>(const Lanes& a, const Lanes& b) {
    return Map([](T x, T y) { return x >> y; }, a, b);
  }
  friend Lanes<bool> operator<(const Lanes& a, const Lanes& b) {
    return Lanes<bool>::Map([](T x, T y) { return x < y; }, a, b);
  }
  friend Lanes<bool> operator==(const Lanes& a, const Lanes& b) {
    return Lanes<bool>::Map([](T x, T y) { return x == y; }, a, b);
  }
  friend Lanes<bool> operator>(const Lanes& a, const Lanes& b) { return b < a; }
  // Not the opposite of <, where NaNs are.
  friend Lanes<bool> operator>=(const Lanes& a, const Lanes& b) {
    return Lanes<bool>::Map([](T x, T y) { return x >= y; }, a, b);
  }
};

using Float = Lanes<float>;
using Word = Lanes<uint32_t>;
using Mask = Lanes<bool>;

// Hides evenkeel::ieee, whose operations on one number are these on all lanes.
namespace ieee {
namespace one = evenkeel::ieee;
inline Float Add(Float a, Float b) {
  return Float::Map([](float x, float y) { return one::Add(x, y); }, a, b);
}
inline Float Sub(Float a, Float b) {
  return Float::Map([](float x, float y) { return one::Sub(x, y); }, a, b);
}
inline Float Mul(Float a, Float b) {
  return Float::Map([](float x, float y) { return one::Mul(x, y); }, a, b);
}
inline Float Div(Float a, Float b) {
  return Float::Map([](float x, float y) { return one::Div(x, y); }, a, b);
}
inline Float Max(Float a, Float b) {
  return Float::Map([](float x, float y) { return one::Max(x, y); }, a, b);
}
inline Float Min(Float a, Float b) {
  return Float::Map([](float x, float y) { return one::Min(x, y); }, a, b);
}
inline Float Fma(Float a, Float b, Float c) {
  return Float::Map([](float x, float y, float z) { return one::Fma(x, y, z); }, a, b, c);
}
inline Float NegFma(Float a, Float b, Float c) {
  return Float::Map([](float x, float y, float z) { return one::NegFma(x, y, z); }, a, b, c);
}
inline Float Sqrt(Float a) {
  return Float::Map([](float x) { return one::Sqrt(x); }, a);
}
inline Float Abs(Float a) {
  return Float::Map([](float x) { return one::Abs(x); }, a);
}
inline Float Neg(Float a) {
  return Float::Map([](float x) { return one::Neg(x); }, a);
}
inline Mask Less(Float a, Float b) { return a < b; }
inline Mask IsFinite(Float a) {
  return Mask::Map([](float x) { return one::IsFinite(x); }, a);
}
inline Float Select(Mask condition, Float yes, Float no) {
  return Float::Map([](bool x, float y, float z) { return one::Select(x, y, z); }, condition, yes, no);
}
inline Word Bits(Float a) {
  return Word::Map([](float x) { return one::Bits(x); }, a);
}
inline Float FromBits(Word a) {
  return Float::Map([](uint32_t x) { return one::FromBits(x); }, a);
}
inline Float Constant(float a) { return a; }
inline Word Constant(uint32_t a) { return a; }
inline Word Add(Word a, Word b) { return a + b; }
template <int kBits>
Word ShiftLeft(Word a) {
  return Word::Map([](uint32_t x) { return one::ShiftLeft<kBits>(x); }, a);
}
}  // namespace ieee

// The second needs the first.
// clang-format off
#include "kernels/routing/arithmetic-inl.h"
#include "kernels/routing/derivative-inl.h"
// clang-format on

// What a warp does together, and its memory.
namespace warp {

inline Word LaneIndex() {
  Word lanes;
  for (int l = 0; l < kWarp; ++l) lanes.lane[l] = l;
  return lanes;
}

inline Word Select(Mask condition, Word yes, Word no) {
  return Word::Map([](bool c, uint32_t y, uint32_t n) { return c ? y : n; }, condition, yes, no);
}

inline Float Choose(Mask condition, Float yes, Float no) { return ieee::Select(condition, yes, no); }

// The greater; where one is NaN the other.
inline Float MaxNumber(Float a, Float b) {
  return Float::Map([](float x, float y) { return x != x || y > x ? y : x; }, a, b);
}

// The lesser; NaN where one is.
inline Float MinOrNan(Float a, Float b) {
  return Float::Map([](float x, float y) { return x != x || x < y ? x : y; }, a, b);
}

// Bit l is lane l's.
inline uint32_t Ballot(Mask mask) {
  uint32_t bits = 0;
  for (int l = 0; l < kWarp; ++l) bits |= static_cast<uint32_t>(mask.lane[l]) << l;
  return bits;
}

inline int PopCount(uint32_t bits) { return __builtin_popcount(bits); }

// Of the bits below each lane's own.
inline Word PopCountBelow(uint32_t bits) {
  Word counts;
  for (int l = 0; l < kWarp; ++l) counts.lane[l] = __builtin_popcount(bits & ((1u << l) - 1));
  return counts;
}

inline uint32_t MaxOf(Word a) {
  uint32_t most = a.lane[0];
  for (const uint32_t value : a.lane) most = value > most ? value : most;
  return most;
}

inline uint32_t MinOf(Word a) { return ~MaxOf(~a); }

inline uint32_t SumOf(Word a) {
  uint32_t sum = 0;
  for (const uint32_t value : a.lane) sum += value;
  return sum;
}

// Bit r added where the mask lets it.
inline Word SetBit(Word bits, int r, Mask mask) { return bits | Select(mask, 1u << r, 0u); }

// Of words that are not 0: the number of the highest bit, and what is left without it.
inline Word HighestBit(Word bits) {
  return Word::Map([](uint32_t x) { return x == 0 ? ~0u : 31 - __builtin_clz(x); }, bits);
}
inline Word ClearBit(Word bits, Word r) {
  return Word::Map([](uint32_t x, uint32_t bit) { return x == 0 ? 0 : x & ~(1u << bit); }, bits, r);
}

// count + 1 where a > b.
inline Word CountGreater(Word count, Word a, Word b) { return count + Select(a > b, 1u, 0u); }

inline uint32_t Broadcast(Word a, int lane) { return a.lane[lane]; }

// To each half of the lanes, from its own.
inline Word BroadcastInHalf(Word a, int lane) {
  Word result;
  for (int l = 0; l < kWarp; ++l) result.lane[l] = a.lane[(l & 16) + lane];
  return result;
}

// From lane[l] to lane l.
inline Word Shuffle(Word a, Word lane) {
  return Word::Map([&a](uint32_t from) { return a.lane[from % kWarp]; }, lane);
}

template <typename T>
Lanes<T> ShuffleXor(Lanes<T> a, int distance) {
  Lanes<T> result;
  for (int l = 0; l < kWarp; ++l) result.lane[l] = a.lane[l ^ distance];
  return result;
}

// What lanes have stored in the caller's memory since they last met. A device keeps no order among their stores: two
// lanes that stored in one place are the end of the program.
class StoreLog {
 public:
  void Add(const void* at, size_t bytes, int lane) {
    const uintptr_t begin = reinterpret_cast<uintptr_t>(at);
    entries_.push_back({begin, begin + bytes, lane});
  }

  void Meet() {
    std::sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) { return a.begin < b.begin; });
    Entry last = {0, 0, -1};
    for (const Entry& entry : entries_) {
      if (entry.begin < last.end && entry.lane != last.lane) {
        std::fprintf(stderr, "lanes %d and %d store in one place without SyncStores\n", last.lane, entry.lane);
        std::abort();
      }
      if (entry.end > last.end) last = entry;
    }
    entries_.clear();
  }

 private:
  struct Entry {
    uintptr_t begin;
    uintptr_t end;
    int lane;
  };
  std::vector<Entry> entries_;
};

// Of the warp that this thread is executing.
inline StoreLog& Stores() {
  thread_local StoreLog log;
  return log;
}

// from[index + offset], where the mask lets it; elsewhere `otherwise`. Integers become words, negative ones in two's
// complement.
inline Float Load(const float* from, Word index, Mask mask, float otherwise, int offset = 0) {
  Float result = otherwise;
  for (int l = 0; l < kWarp; ++l) {
    if (mask.lane[l]) result.lane[l] = from[int64_t{index.lane[l]} + offset];
  }
  return result;
}

template <typename Integer>
Word Load(const Integer* from, Word index, Mask mask, uint32_t otherwise, int offset = 0) {
  Word result = otherwise;
  for (int l = 0; l < kWarp; ++l) {
    if (mask.lane[l]) result.lane[l] = static_cast<uint32_t>(from[int64_t{index.lane[l]} + offset]);
  }
  return result;
}

// from[index], where the mask lets it and that is in [0, end); elsewhere `otherwise`.
template <typename Integer>
Word LoadBelow(const Integer* from, Word index, Mask mask, uint32_t end, uint32_t otherwise) {
  Word result = otherwise;
  for (int l = 0; l < kWarp; ++l) {
    if (!mask.lane[l]) continue;
    const Integer value = from[index.lane[l]];
    if (value >= 0 && value < int64_t{end}) result.lane[l] = static_cast<uint32_t>(value);
  }
  return result;
}

template <typename Value>
void StoreOne(Value* to, Value value, int lane) {
  Stores().Add(to, sizeof(Value), lane);
  *to = value;
}

// to[index + offset] = value, where the mask lets it. Words become integers, in two's complement.
inline void Store(float* to, Word index, Float value, Mask mask, int offset = 0) {
  for (int l = 0; l < kWarp; ++l) {
    if (mask.lane[l]) StoreOne(to + index.lane[l] + offset, value.lane[l], l);
  }
}

template <typename Integer>
void Store(Integer* to, Word index, Word value, Mask mask, int offset = 0) {
  for (int l = 0; l < kWarp; ++l) {
    if (!mask.lane[l]) continue;
    StoreOne(to + index.lane[l] + offset, static_cast<Integer>(static_cast<int32_t>(value.lane[l])), l);
  }
}

// 16 bytes of zeros at to + 16 * index, where the mask lets it. A device takes no other addresses than multiples of 16.
inline void StoreZeroPiece(char* to, Word index, Mask mask) {
  for (int l = 0; l < kWarp; ++l) {
    if (!mask.lane[l]) continue;
    char* piece = to + int64_t{16} * index.lane[l];
    if (reinterpret_cast<uintptr_t>(piece) % 16 != 0) std::abort();
    Stores().Add(piece, 16, l);
    std::memset(piece, 0, 16);
  }
}

// Words of memory that the lanes of a warp, or the warps of a block, share. Between two calls of Sync a device's lanes
// come in any order: here a lane that meets what another one did since the last is the end of the program.
class SharedWords {
 public:
  explicit SharedWords(int size) : words_(size) {}

  uint32_t Read(int64_t index, int lane) {
    Entry& entry = Meet(index);
    if (entry.writer >= 0 && entry.writer != lane) Race("reads", index);
    entry.readers |= 1u << lane;
    return entry.value;
  }

  void Write(int64_t index, int lane, uint32_t value) {
    Entry& entry = Meet(index);
    const bool is_read = (entry.readers & ~(1u << lane)) != 0;
    if (is_read || (entry.writer >= 0 && entry.writer != lane)) Race("writes", index);
    entry.writer = lane;
    entry.value = value;
  }

  void Increment(int64_t index) { ++words_.at(index).value; }

  uint32_t value(int index) const { return words_.at(index).value; }

  void Sync() { ++epoch_; }

 private:
  struct Entry {
    uint32_t value = 0;
    int64_t epoch = 0;  // of the two below
    int writer = -1;
    uint32_t readers = 0;  // a bit a lane
  };

  Entry& Meet(int64_t index) {
    Entry& entry = words_.at(index);
    if (entry.epoch != epoch_) entry = {entry.value, epoch_, -1, 0};
    return entry;
  }

  [[noreturn]] static void Race(const char* what, int64_t index) {
    std::fprintf(stderr, "a lane %s shared word %ld, which another has met since the last Sync\n", what,
                 static_cast<long>(index));
    std::abort();
  }

  std::vector<Entry> words_;
  int64_t epoch_ = 1;
};

struct Shared {
  SharedWords* words;
  int first;
};

inline Shared operator+(Shared shared, int words) { return {shared.words, shared.first + words}; }

inline Word Load(Shared from, Word index, Mask mask, uint32_t otherwise) {
  Word result = otherwise;
  for (int l = 0; l < kWarp; ++l) {
    if (mask.lane[l]) result.lane[l] = from.words->Read(int64_t{from.first} + index.lane[l], l);
  }
  return result;
}

inline void Store(Shared to, Word index, Word value, Mask mask) {
  for (int l = 0; l < kWarp; ++l) {
    if (mask.lane[l]) to.words->Write(int64_t{to.first} + index.lane[l], l, value.lane[l]);
  }
}

// ++counts[index], where the mask lets it, whatever other lanes and warps count.
inline void Increment(Shared counts, Word index, Mask mask) {
  for (int l = 0; l < kWarp; ++l) {
    if (mask.lane[l]) counts.words->Increment(int64_t{counts.first} + index.lane[l]);
  }
}

// What any lane did to the memory before, all lanes see after.
inline void Sync(Shared memory) { memory.words->Sync(); }

// What any lane stored elsewhere before comes before what lanes store after.
inline void SyncStores() { Stores().Meet(); }

// 16 bits in the low half of a word.
inline Float FloatFromBFloat16(Word bits) {
  return Float::Map([](uint32_t x) { return routing::FloatFromBFloat16(static_cast<uint16_t>(x)); }, bits);
}
inline Float FloatFromHalf(Word bits) {
  return Float::Map([](uint32_t x) { return routing::FloatFromHalf(static_cast<uint16_t>(x)); }, bits);
}
inline Word BFloat16FromFloat(Float value) {
  return Word::Map([](float x) { return routing::BFloat16FromFloat(x); }, value);
}
inline Word HalfFromFloat(Float value) {
  return Word::Map([](float x) { return routing::HalfFromFloat(x); }, value);
}

// -1, 0 or 1, at random, the same in every run of a thread.
inline int AnySide() {
  thread_local std::minstd_rand random(1);
  return static_cast<int>(random() % 5) % 3 - 1;
}

// These err to either side, by all that approximations.h allows but for the rounding, or by nothing.
inline Float ApproximateSigmoid(Float x) {
  constexpr double kError = kApproximateSigmoidError - 0x1p-25;
  return Float::Map([](float score) { return static_cast<float>(score + AnySide() * kError); }, Sigmoid(x));
}
inline Float ApproximateReciprocal(Float x) {
  constexpr double kError = kApproximateReciprocalError - 0x1p-24;
  return Float::Map([](float value) { return static_cast<float>((1 + AnySide() * kError) / value); }, x);
}

// NaN for what is not approximated.
inline Float ApproximateSqrtSoftplus(Float x) {
  constexpr double kError = kApproximateSqrtSoftplusError - 0x1p-16;
  const Float scores = SqrtSoftplus(x);
  return Float::Map(
      [](float x, float score) {
        return x > kApproximatedLogits ? __builtin_nanf("") : static_cast<float>(score + AnySide() * kError);
      },
      x, scores);
}

inline Float RandomScore(uint64_t row_key, Word expert) {
  return Float::Map([row_key](uint32_t e) { return routing::RandomScore(row_key, static_cast<int>(e)); }, expert);
}

}  // namespace warp
}  // namespace evenkeel::routing::emulated
