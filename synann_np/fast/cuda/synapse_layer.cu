// The synapse layer of any size: N rows, I units, J inhibitors, N I J factors.
//
//     R_ni = ∏_j (1 − β_ij v_nj), zeros apart       y_ni = α_i x_ni P_ni      (synapse.cu)
//
// Tiled like a matrix product: a block computes 32 × 64 results, a thread 4 × 4, over J in chunks of 32 that stand in
// shared memory. A factor costs one multiply-add (q = 1 − β v) and one multiply, so half of the chip's fp32 rate is the
// limit. Over a chunk the product runs free; then it is checked once and moves its exponent to an integer, together
// about 10 instructions for 32 factors. Where it left the range of normal numbers, or a factor was 0, the thread takes
// the chunk again factor by factor (with -ftz=true an underflow is exactly 0, so none is overlooked).
//
// Backward: dβ_ij = −Σ_n c_nij v_nj and dv_nj = −Σ_i c_nij β_ij are the same sum, over another index:
//
//     out_rc = −Σ_k a_kc t_kr / (1 − a_kc f_rc)        dβ: r = i, c = j, k = n, a = v, f = β
//                                                      dv: r = n, c = j, k = i, a = β, f = v
//
// A reciprocal costs as much as 8 multiply-adds (MUFU: 16 a clock and SM, against 128), so four terms share one:
//
//     n₀/q₀ + n₁/q₁ = (n₀ q₁ + n₁ q₀) / (q₀ q₁), twice
//
// Of four terms: 4 products n = a t, 4 q, 2 · 3 for two pairs, 3 to join them, 1 to add: 18, and 3 for the check, that
// is 5.3 instructions a term, beside one reciprocal (2 multiply-adds' worth a term, in another pipe). Where the
// denominator or the result leaves the safe range, the four terms are computed one by one.

#define TILE_R 32
#define TILE_C 64
#define TILE_K 32
#define LAYER_THREADS 128

// tile[k][e] = from[(first + e) stride_e + (k₀ + k) stride_k], 0 outside. ALONG_K: neighbouring threads take
// neighbouring k, else neighbouring e: whichever has stride 1.
template <int WIDTH, bool ALONG_K>
__device__ inline void load_chunk(real (*tile)[WIDTH + 4], const real *__restrict__ from, int first, int count,
                                  int64 stride_e, int k0, int K, int64 stride_k)
{
#pragma unroll 8
    for (int item = threadIdx.x; item < WIDTH * TILE_K; item += LAYER_THREADS) {
        int k = ALONG_K ? item % TILE_K : item / WIDTH, e = ALONG_K ? item / TILE_K : item % WIDTH;
        bool inside = first + e < count && k0 + k < K;
        tile[k][e] = inside ? from[(first + e) * stride_e + (k0 + k) * stride_k] : (real)0;
    }
}

__device__ inline void take_four(real to[4], const real *from)
{
    real4 four = *(const real4 *)from;
    to[0] = four.x;
    to[1] = four.y;
    to[2] = four.z;
    to[3] = four.w;
}

struct LayerMemory {
    // + 4: neighbouring rows in different banks, and loads of four still aligned.
    __align__(4 * sizeof(real)) real r[TILE_K][TILE_R + 4];
    __align__(4 * sizeof(real)) real c[TILE_K][TILE_C + 4];
};

