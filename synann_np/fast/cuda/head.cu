// Behind the synapse: batch-norm, fc2, log-softmax, loss; in training also the gradients of all of these.
//
//     x̂ = (y − μ) s,  s = 1/√(σ² + ε)      z = w x̂ + b      l_k = b_k + Σ_i w_ki z_i      p = softmax(l)
//     loss = −(1/N) Σ_n log p_n,label
//     dl_k = (p_k − [k = label]) / N       dw_ki = Σ_n dl_k z_i      db_k = Σ_n dl_k      dz_i = Σ_k dl_k w_ki
//     dw_i = Σ_n dz_i x̂_i                  db_i = Σ_n dz_i
//
// μ and σ² need all rows at once. Every block sums them itself, from the cache, which costs less than a launch, and in
// one pass, by the differences from row 0:
//
//     d_n = y_n − y_0      μ = y_0 + Σ d / N      σ² = (Σ d² − (Σ d)² / N) / N
//
// Row 0 is one of the N, so (μ − y_0)² ≤ N σ²: the difference loses log2(N) bits at worst, few as a rule. Then a block
// takes four rows at a time: thread (r, i) = (threadIdx / 64, threadIdx % 64). Sums over rows leave the block as one
// part a block, in the order of the flat parameters from fcb.weight on, behind them the part of the loss.

#define ROWS 4
#define HEAD_THREADS (ROWS * HIDDEN)
#define W_STRIDE (HIDDEN + 1)  // ten threads read ten rows of the weight at once: from ten banks
#define BATCH_NORM_EPS ((real)1e-5)
#define BATCH_NORM_MOMENTUM ((real)0.1)
#define LOSS_PART (HEAD_SIZE - 32)

struct HeadMemory {
    real weight[CLASSES * W_STRIDE];
    real z[ROWS][HIDDEN];
    real logits[ROWS][CLASSES];
    real dl[ROWS][CLASSES];
    real sums[2][ROWS][HIDDEN];
};

__device__ inline void load_fc2(HeadMemory &m, const real *__restrict__ params)
{
    for (int e = threadIdx.x; e < CLASSES * HIDDEN; e += HEAD_THREADS)
        m.weight[e / HIDDEN * W_STRIDE + e % HIDDEN] = params[FC2_WEIGHT + e];
}

// Sum over the ROWS slices of the rows; the same order in every thread.
__device__ inline real sum_of_slices(const real slices[ROWS][HIDDEN], int i)
{
    real sum = 0;
#pragma unroll
    for (int r = 0; r < ROWS; r++) sum += slices[r][i];
    return sum;
}

// Threads r · CLASSES + k: l_k of row r. Needs z, leaves logits; a __syncthreads() is due before and after.
__device__ inline void logits_of_rows(HeadMemory &m, const real *__restrict__ params)
{
    if (threadIdx.x < ROWS * CLASSES) {
        int r = threadIdx.x / CLASSES, k = threadIdx.x % CLASSES;
        real sum = 0;
#pragma unroll 16
        for (int i = 0; i < HIDDEN; i++) sum += m.weight[k * W_STRIDE + i] * m.z[r][i];
        m.logits[r][k] = sum + params[FC2_BIAS + k];
    }
}

// log p_k = l_k − max − log Σ e^{l − max}
__device__ inline real log_softmax(const real *logits, int k)
{
    real largest = logits[0], sum = 0;
#pragma unroll
    for (int c = 1; c < CLASSES; c++) largest = larger(largest, logits[c]);
#pragma unroll
    for (int c = 0; c < CLASSES; c++) sum += exp(logits[c] - largest);
    return logits[k] - largest - log(sum);
}

