// From batch-norm back to conv1, one row after the other, a block for every G-th row.
//
//     batch-norm → synapse → softmax → fc1_drop → relu3 → fc1 → relu2 → pool2 → conv2_drop → conv2 → relu1 → pool1
//     → conv1
//
// Batch-norm: dy = w s (dz − (1/N) Σ dz − x̂ (1/N) Σ dz x̂); the two sums are those of train_head, added here.
//
// The gradients of the convolutions' weights, of fc1's bias and of α are summed over the block's rows in registers and
// leave as one part a block. Those of fc1's weight and of β are products over the rows: train_update forms them from
// dhidden, t and t_zero. Work of a row: 300,000 multiply-adds for dx of conv2 (dropped channels are left out), 40,000
// for its dw and 36,000 for that of conv1 (winners only), 20,480 for dx of fc1. 44 KiB shared.

#define BACKWARD_THREADS 384
#define SLICES (BACKWARD_THREADS / HIDDEN)

struct BackwardMemory {
    real means[2 * HIDDEN];  // (1/N) Σ dz x̂, (1/N) Σ dz
    real x[HIDDEN], dx[HIDDEN], dh[HIDDEN], t[HIDDEN], t_zero[HIDDEN];
    real slices[SLICES][HIDDEN];
    real mask[C2];
    __align__(4 * sizeof(real)) real pooled1[C1 * 144];
    __align__(4 * sizeof(real)) real pixels[784];
    Winner winners2[FEATURES];
    union __align__(4 * sizeof(real)) {
        real dz[DZ_SIZE];           // of conv2
        Winner winners1[C1 * 144];  // after dz was used
    };
};

