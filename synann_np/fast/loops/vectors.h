/* Vectors of the widest kind that this processor computes with, as GCC and clang write them. Needs REAL.

A kernel is a function void f(const struct job *job, int64_t part, int64_t seat). Python calls it once for every part, on
some threads (threads.c); `seat`, below their number, is that of the thread, for scratch memory. Any thread may take any
part at any time: a part writes to places of its own, and sums over parts are added afterwards in the order of the parts,
so that results do not depend on the number of threads. Every field of a job has 8 bytes (arrays.py). */

#include <stdint.h>
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

typedef REAL vec __attribute__((vector_size(BYTES), aligned(sizeof(REAL)), may_alias)); /* at any address */

#define LANES ((int)(BYTES / sizeof(REAL)))
#define LEAST(a, b) ((a) < (b) ? (a) : (b))
#define MOST(a, b) ((a) > (b) ? (a) : (b))
#define UP(n, step) (((n) + (step) - 1) / (step) * (step)) /* n rounded up to whole steps */
#define INLINE static inline __attribute__((always_inline))
#define APART _Pragma("GCC ivdep") /* the arrays of the loop do not overlap */
#define UNROLL _Pragma("GCC unroll 32") /* so that what the loop indexes lies in registers */

const int64_t lanes = LANES;

/* A vector, or its first numbers where fewer are left. */
INLINE void copy(void *to, const void *from, int64_t left)
{
    if (left >= LANES) memcpy(to, from, sizeof(vec));
    else memcpy(to, from, left * sizeof(REAL));
}
