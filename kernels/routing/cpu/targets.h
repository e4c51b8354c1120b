#pragma once

// Which Highway targets the SIMD routers are compiled for. To be included before any header of Highway's.
//
// Vectors whose length is known at run time only cannot be held in arrays and structs, as the routers do; a processor
// that has them (SVE) runs the NEON target, one that has nothing else (RVV) the reference.
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