extern "C" __global__ void __launch_bounds__(BACKWARD_THREADS, 2)
train_backward(const uint8 *__restrict__ images, const int *__restrict__ order, const int64 *__restrict__ counter,
               const uint64 *__restrict__ seeds, const real *__restrict__ params, const real *__restrict__ pooled1,
               const uint8 *__restrict__ winner1, const real *__restrict__ pooled2, const uint8 *__restrict__ winner2,
               const real *__restrict__ hidden, const real *__restrict__ x, const real *__restrict__ product,
               const uint8 *__restrict__ zeros, const real *__restrict__ y, const real *__restrict__ stats,
               const real *__restrict__ dz, const real *__restrict__ head_parts, real *__restrict__ dy,
               real *__restrict__ t, real *__restrict__ t_zero, real *__restrict__ dhidden,
               real *__restrict__ row_parts, int N, int H)
{
    __shared__ BackwardMemory m;
    int thread = threadIdx.x;
    uint64 key2 = mask_key(seeds[0], counter[0]), key3 = mask_key(seeds[1], counter[0]);
    if (thread < 2 * HIDDEN) {  // fcb.weight and fcb.bias stand first in a part
        real sum = 0;
#pragma unroll 8
        for (int h = 0; h < H; h++) sum += head_parts[h * HEAD_SIZE + thread];
        m.means[thread] = sum / N;
    }

    // A thread's weights: (c, tap) of conv2 for all f, (f, tap) of conv1; i of fc1.bias and α.
    int tap = thread % 25, channel = thread / 25;
    real dw2[C2] = {}, db2 = 0, dw1 = 0, db1 = 0, dbias = 0, dalpha = 0;

    for (int64 n = blockIdx.x; n < N; n += gridDim.x) {
        copy_array<C1 * 144, BACKWARD_THREADS>(m.pooled1, pooled1 + n * C1 * 144);
        load_pixels<BACKWARD_THREADS>(m.pixels, images + (int64)order[counter[1] + n] * 784);
        for (int e = thread; e < DZ_SIZE; e += BACKWARD_THREADS) m.dz[e] = 0;
        if (thread < C2) m.mask[thread] = half_mask(key2, (uint32)n * C2 + thread);
        __syncthreads();

        real direct = 0;  // dy α P: the way of x that is not through the factors
        if (thread < HIDDEN) {
            int64 e = n * HIDDEN + thread;
            real s = stats[HIDDEN + thread], x_hat = (y[e] - stats[thread]) * s, alpha = params[FCN_ALPHA + thread];
            real g = params[FCB_WEIGHT + thread] * s * (dz[e] - m.means[HIDDEN + thread] - x_hat * m.means[thread]);
            real R = product[e], P = zeros[e] == 0 ? R : (real)0, c = g * alpha * x[e] * R;
            m.x[thread] = x[e];
            dy[e] = g;
            t[e] = m.t[thread] = zeros[e] == 0 ? c : (real)0;
            t_zero[e] = m.t_zero[thread] = zeros[e] == 1 ? c : (real)0;
            dalpha += g * x[e] * P;
            direct = g * alpha * P;
        }
        __syncthreads();
        m.slices[thread / HIDDEN][thread % HIDDEN] =
            synapse_dv_part<SLICES>(m.t, m.t_zero, m.x[thread % HIDDEN], params + FCN_BETA, thread % HIDDEN,
                                    thread / HIDDEN);
        __syncthreads();
        if (thread < HIDDEN) {
            real sum = 0;
            for (int k = 0; k < SLICES; k++) sum += m.slices[k][thread];
            m.dx[thread] = direct - sum;
        }
        __syncthreads();
        if (thread < 32) hidden_softmax_backward(m.dx, m.x, m.dh);
        __syncthreads();
        if (thread < HIDDEN) {
            int64 e = n * HIDDEN + thread;
            real dh = hidden[e] > 0 ? m.dh[thread] * half_mask(key3, (uint32)e) : (real)0;
            dhidden[e] = m.dh[thread] = dh;
            dbias += dh;
        }
        __syncthreads();

        if (thread < FEATURES) {
            int64 e = n * FEATURES + thread;
            int f = thread / 16, window = thread % 16, which = winner2[e];
            real g = pooled2[e] > 0 ? dense_dx(m.dh, params + FC1_WEIGHT, thread) * m.mask[f] : (real)0;
            m.winners2[thread] = {g, winner_place<12>(window, which)};
            put_dz2(m.dz, f, window, which, g);
        }
        __syncthreads();
        if (thread < C1 * 25) {
            const real *input = m.pooled1 + channel * 144;
            int offset = tap / 5 * 12 + tap % 5;
#pragma unroll
            for (int f = 0; f < C2; f++)
                if (m.mask[f] != 0) dw2[f] += winners_times<16>(m.winners2 + f * 16, input, offset);
        } else if (thread >= 352 && thread < 352 + C2) {
            db2 += sum_of_gradients<16>(m.winners2 + (thread - 352) * 16);
        }
        real g1[4];
        int c = thread / 36, Y = thread % 36 / 6, X = thread % 6;
        if (thread < C1 * 36) conv2_dx(g1, m.dz, params + CONV2_WEIGHT, m.mask, c, Y, X);
        __syncthreads();
        if (thread < C1 * 36)
#pragma unroll
            for (int k = 0; k < 4; k++) {
                int window = (2 * Y + k / 2) * 12 + 2 * X + k % 2, e = c * 144 + window;
                m.winners1[e] = {m.pooled1[e] > 0 ? g1[k] : (real)0,
                                 winner_place<28>(window, winner1[n * C1 * 144 + e])};
            }
        __syncthreads();
        if (thread < C1 * 25)
            dw1 += winners_times<144>(m.winners1 + channel * 144, m.pixels, tap / 5 * 28 + tap % 5);
        else if (thread >= 352 && thread < 352 + C1)
            db1 += sum_of_gradients<144>(m.winners1 + (thread - 352) * 144);
        __syncthreads();
    }

    real *part = row_parts + (int64)blockIdx.x * ROW_SIZE;
    if (thread < C1 * 25) {
        part[CONV1_WEIGHT + thread] = dw1;
#pragma unroll
        for (int f = 0; f < C2; f++) part[CONV2_WEIGHT + f * C1 * 25 + thread] = dw2[f];
    }
    if (thread >= 352 && thread < 352 + C2) part[CONV2_BIAS + thread - 352] = db2;
    if (thread >= 352 && thread < 352 + C1) part[CONV1_BIAS + thread - 352] = db1;
    if (thread < HIDDEN) {
        part[FC1_BIAS + thread] = dbias;
        part[FCN_ALPHA + thread] = dalpha;
    }
}