extern "C" __global__ void __launch_bounds__(LAYER_THREADS)
synapse_forward(const real *__restrict__ x, const real *__restrict__ v, const real *__restrict__ alpha,
                const real *__restrict__ beta, real *__restrict__ product, uint8 *__restrict__ zeros,
                real *__restrict__ y, int N, int I, int J)
{
    __shared__ LayerMemory m;
    int first_n = blockIdx.y * TILE_R, first_i = blockIdx.x * TILE_C;
    int r = threadIdx.x / 16 * 4, c = threadIdx.x % 16 * 4;
    Product p[4][4];
#pragma unroll
    for (int a = 0; a < 4; a++)
#pragma unroll
        for (int b = 0; b < 4; b++) p[a][b] = {1, 0, 0};

    for (int k0 = 0; k0 < J; k0 += TILE_K) {
        load_chunk<TILE_R, true>(m.r, v, first_n, N, J, k0, J, 1);
        load_chunk<TILE_C, true>(m.c, beta, first_i, I, J, k0, J, 1);
        __syncthreads();
        real chunk[4][4];
#pragma unroll
        for (int a = 0; a < 4; a++)
#pragma unroll
            for (int b = 0; b < 4; b++) chunk[a][b] = 1;
#pragma unroll 8
        for (int k = 0; k < TILE_K; k++) {
            real v4[4], b4[4];
            take_four(v4, m.r[k] + r);
            take_four(b4, m.c[k] + c);
#pragma unroll
            for (int a = 0; a < 4; a++)
#pragma unroll
                for (int b = 0; b < 4; b++) chunk[a][b] *= 1 - b4[b] * v4[a];
        }
#pragma unroll
        for (int a = 0; a < 4; a++)
#pragma unroll
            for (int b = 0; b < 4; b++) {
                real size = fabs(chunk[a][b]);
                if (size >= SMALLEST_NORMAL && size <= LARGEST / 4) {
                    p[a][b].mantissa *= chunk[a][b];
                    normalise(p[a][b].mantissa, p[a][b].exponent);
                } else {
#pragma unroll 1
                    for (int k = 0; k < TILE_K; k++) multiply(p[a][b], 1 - m.c[k][c + b] * m.r[k][r + a]);
                }
            }
        __syncthreads();
    }
#pragma unroll
    for (int a = 0; a < 4; a++)
#pragma unroll
        for (int b = 0; b < 4; b++) {
            int n = first_n + r + a, i = first_i + c + b;
            if (n < N && i < I) {
                int64 e = (int64)n * I + i;
                real R = value_of(p[a][b]);
                product[e] = R;
                zeros[e] = (uint8)p[a][b].zeros;
                y[e] = alpha[i] * x[e] * (p[a][b].zeros == 0 ? R : (real)0);
            }
        }
}

// t, t_zero, dx, and dα summed over the rows: a block takes 32 units, its 8 warps every eighth row.
extern "C" __global__ void __launch_bounds__(256)
synapse_backward_t(const real *__restrict__ x, const real *__restrict__ alpha, const real *__restrict__ product,
                   const uint8 *__restrict__ zeros, const real *__restrict__ dy, real *__restrict__ t,
                   real *__restrict__ t_zero, real *__restrict__ dx, real *__restrict__ dalpha, int N, int I)
{
    __shared__ real sums[8][32];
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32, i = blockIdx.x * 32 + lane;
    real sum = 0;
    if (i < I) {
        real a = alpha[i];
        for (int n = warp; n < N; n += 8) {
            int64 e = (int64)n * I + i;
            real R = product[e], P = zeros[e] == 0 ? R : (real)0, c = dy[e] * a * x[e] * R;
            t[e] = zeros[e] == 0 ? c : (real)0;
            t_zero[e] = zeros[e] == 1 ? c : (real)0;
            dx[e] = dy[e] * a * P;
            sum += dy[e] * x[e] * P;
        }
    }
    sums[warp][lane] = sum;
    __syncthreads();
    if (warp == 0 && i < I) {
        sum = 0;
#pragma unroll
        for (int k = 0; k < 8; k++) sum += sums[k][lane];
        dalpha[i] = sum;
    }
}

