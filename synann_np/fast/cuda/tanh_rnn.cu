// The plain recurrent layer (the derivation: layers/rnn.py), see recurrent.cu. driven: W x_t + b + c.
//
//     h_t = tanh(driven_t + R h_t−1)      da_t = dh_t (1 − h_t²)      dh_t−1 = dy_t−1 + da_t R

extern "C" __global__ void __launch_bounds__(RNN_THREADS)
tanh_rnn_forward(const real *__restrict__ driven, const real *__restrict__ weight, real *h, int T, int N, int I)
{
    __shared__ real states[2][RNN_UNITS];
    int lane = threadIdx.x % 4;
    for (int i = threadIdx.x; i < I; i += RNN_THREADS) states[0][i] = 0;
    __syncthreads();
    for (int t = 0; t < T; t++) {
        const real *before = states[t % 2];
        real *after = states[1 - t % 2];
        int64 row = ((int64)t * N + blockIdx.x) * I;
        for (int start = 0; start < I; start += RNN_THREADS / 4) {
            int i = start + threadIdx.x / 4;
            real sum = 0;
            if (i < I)
                for (int j = lane; j < I; j += 4) sum += weight[i * I + j] * before[j];
            sum = group_sum<4>(sum);
            if (i < I && lane == 0) after[i] = h[row + i] = tanh(driven[row + i] + sum);
        }
        __syncthreads();
    }
}

// before: h_t−1 of all steps.
extern "C" __global__ void __launch_bounds__(RNN_THREADS)
tanh_rnn_backward(const real *__restrict__ dy, const real *__restrict__ weight, const real *__restrict__ h, real *da,
                  real *before, int T, int N, int I, int D, int cut)
{
    __shared__ real row_da[RNN_UNITS], sent_back[RNN_UNITS];
    int lane = threadIdx.x % 4;
    for (int i = threadIdx.x; i < I; i += RNN_THREADS) sent_back[i] = 0;
    __syncthreads();
    for (int t = T - 1; t >= 0; t--) {
        int64 row = ((int64)t * N + blockIdx.x) * I, last = row - (int64)N * I;
        for (int i = threadIdx.x; i < I; i += RNN_THREADS) {
            real dh = output_gradient(dy, t, i, T, D, I) + sent_back[i], state = h[row + i];
            da[row + i] = row_da[i] = dh * (1 - state * state);
            before[row + i] = t == 0 ? (real)0 : h[last + i];
        }
        __syncthreads();
        bool passes = !is_cut(t, T, cut);
        for (int start = 0; start < I; start += RNN_THREADS / 4) {
            int j = start + threadIdx.x / 4;
            real sum = 0;
            if (j < I && passes)
                for (int i = lane; i < I; i += 4) sum += row_da[i] * weight[i * I + j];
            sum = group_sum<4>(sum);
            if (j < I && lane == 0) sent_back[j] = sum;
        }
        __syncthreads();
    }
}