extern "C" __global__ void __launch_bounds__(HEAD_THREADS)
train_head(const uint8 *__restrict__ labels, const int *__restrict__ order, const int64 *__restrict__ counter,
           const real *__restrict__ params, const real *__restrict__ y, real *__restrict__ running,
           real *__restrict__ stats, real *__restrict__ dz, real *__restrict__ head_parts, int N)
{
    __shared__ HeadMemory m;
    int r = threadIdx.x / HIDDEN, i = threadIdx.x % HIDDEN;
    load_fc2(m, params);

    real y_0 = y[i], sum = 0, squares = 0;
#pragma unroll 8
    for (int n = r; n < N; n += ROWS) {
        real d = y[n * HIDDEN + i] - y_0;
        sum += d;
        squares += d * d;
    }
    m.sums[0][r][i] = sum;
    m.sums[1][r][i] = squares;
    __syncthreads();
    sum = sum_of_slices(m.sums[0], i);
    squares = sum_of_slices(m.sums[1], i);
    real mean = y_0 + sum / N, variance = (squares - sum * (sum / N)) / N;
    if (variance < 0) variance = 0;  // by rounding; NaN stays
    real s = 1 / sqrt(variance + BATCH_NORM_EPS);
    if (blockIdx.x == 0 && r == 0) {
        real unbiased = variance * ((real)N / (real)(N - 1));
        running[i] += BATCH_NORM_MOMENTUM * (mean - running[i]);
        running[HIDDEN + i] += BATCH_NORM_MOMENTUM * (unbiased - running[HIDDEN + i]);
        stats[i] = mean;
        stats[HIDDEN + i] = s;
    }

    real w = params[FCB_WEIGHT + i], b = params[FCB_BIAS + i];
    real sum_dz = 0, sum_dz_x = 0, loss = 0, db = 0;
    real dw[3] = {0, 0, 0};  // of fc2: weights threadIdx, threadIdx + 256, threadIdx + 512
    for (int first = blockIdx.x * ROWS; first < N; first += gridDim.x * ROWS) {
        int n = first + r, row = threadIdx.x / CLASSES, label = -1;
        if (row < ROWS && first + row < N) label = labels[order[counter[1] + first + row]];  // early: it takes long
        real x_hat = n < N ? (y[n * HIDDEN + i] - mean) * s : (real)0;
        m.z[r][i] = w * x_hat + b;
        __syncthreads();
        logits_of_rows(m, params);
        __syncthreads();
        if (threadIdx.x < ROWS * CLASSES) {
            int k = threadIdx.x % CLASSES;
            real dl = 0;
            if (first + row < N) {
                real log_p = log_softmax(m.logits[row], k);
                bool right = k == label;
                dl = (exp(log_p) - (right ? (real)1 : (real)0)) / N;
                if (right) loss -= log_p;
            }
            m.dl[row][k] = dl;
        }
        __syncthreads();
        real g = 0;
#pragma unroll
        for (int k = 0; k < CLASSES; k++) g += m.dl[r][k] * m.weight[k * W_STRIDE + i];
        if (n < N) dz[n * HIDDEN + i] = g;
        sum_dz += g;
        sum_dz_x += g * x_hat;
#pragma unroll
        for (int o = 0; o < 3; o++) {
            int k = r + o * ROWS;
            if (k < CLASSES)
#pragma unroll
                for (int row = 0; row < ROWS; row++) dw[o] += m.dl[row][k] * m.z[row][i];
        }
        if (threadIdx.x < CLASSES)
#pragma unroll
            for (int row = 0; row < ROWS; row++) db += m.dl[row][threadIdx.x];
        __syncthreads();
    }

    m.sums[0][r][i] = sum_dz_x;
    m.sums[1][r][i] = sum_dz;
    if (threadIdx.x < ROWS * CLASSES) m.logits[threadIdx.x / CLASSES][threadIdx.x % CLASSES] = loss;
    __syncthreads();
    real *part = head_parts + blockIdx.x * HEAD_SIZE;
    if (r == 0) part[FCB_WEIGHT - ROW_SIZE + i] = sum_of_slices(m.sums[0], i);
    if (r == 1) part[FCB_BIAS - ROW_SIZE + i] = sum_of_slices(m.sums[1], i);
#pragma unroll
    for (int o = 0; o < 3; o++)
        if (r + o * ROWS < CLASSES) part[FC2_WEIGHT - ROW_SIZE + threadIdx.x + o * HEAD_THREADS] = dw[o];
    if (threadIdx.x < CLASSES) part[FC2_BIAS - ROW_SIZE + threadIdx.x] = db;
    if (threadIdx.x == 0) {
        real total = 0;
        for (int e = 0; e < ROWS * CLASSES; e++) total += m.logits[e / CLASSES][e % CLASSES];
        part[LOSS_PART] = total / N;
    }
}

extern "C" __global__ void __launch_bounds__(HEAD_THREADS)
evaluate_head(const uint8 *__restrict__ labels, const int *__restrict__ order, const real *__restrict__ params,
              const real *__restrict__ running, const real *__restrict__ y, real *__restrict__ log_probs,
              real *__restrict__ row_loss, int *__restrict__ row_correct, int N, int offset)
{
    __shared__ HeadMemory m;
    int r = threadIdx.x / HIDDEN, i = threadIdx.x % HIDDEN, first = blockIdx.x * ROWS, n = first + r;
    load_fc2(m, params);
    real s = 1 / sqrt(running[HIDDEN + i] + BATCH_NORM_EPS);
    real x_hat = n < N ? (y[n * HIDDEN + i] - running[i]) * s : (real)0;
    m.z[r][i] = params[FCB_WEIGHT + i] * x_hat + params[FCB_BIAS + i];
    __syncthreads();
    logits_of_rows(m, params);
    __syncthreads();
    int row = threadIdx.x / CLASSES, k = threadIdx.x % CLASSES;
    n = first + row;
    if (threadIdx.x < ROWS * CLASSES && n < N) {
        real log_p = log_softmax(m.logits[row], k);
        log_probs[n * CLASSES + k] = log_p;
        int best = 0;  // of equal ones the first, NaN before all, as argmax has it
        for (int c = 1; c < CLASSES; c++)
            if (m.logits[row][c] > m.logits[row][best] || (m.logits[row][c] != m.logits[row][c] &&
                                                           m.logits[row][best] == m.logits[row][best]))
                best = c;
        if (k == labels[order[offset + n]]) {
            row_loss[n] = -log_p;
            row_correct[n] = best == k;
        }
    }
}