// out (R, C), a (K, C), f (R, C); t_kr = t[r stride_r + k stride_k]. One of the strides is 1.
template <bool ALONG_K>
__device__ inline void sum_of_quotients(LayerMemory &m, const real *__restrict__ a, const real *__restrict__ f,
                                        const real *__restrict__ t, const real *__restrict__ t_zero, real *out, int R,
                                        int C, int K, int64 stride_r, int64 stride_k)
{
    int first_r = blockIdx.y * TILE_R, first_c = blockIdx.x * TILE_C;
    int r = threadIdx.x / 16 * 4, c = threadIdx.x % 16 * 4;
    real fixed[4][4], sum[4][4];
#pragma unroll
    for (int i = 0; i < 4; i++)
#pragma unroll
        for (int j = 0; j < 4; j++) {
            bool inside = first_r + r + i < R && first_c + c + j < C;
            fixed[i][j] = inside ? f[(int64)(first_r + r + i) * C + first_c + c + j] : (real)0;
            sum[i][j] = 0;
        }
    for (int k0 = 0; k0 < K; k0 += TILE_K) {
        load_chunk<TILE_R, ALONG_K>(m.r, t, first_r, R, stride_r, k0, K, stride_k);
        load_chunk<TILE_C, false>(m.c, a, first_c, C, 1, k0, K, C);
        __syncthreads();
#pragma unroll 1
        for (int k = 0; k < TILE_K; k += 4) {
            real t4[4][4], a4[4][4];
#pragma unroll
            for (int s = 0; s < 4; s++) {
                take_four(t4[s], m.r[k + s] + r);
                take_four(a4[s], m.c[k + s] + c);
            }
#pragma unroll
            for (int i = 0; i < 4; i++)
#pragma unroll
                for (int j = 0; j < 4; j++) {
                    real q[4], n[4];
#pragma unroll
                    for (int s = 0; s < 4; s++) {
                        q[s] = 1 - a4[s][j] * fixed[i][j];
                        n[s] = a4[s][j] * t4[s][i];
                    }
                    real q01 = q[0] * q[1], q23 = q[2] * q[3], denominator = q01 * q23;
                    real n01 = n[0] * q[1] + n[1] * q[0], n23 = n[2] * q[3] + n[3] * q[2];
                    real four = quotient(n01 * q23 + n23 * q01, denominator);
                    real size = fabs(denominator);
                    if (size > (real)1e-30 && size < (real)1e30 && fabs(four) < (real)1e18) {
                        sum[i][j] -= four;
                    } else {
#pragma unroll 1
                        for (int s = 0; s < 4; s++) {
                            bool inside = first_r + r + i < R && k0 + k + s < K;
                            int64 e = (first_r + r + i) * stride_r + (k0 + k + s) * stride_k;
                            real apart = inside ? t_zero[e] : (real)0;
                            real one = m.c[k + s][c + j];
                            real q1 = 1 - one * fixed[i][j];
                            sum[i][j] -= clip(synapse_c(q1, m.r[k + s][r + i], apart) * one, SQRT_LARGEST);
                        }
                    }
                }
        }
        __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < 4; i++)
#pragma unroll
        for (int j = 0; j < 4; j++)
            if (first_r + r + i < R && first_c + c + j < C)
                out[(int64)(first_r + r + i) * C + first_c + c + j] = sum[i][j];
}

extern "C" __global__ void __launch_bounds__(LAYER_THREADS, 3)
synapse_backward_beta(const real *__restrict__ v, const real *__restrict__ beta, const real *__restrict__ t,
                      const real *__restrict__ t_zero, real *__restrict__ dbeta, int N, int I, int J)
{
    __shared__ LayerMemory m;
    sum_of_quotients<false>(m, v, beta, t, t_zero, dbeta, I, J, N, 1, I);
}

extern "C" __global__ void __launch_bounds__(LAYER_THREADS, 3)
synapse_backward_v(const real *__restrict__ v, const real *__restrict__ beta, const real *__restrict__ t,
                   const real *__restrict__ t_zero, real *__restrict__ dv, int N, int I, int J)
{
    __shared__ LayerMemory m;
    sum_of_quotients<true>(m, beta, v, t, t_zero, dv, N, J, I, I, 1);
}
