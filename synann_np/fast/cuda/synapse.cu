// The synapse:  y_i = α_i x_i P_i,  P_i = ∏_j q_ij,  q_ij = 1 − β_ij v_j      (the derivation: layers/synapse.py)
//
// P as a product: R = ∏ of the factors that are not 0, and the number of zeros. Neither 64 nor 16,384 factors may
// underflow on the way, so a product is kept as mantissa · 2^exponent, 1 ≤ |mantissa| < 2. R is clipped to ±√LARGEST.
// The gradient of a factor is that of the product of the others: with t = dy α x R,
//
//     c_ij = t_i / q_ij    no factor of i is 0
//     c_ij = t_i           one is, q_ij; 0 for the other j
//     c_ij = 0             two are
//
// which needs no case distinction but on q, if t is stored apart: as `t` in the first case, as `t_zero` in the second.
//
//     dα_i = Σ_n dy_i x_i P_i      dx_i = dy_i α_i P_i      dβ_ij = −Σ_n c_ij v_j      dv_j = −Σ_i c_ij β_ij

struct Product {
    real mantissa;
    int exponent;
    int zeros;  // 0, 1, 2: more are as good as 2
};

// mantissa · 2^exponent with 1 ≤ |mantissa| < 2. NaN and infinity stay.
__device__ inline void normalise(real &mantissa, int &exponent)
{
#if REAL_IS_DOUBLE
    uint64 bits = (uint64)__double_as_longlong(mantissa);
    int e = (int)(bits >> 52 & 0x7ff);
    if (e == 0x7ff) return;
    exponent += e - 1023;
    mantissa = __longlong_as_double((int64)((bits & 0x800fffffffffffffull) | 0x3ff0000000000000ull));
#else
    uint32 bits = (uint32)__float_as_int(mantissa);
    int e = (int)(bits >> 23 & 0xff);
    if (e == 0xff) return;
    exponent += e - 127;
    mantissa = __int_as_float((int)((bits & 0x807fffffu) | 0x3f800000u));
#endif
}

__device__ inline void multiply(Product &p, real q)
{
    if (q == 0) {
        p.zeros = p.zeros == 0 ? 1 : 2;
    } else {
        normalise(q, p.exponent);
        p.mantissa *= q;
        normalise(p.mantissa, p.exponent);
    }
}

__device__ inline void multiply(Product &p, const Product &other)
{
    p.mantissa *= other.mantissa;
    p.exponent += other.exponent;
    p.zeros = min(p.zeros + other.zeros, 2);
    normalise(p.mantissa, p.exponent);
}

// R, clipped. Far below the smallest number it is 0.
__device__ inline real value_of(const Product &p)
{
    constexpr int largest = REAL_IS_DOUBLE ? 511 : 63;  // √LARGEST just misses 2^(largest + 1)
    return clip(ldexp(p.mantissa, max(min(p.exponent, largest + 1), -4 * largest)), SQRT_LARGEST);
}

// t / q, in float within 2 units of the last place, at a third of the time of an exact one; 0 from |q| = 2^126 on.
__device__ inline real quotient(real t, real q)
{
#if REAL_IS_DOUBLE
    return t / q;
#else
    return __fdividef(t, q);
#endif
}

__device__ inline real synapse_c(real q, real t, real t_zero)
{
    return clip(q == 0 ? t_zero : quotient(t, q), SQRT_LARGEST);
}

// One row, v = x, HIDDEN units, by the first 4 · HIDDEN threads: four lanes share a unit, each multiplies a quarter of
// its factors. x in shared memory. Returns the product in each of the four.
__device__ inline Product synapse_product(const real *x, const real *__restrict__ beta)
{
    int i = threadIdx.x / 4;
    Product p = {1, 0, 0};
#pragma unroll
    for (int j = threadIdx.x % 4; j < HIDDEN; j += 4) multiply(p, 1 - beta[i * HIDDEN + j] * x[j]);
    for (int distance = 1; distance < 4; distance *= 2) {
        Product other;
        other.mantissa = __shfl_xor_sync(WHOLE_WARP, p.mantissa, distance);
        other.exponent = __shfl_xor_sync(WHOLE_WARP, p.exponent, distance);
        other.zeros = __shfl_xor_sync(WHOLE_WARP, p.zeros, distance);
        multiply(p, other);
    }
    return p;
}

// Σ_i c_ij β_ij over i = first, first + STEP, ...: a part of −dv_j of one row.
template <int STEP>
__device__ inline real synapse_dv_part(const real *t, const real *t_zero, real v, const real *__restrict__ beta, int j,
                                       int first)
{
    real sum = 0;
#pragma unroll
    for (int k = 0; k < (HIDDEN + STEP - 1) / STEP; k++) {
        int i = first + k * STEP;
        if (i < HIDDEN) {
            real b = beta[i * HIDDEN + j];
            sum += clip(synapse_c(1 - b * v, t[i], t_zero[i]) * b, SQRT_LARGEST);
        }
    }
    return sum;
}
