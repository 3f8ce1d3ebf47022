// Cross-entropy of class labels from logits, and its gradient: log-softmax and nll_loss, forward and backward at once
// (the derivation: losses/negative_log_likelihood.py). With weights c of classes, s of samples, label smoothing ε:
//
//     w_n  = s_n c[label_n]; s_n and w_n are 0 for the ignored label      W = Σ_n w_n, 1 where that is 0
//     t_nk = ((1 − ε) w_n [k = label_n] + (ε/K) s_n c_k) / W              the target distribution, weighted
//     loss = −Σ_nk t_nk log p_nk                                          dlogits_nk = p_nk Σ_j t_nj − t_nk
//
// One warp a row. Every block sums W itself, which costs less than a launch.

#define CROSS_ENTROPY_THREADS 256

extern "C" __global__ void __launch_bounds__(CROSS_ENTROPY_THREADS)
cross_entropy(const real *__restrict__ logits, const int64 *__restrict__ labels, const int64 *__restrict__ ignored,
              const real *__restrict__ class_weights, const real *__restrict__ sample_weights, real *dlogits,
              real *row_losses, int N, int K, int class_weighted, int sample_weighted, real smoothing)
{
    __shared__ real slots[CROSS_ENTROPY_THREADS / 32];
    auto class_weight = [=](int64 k) { return class_weighted ? class_weights[k] : (real)1; };
    auto sample_weight = [=](int n) {
        if (labels[n] == *ignored) return (real)0;
        if (labels[n] < 0 || labels[n] >= K) return sqrt((real)-1);  // NaN, which the loss shows
        return sample_weighted ? sample_weights[n] : (real)1;
    };
    auto row_weight = [=](int n) {
        real s = sample_weight(n);
        return s > 0 ? s * class_weight(labels[n]) : s;
    };
    real W = 0;
    for (int n = threadIdx.x; n < N; n += CROSS_ENTROPY_THREADS) W += row_weight(n);
    W = block_sum<CROSS_ENTROPY_THREADS>(W, slots);
    if (!(W > 0)) W = 1;

    int n = blockIdx.x * (CROSS_ENTROPY_THREADS / 32) + threadIdx.x / 32, lane = threadIdx.x % 32;
    if (n >= N) return;
    int64 first = (int64)n * K, label = labels[n];
    real of_label = row_weight(n) * ((1 - smoothing) / W), of_all = sample_weight(n) * (smoothing / (real)K / W);
    real sum_c = 0, loss = 0;
    for (int k = lane; k < K; k += 32) sum_c += class_weight(k);
    real sum_t = of_label + of_all * warp_sum(sum_c);
    Exponentials e = exponentials_of(logits + first, K);
    real log_sum = log(e.sum);
    for (int k = lane; k < K; k += 32) {
        real log_p = logits[first + k] - e.largest - log_sum;
        real t = of_all * class_weight(k) + (k == label ? of_label : (real)0);
        if (t != 0 || log_p != log_p) loss -= t * log_p;  // 0 · ∞ counts as 0, NaN is not hidden
        dlogits[first + k] = exp(log_p) * sum_t - t;
    }
    loss = warp_sum(loss);
    if (lane == 0) row_losses[n] = loss;
}

extern "C" __global__ void __launch_bounds__(CROSS_ENTROPY_THREADS)
sum_of_losses(const real *__restrict__ row_losses, real *loss, int N)
{
    __shared__ real slots[CROSS_ENTROPY_THREADS / 32];
    real sum = 0;
    for (int n = threadIdx.x; n < N; n += CROSS_ENTROPY_THREADS) sum += row_losses[n];
    sum = block_sum<CROSS_ENTROPY_THREADS>(sum, slots);
    if (threadIdx.x == 0) *loss = sum;
}
