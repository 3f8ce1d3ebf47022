// Softmax and log-softmax of rows of K numbers, one warp a row (the formulas: layers/softmax.py, layers/logsoftmax.py).

#define SOFTMAX_THREADS 256

// m = the largest of a row, Σ_k e^{x_k − m}: the same in every lane.
struct Exponentials {
    real largest, sum;
};

__device__ inline Exponentials exponentials_of(const real *__restrict__ row, int K)
{
    Exponentials e = {row[0], 0};
    for (int k = threadIdx.x % 32; k < K; k += 32) e.largest = larger(e.largest, row[k]);
    e.largest = warp_max(e.largest);
    for (int k = threadIdx.x % 32; k < K; k += 32) e.sum += exp(row[k] - e.largest);
    e.sum = warp_sum(e.sum);
    return e;
}

extern "C" __global__ void __launch_bounds__(SOFTMAX_THREADS)
softmax_forward(const real *__restrict__ x, real *y, int N, int K, int is_log)
{
    int n = blockIdx.x * (SOFTMAX_THREADS / 32) + threadIdx.x / 32;
    if (n >= N) return;
    int64 first = (int64)n * K;
    Exponentials e = exponentials_of(x + first, K);
    real log_sum = log(e.sum);
    for (int k = threadIdx.x % 32; k < K; k += 32) {
        real z = x[first + k] - e.largest;
        y[first + k] = is_log ? z - log_sum : exp(z) / e.sum;
    }
}

extern "C" __global__ void __launch_bounds__(SOFTMAX_THREADS)
softmax_backward(const real *__restrict__ dy, const real *__restrict__ y, real *dx, int N, int K, int is_log)
{
    int n = blockIdx.x * (SOFTMAX_THREADS / 32) + threadIdx.x / 32;
    if (n >= N) return;
    int64 first = (int64)n * K;
    real sum = 0;
    for (int k = threadIdx.x % 32; k < K; k += 32) sum += is_log ? dy[first + k] : dy[first + k] * y[first + k];
    sum = warp_sum(sum);
    for (int k = threadIdx.x % 32; k < K; k += 32) {
        real gradient = dy[first + k], value = y[first + k];
        dx[first + k] = is_log ? gradient - exp(value) * sum : value * (gradient - sum);
    }
}
