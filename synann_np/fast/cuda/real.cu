// The number type of all kernels, and what a warp or a block does together.
//
// real is float; REAL_IS_DOUBLE is for tests, which then compare whole trainings without the noise of rounding.
// Names of types are spelled out, because a runtime compiler has no <cstdint>.

#if REAL_IS_DOUBLE
typedef double real;
#define SMALLEST_NORMAL 2.2250738585072014e-308
#define LARGEST 1.7976931348623157e308
#define SQRT_LARGEST 1.3407807929942596e154
#else
typedef float real;
#define SMALLEST_NORMAL 1.17549435e-38f
#define LARGEST 3.40282347e38f
#define SQRT_LARGEST 1.84467429e19f
#endif

typedef unsigned char uint8;
typedef unsigned int uint32;
typedef long long int64;
typedef unsigned long long uint64;

struct __align__(2 * sizeof(real)) real2 { real x, y; };
struct __align__(4 * sizeof(real)) real4 { real x, y, z, w; };

#define WHOLE_WARP 0xffffffffu

// Sum over groups of LANES lanes, and over a warp: the same in every lane. The order of the additions is fixed.
template <int LANES>
__device__ inline real group_sum(real value)
{
    for (int distance = LANES / 2; distance > 0; distance /= 2)
        value += __shfl_xor_sync(WHOLE_WARP, value, distance);
    return value;
}

__device__ inline real warp_sum(real value) { return group_sum<32>(value); }

// NaN wins, as in NumPy: it must not be hidden.
__device__ inline real larger(real a, real b) { return a > b || a != a ? a : b; }

// Maximum over a warp.
__device__ inline real warp_max(real value)
{
    for (int distance = 16; distance > 0; distance /= 2)
        value = larger(value, __shfl_xor_sync(WHOLE_WARP, value, distance));
    return value;
}

// The same over a block of THREADS threads; slots: THREADS / 32 in shared memory.
template <int THREADS>
__device__ inline real block_sum(real value, real *slots)
{
    value = warp_sum(value);
    __syncthreads();
    if (threadIdx.x % 32 == 0) slots[threadIdx.x / 32] = value;
    __syncthreads();
    real sum = 0;
    for (int k = 0; k < THREADS / 32; k++) sum += slots[k];
    return sum;
}

template <int THREADS>
__device__ inline real block_max(real value, real *slots)
{
    value = warp_max(value);
    __syncthreads();
    if (threadIdx.x % 32 == 0) slots[threadIdx.x / 32] = value;
    __syncthreads();
    real largest = slots[0];
    for (int k = 1; k < THREADS / 32; k++) largest = larger(largest, slots[k]);
    return largest;
}

// −bound ≤ value ≤ bound, NaN stays.
__device__ inline real clip(real value, real bound)
{
    return value > bound ? bound : value < -bound ? -bound : value;
}

// The threads of a block copy an array to shared memory, four values a load; visible after the next __syncthreads().
// Both begin at a multiple of four values, and have room for one: COUNT is rounded up.
template <int COUNT, int THREADS>
__device__ inline void copy_array(real *to, const real *__restrict__ from)
{
#pragma unroll
    for (int e = threadIdx.x; e < (COUNT + 3) / 4; e += THREADS) ((real4 *)to)[e] = ((const real4 *)from)[e];
}
