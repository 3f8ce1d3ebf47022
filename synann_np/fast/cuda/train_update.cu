// What is left of the gradients, and SGD, all parameters in one launch.
//
//     g ← g + weight_decay p        v ← momentum v + g        p ← p − lr v      (nesterov: p ← p − lr (g + momentum v))
//
// Blocks of two kinds. The first SUM_BLOCKS add the parts of 32 parameters each: train_backward's, then train_head's.
// The others compute a tile of 2 × 32 gradients that are products over the rows. Four threads share an element, each
// takes every fourth row, and the four sums are added in their order:
//
//     fc1.weight   dw_ij = Σ_n dh_ni a_nj            fcn.beta   dβ_ij = −Σ_n c_nij x_nj   (c: synapse.cu)
//
// All sums run in a fixed order, without atomics: equal runs are equal to the last bit. One thread moves the counters;
// no other thread of this kernel reads them.

#define UPDATE_THREADS 256
#define SUM_BLOCKS ((ROW_SIZE + HEAD_SIZE - 32) / 32)
#define TILE 2  // units of a tile; see PRODUCT_BLOCKS in kernels.py
#define ROW_SLICES (UPDATE_THREADS / (TILE * 32))
#define FC1_TILES (HIDDEN / TILE * (FEATURES / 32))
#define CHUNK 64  // rows at a time in shared memory

struct UpdateMemory {
    real columns[CHUNK][32];    // a_nj or x_nj
    real rows[2][CHUNK][TILE];  // dh_ni, or t_ni and t_zero_ni
    real slices[8][32];
};

__device__ inline void descend(int index, real g, const real *__restrict__ hyper, real *params, real *velocity,
                               real *grads)
{
    real lr = hyper[0], momentum = hyper[1], p = params[index];
    grads[index] = g;
    g += hyper[2] * p;
    real v = momentum * velocity[index] + g;
    velocity[index] = v;
    params[index] = p - lr * (hyper[3] != 0 ? g + momentum * v : v);
}

// Columns of (N, width) from `first` on into a tile (CHUNK, WIDTH); rows behind the last are 0.
template <int WIDTH>
__device__ inline void load_tile(real (*tile)[WIDTH], const real *__restrict__ from, int width, int first, int row,
                                 int N)
{
#pragma unroll
    for (int e = threadIdx.x; e < CHUNK * WIDTH; e += UPDATE_THREADS) {
        int n = row + e / WIDTH;
        tile[e / WIDTH][e % WIDTH] = n < N ? from[(int64)n * width + first + e % WIDTH] : (real)0;
    }
}

extern "C" __global__ void __launch_bounds__(UPDATE_THREADS, 3)
train_update(const real *__restrict__ hyper, const real *__restrict__ pooled2, const real *__restrict__ x,
             const real *__restrict__ t, const real *__restrict__ t_zero, const real *__restrict__ dhidden,
             const real *__restrict__ head_parts, const real *__restrict__ row_parts, int64 *counter, real *params,
             real *velocity, real *grads, real *losses, int N, int G, int H, int L)
{
    __shared__ UpdateMemory m;
    int j = threadIdx.x % 32, i = threadIdx.x / 32;

    if (blockIdx.x < SUM_BLOCKS) {
        int index = blockIdx.x * 32 + j;
        bool of_rows = index < ROW_SIZE;
        int count = of_rows ? G : H, stride = of_rows ? ROW_SIZE : HEAD_SIZE;
        const real *parts = of_rows ? row_parts + index : head_parts + (index - ROW_SIZE);
        real sum = 0;
#pragma unroll 8
        for (int k = i; k < count; k += 8) sum += parts[(int64)k * stride];
        m.slices[i][j] = sum;
        __syncthreads();
        if (i == 0) {
            real g = 0;
#pragma unroll
            for (int k = 0; k < 8; k++) g += m.slices[k][j];
            descend(index, g, hyper, params, velocity, grads);
        }
        return;
    }

    int tile = blockIdx.x - SUM_BLOCKS;
    bool of_fc1 = tile < FC1_TILES;
    tile -= of_fc1 ? 0 : FC1_TILES;
    int slice = i / TILE, unit = i % TILE;
    int width = of_fc1 ? FEATURES : HIDDEN, first_i = tile / (width / 32) * TILE, first_j = tile % (width / 32) * 32;
    int index = (of_fc1 ? FC1_WEIGHT : FCN_BETA) + (first_i + unit) * width + first_j + j;
    real sum = 0, beta = params[index];
    for (int row = 0; row < N; row += CHUNK) {
        load_tile<32>(m.columns, of_fc1 ? pooled2 : x, width, first_j, row, N);
        load_tile<TILE>(m.rows[0], of_fc1 ? dhidden : t, HIDDEN, first_i, row, N);
        if (!of_fc1) load_tile<TILE>(m.rows[1], t_zero, HIDDEN, first_i, row, N);
        __syncthreads();
        if (of_fc1) {
#pragma unroll
            for (int n = slice; n < CHUNK; n += ROW_SLICES) sum += m.rows[0][n][unit] * m.columns[n][j];
        } else {
#pragma unroll 8
            for (int n = slice; n < CHUNK; n += ROW_SLICES) {
                real v = m.columns[n][j];
                sum -= synapse_c(1 - beta * v, m.rows[0][n][unit], m.rows[1][n][unit]) * v;
            }
        }
        __syncthreads();
    }
    m.slices[i][j] = sum;
    __syncthreads();
    if (slice == 0) {
        real g = 0;
#pragma unroll
        for (int k = 0; k < ROW_SLICES; k++) g += m.slices[k * TILE + unit][j];
        descend(index, g, hyper, params, velocity, grads);
    }

    if (tile == 0 && !of_fc1 && threadIdx.x == 0) {
        real loss = 0;
#pragma unroll 8
        for (int h = 0; h < H; h++) loss += head_parts[h * HEAD_SIZE + LOSS_PART];
        losses[counter[0] % L] = loss;
        counter[0] += 1;
        counter[1] += N;
    }
}
