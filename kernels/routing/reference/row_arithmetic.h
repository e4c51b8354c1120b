#pragma once

// The defined arithmetic (arithmetic.h) over the values of one row. Pure functions, safe in any thread.
namespace evenkeel::routing {

struct RowArithmetic {
  // out[i] = f(in[i]) for i < size. `in` and `out` may be one array.
  void (*sigmoid)(const float* in, int size, float* out);
  void (*sqrt_softplus)(const float* in, int size, float* out);

  // out[i] = e(i) / s, with e(i) = ExpOfDifference(in[i], m), m the maximum and s the LaneSum of all e(i). All of it is
  // NaN when one value is NaN or the maximum is not finite. size >= 1; `in` and `out` may be one array.
  void (*softmax)(const float* in, int size, float* out);
};

// By the processor's fma instruction where it has one, else PortableRowArithmetic().
const RowArithmetic& NativeRowArithmetic();

// By the C library's fmaf: the same bits, on any processor, many times slower.
const RowArithmetic& PortableRowArithmetic();

}  // namespace evenkeel::routing
