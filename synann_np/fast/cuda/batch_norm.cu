// Batch-norm in training, with a relu after it if there is one. One block a channel; the formulas: layers/batchnorm.py.
//
// Element m of channel c is at c · stride_c + m · stride_m: the batch is innermost in images, the channel in rows.
// unbiased: M / (M − 1).

#define BATCH_NORM_THREADS 256

extern "C" __global__ void __launch_bounds__(BATCH_NORM_THREADS)
batch_norm_forward(const real *__restrict__ x, const real *__restrict__ weight, const real *__restrict__ bias,
                   real *running_mean, real *running_var, real *x_hat, real *s, real *y, int C, int M, int stride_c,
                   int stride_m, int relu, real eps, real momentum, real unbiased)
{
    __shared__ real slots[BATCH_NORM_THREADS / 32];
    int c = blockIdx.x;
    int64 first = (int64)c * stride_c;
    real sum = 0, squares = 0;
    for (int m = threadIdx.x; m < M; m += BATCH_NORM_THREADS) sum += x[first + (int64)m * stride_m];
    real mean = block_sum<BATCH_NORM_THREADS>(sum, slots) / (real)M;
    for (int m = threadIdx.x; m < M; m += BATCH_NORM_THREADS) {
        real centred = x[first + (int64)m * stride_m] - mean;
        squares += centred * centred;
    }
    real var = block_sum<BATCH_NORM_THREADS>(squares, slots) / (real)M;
    real scale = 1 / sqrt(var + eps), w = weight[c], b = bias[c];
    for (int m = threadIdx.x; m < M; m += BATCH_NORM_THREADS) {
        int64 place = first + (int64)m * stride_m;
        real centred = (x[place] - mean) * scale, value = w * centred + b;
        x_hat[place] = centred;
        y[place] = relu ? larger(value, (real)0) : value;
    }
    if (threadIdx.x == 0) {
        s[c] = scale;
        running_mean[c] += momentum * (mean - running_mean[c]);
        running_var[c] += momentum * (var * unbiased - running_var[c]);
    }
}

extern "C" __global__ void __launch_bounds__(BATCH_NORM_THREADS)
batch_norm_backward(const real *__restrict__ dy, const real *__restrict__ x_hat, const real *__restrict__ s,
                    const real *__restrict__ weight, const real *__restrict__ y, real *dx, real *dweight, real *dbias,
                    int C, int M, int stride_c, int stride_m, int relu)
{
    __shared__ real slots[BATCH_NORM_THREADS / 32];
    int c = blockIdx.x;
    int64 first = (int64)c * stride_c;
    real sum = 0, products = 0;
    for (int m = threadIdx.x; m < M; m += BATCH_NORM_THREADS) {
        int64 place = first + (int64)m * stride_m;
        real d = relu && !(y[place] > 0) ? (real)0 : dy[place];
        sum += d;
        products += d * x_hat[place];
    }
    sum = block_sum<BATCH_NORM_THREADS>(sum, slots);
    products = block_sum<BATCH_NORM_THREADS>(products, slots);
    real w = weight[c], mean = w * sum / (real)M, mean_x_hat = w * products / (real)M, scale = s[c];
    for (int m = threadIdx.x; m < M; m += BATCH_NORM_THREADS) {
        int64 place = first + (int64)m * stride_m;
        real d = relu && !(y[place] > 0) ? (real)0 : dy[place];
        dx[place] = scale * (w * d - mean - x_hat[place] * mean_x_hat);
    }
    if (threadIdx.x == 0) {
        dweight[c] = products;
        dbias[c] = sum;
    }
}
