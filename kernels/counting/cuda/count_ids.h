#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "kernels/atomic.h"
#include "kernels/counting/count.h"
#include "kernels/ieee.h"

// IdsInput counted by a grid of blocks, in one text for the device and for emulated blocks, which
// kernels/emulated_block.h describes. Inside a phase threads write to what they share by atomics only, or one of them
// to what no other touches; outside of phases all do the same and write nothing.
//
// A block counts in its own memory, and adds that to the totals once. Each id is read once from the device's memory,
// and that is the physical limit: rows * top_k * the bytes of an id over the bandwidth. A row of up to kMostSlots is
// one thread's, in registers: all pairs of its slots are compared, and no thread waits for another. The neighbours'
// rows lie beside it, so that what a warp reads is whole lines; a line that it reads in parts is in the L1 after the
// first. Longer rows go to a block one by one, which marks what it has seen.
namespace evenkeel::counting {

// What is in registers has no address.
#ifdef __CUDACC__
#define EVENKEEL_UNROLL_SLOTS _Pragma("unroll")
#else
#define EVENKEEL_UNROLL_SLOTS
#endif

inline constexpr int kMostSlots = 32;

// What the threads of a block share. A block with fewer experts has only the beginning of it. It counts fewer than 2^32
// slots: so many ids for each block are more memory than there is.
struct CountMemory {
  uint32_t valid_rows;
  uint32_t short_slots;
  uint32_t refused;
  uint32_t row_is_refused;                   // of a long row
  uint32_t seen[routing::kMaxExperts / 32];  // of a long row, a bit an expert
  uint32_t counts[routing::kMaxExperts];
};

constexpr size_t CountMemoryBytes(int num_experts) {
  return offsetof(CountMemory, counts) + num_experts * sizeof(uint32_t);
}

// The block's place in its grid: index in [0, blocks).
struct GridPlace {
  int64_t index;
  int64_t blocks;
};

EVENKEEL_HD_INLINE bool IsValid(const IdsInput& input, int64_t row) {
  return input.valid_mask == nullptr || input.valid_mask[row] != 0;
}

template <typename Id>
EVENKEEL_HD_INLINE const Id* RowOf(const IdsInput& input, int64_t row) {
  return static_cast<const Id*>(input.ids) + row * input.ids_stride;
}

template <typename Id>
EVENKEEL_HD_INLINE bool CanBeId(const IdsInput& input, Id id) {
  return id >= -1 && id < input.num_experts;
}

// A row of up to kSlots slots.
template <int kSlots>
struct RowIds {
  int32_t ids[kSlots];  // negative where there is no expert
  bool countable;
};

template <int kSlots, typename Id>
EVENKEEL_HD_INLINE RowIds<kSlots> ReadRow(const IdsInput& input, const Id* row) {
  // All are asked for before the first is looked at.
  Id ids[kSlots];
  EVENKEEL_UNROLL_SLOTS
  for (int slot = 0; slot < kSlots; ++slot) ids[slot] = slot < input.top_k ? row[slot] : Id{-1};

  RowIds<kSlots> read;
  read.countable = true;
  EVENKEEL_UNROLL_SLOTS
  for (int slot = 0; slot < kSlots; ++slot) {
    read.countable &= CanBeId(input, ids[slot]);
    // No two without an expert are the same.
    read.ids[slot] = ids[slot] == -1 ? -1 - slot : static_cast<int32_t>(ids[slot]);
    EVENKEEL_UNROLL_SLOTS
    for (int earlier = 0; earlier < slot; ++earlier) read.countable &= read.ids[slot] != read.ids[earlier];
  }
  return read;
}

// Of one thread.
struct RowTotals {
  uint32_t valid_rows;
  uint32_t short_slots;
  uint32_t refused;
};

template <int kSlots>
EVENKEEL_HD_INLINE void CountRow(const IdsInput& input, const RowIds<kSlots>& row, uint32_t* counts,
                                 RowTotals* totals) {
  if (!row.countable) {
    ++totals->refused;
    return;
  }
  ++totals->valid_rows;
  EVENKEEL_UNROLL_SLOTS
  for (int slot = 0; slot < kSlots; ++slot) {
    if (row.ids[slot] >= 0) {
      AtomicAdd(&counts[row.ids[slot]], 1);
    } else if (slot < input.top_k) {
      ++totals->short_slots;
    }
  }
}

// Every thread its rows.
template <int kSlots, typename Id, typename Block>
EVENKEEL_HD_INLINE void CountShortRows(Block& block, const IdsInput& input, GridPlace place) {
  block.Phase([&](int thread) {
    CountMemory& memory = block.memory();
    RowTotals totals = {0, 0, 0};
    const int64_t step = place.blocks * Block::kThreads;
    for (int64_t row = place.index * Block::kThreads + thread; row < input.rows; row += step) {
      if (!IsValid(input, row)) continue;
      CountRow(input, ReadRow<kSlots>(input, RowOf<Id>(input, row)), memory.counts, &totals);
    }
    if (totals.valid_rows != 0) AtomicAdd(&memory.valid_rows, totals.valid_rows);
    if (totals.short_slots != 0) AtomicAdd(&memory.short_slots, totals.short_slots);
    if (totals.refused != 0) AtomicAdd(&memory.refused, totals.refused);
  });
}

// Whether it is an expert's id that no thread has marked in this row before.
EVENKEEL_HD_INLINE bool MarkSeen(int64_t id, uint32_t* seen) {
  const uint32_t bit = 1u << (id % 32);
  return (AtomicOr(&seen[id / 32], bit) & bit) == 0;
}

template <typename Id, typename Block>
EVENKEEL_HD_INLINE void CountLongRow(Block& block, const IdsInput& input, const Id* row) {
  CountMemory& memory = block.memory();
  block.Phase([&](int thread) {
    if (thread == 0) memory.row_is_refused = 0;
    for (int word = thread; word < (input.num_experts + 31) / 32; word += Block::kThreads) memory.seen[word] = 0;
  });
  block.Phase([&](int thread) {
    for (int slot = thread; slot < input.top_k; slot += Block::kThreads) {
      const Id id = row[slot];
      if (id == -1) continue;
      if (!CanBeId(input, id) || !MarkSeen(id, memory.seen)) AtomicOr(&memory.row_is_refused, 1);
    }
  });
  block.Phase([&](int thread) {
    const bool refused = memory.row_is_refused != 0;
    if (thread == 0) ++(refused ? memory.refused : memory.valid_rows);
    if (refused) return;
    for (int slot = thread; slot < input.top_k; slot += Block::kThreads) {
      const Id id = row[slot];
      AtomicAdd(id == -1 ? &memory.short_slots : &memory.counts[id], 1);
    }
  });
}

template <typename Id, typename Block>
EVENKEEL_HD_INLINE void CountLongRows(Block& block, const IdsInput& input, GridPlace place) {
  for (int64_t row = place.index; row < input.rows; row += place.blocks) {
    if (IsValid(input, row)) CountLongRow(block, input, RowOf<Id>(input, row));
  }
}

template <typename Block>
EVENKEEL_HD_INLINE void AddToTotals(Block& block, const IdsInput& input, const CountOutput& output) {
  block.Phase([&](int thread) {
    const CountMemory& memory = block.memory();
    for (int expert = thread; expert < input.num_experts; expert += Block::kThreads) {
      if (memory.counts[expert] != 0) AtomicAdd64(&output.counts[expert], memory.counts[expert]);
    }
    if (thread != 0) return;
    if (memory.valid_rows != 0) AtomicAdd64(&output.stats->valid_rows, memory.valid_rows);
    if (memory.short_slots != 0) AtomicAdd64(&output.stats->short_slots, memory.short_slots);
    if (memory.refused != 0) AtomicAdd64(output.refused, memory.refused);
  });
}

// What a block of the grid does. kSlots has room for top_k, or is 0 for long rows; Id is what input.id_type names.
template <int kSlots, typename Id, typename Block>
EVENKEEL_HD_INLINE void CountIdsInBlock(Block& block, const IdsInput& input, const CountOutput& output,
                                        GridPlace place) {
  block.Phase([&](int thread) {
    CountMemory& memory = block.memory();
    for (int expert = thread; expert < input.num_experts; expert += Block::kThreads) memory.counts[expert] = 0;
    if (thread == 0) memory.valid_rows = memory.short_slots = memory.refused = 0;
  });
  if constexpr (kSlots == 0) {
    CountLongRows<Id>(block, input, place);
  } else {
    CountShortRows<kSlots, Id>(block, input, place);
  }
  AddToTotals(block, input, output);
}

// The rows that a block takes at a time.
template <int kSlots, typename Block>
inline constexpr int kRowsAtATime = kSlots == 0 ? 1 : Block::kThreads;

template <int kSlots, typename Call>
auto CallWithId(routing::IdType id_type, Call call) {
  constexpr std::integral_constant<int, kSlots> slots = {};
  return id_type == routing::IdType::kInt32 ? call(slots, int32_t{}) : call(slots, int64_t{});
}

// call(std::integral_constant<int, kSlots>(), Id()) for the least kSlots and the Id of CountIdsInBlock.
template <typename Call>
auto CallForIds(const IdsInput& input, Call call) {
  if (input.top_k <= 2) return CallWithId<2>(input.id_type, call);
  if (input.top_k <= 4) return CallWithId<4>(input.id_type, call);
  if (input.top_k <= 8) return CallWithId<8>(input.id_type, call);
  if (input.top_k <= 16) return CallWithId<16>(input.id_type, call);
  if (input.top_k <= kMostSlots) return CallWithId<kMostSlots>(input.id_type, call);
  return CallWithId<0>(input.id_type, call);
}

#undef EVENKEEL_UNROLL_SLOTS

}  // namespace evenkeel::counting
