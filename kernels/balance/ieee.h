#pragma once

// Add, subtract, multiply and divide, each rounded once to nearest and never contracted, on host and device.
// The host is built with -ffp-contract=off; on the device the intrinsics keep the compiler from fusing.

#ifndef EVENKEEL_HD
#ifdef __CUDACC__
#define EVENKEEL_HD __host__ __device__
#else
#define EVENKEEL_HD
#endif
#endif

namespace evenkeel::balance::ieee {

#ifdef __CUDA_ARCH__
EVENKEEL_HD inline float Add(float a, float b) { return __fadd_rn(a, b); }
EVENKEEL_HD inline float Sub(float a, float b) { return __fsub_rn(a, b); }
EVENKEEL_HD inline float Mul(float a, float b) { return __fmul_rn(a, b); }
EVENKEEL_HD inline float Div(float a, float b) { return __fdiv_rn(a, b); }
EVENKEEL_HD inline double Add(double a, double b) { return __dadd_rn(a, b); }
EVENKEEL_HD inline double Sub(double a, double b) { return __dsub_rn(a, b); }
EVENKEEL_HD inline double Mul(double a, double b) { return __dmul_rn(a, b); }
EVENKEEL_HD inline double Div(double a, double b) { return __ddiv_rn(a, b); }
#else
EVENKEEL_HD inline float Add(float a, float b) { return a + b; }
EVENKEEL_HD inline float Sub(float a, float b) { return a - b; }
EVENKEEL_HD inline float Mul(float a, float b) { return a * b; }
EVENKEEL_HD inline float Div(float a, float b) { return a / b; }
EVENKEEL_HD inline double Add(double a, double b) { return a + b; }
EVENKEEL_HD inline double Sub(double a, double b) { return a - b; }
EVENKEEL_HD inline double Mul(double a, double b) { return a * b; }
EVENKEEL_HD inline double Div(double a, double b) { return a / b; }
#endif

}  // namespace evenkeel::balance::ieee
