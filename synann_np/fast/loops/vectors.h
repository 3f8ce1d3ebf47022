/* Vectors of the widest kind that this processor computes with, as GCC and clang write them. Needs REAL. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__AVX512F__)
#define BYTES 64
#elif defined(__AVX__)
#define BYTES 32
#else
#define BYTES 16
#endif
#if defined(__AVX512F__) || defined(__aarch64__)
#define REGISTERS 32
#else
#define REGISTERS 16
#endif

typedef REAL vec __attribute__((vector_size(BYTES), may_alias));

#define LANES ((int)(BYTES / sizeof(REAL)))
#define LEAST(a, b) ((a) < (b) ? (a) : (b))
#define UP(n, step) (((n) + (step) - 1) / (step) * (step)) /* n rounded up to whole steps */
#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 32") /* so that what the loop indexes lies in registers */

INLINE void *aligned(int64_t bytes)
{
    return aligned_alloc(BYTES, UP(bytes + 1, BYTES));
}
