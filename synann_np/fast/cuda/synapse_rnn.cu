// The recurrent synapse layer (the derivation: layers/synapse_rnn.py), see recurrent.cu:
//
//     h_t = (1 − g) h_t−1 + g S_t,    S_ti = α_i e_ti P_ti,    P_ti = ∏_j (1 − β_ij h_t−1,j)
//
// What t and t_zero are: synapse.cu; dβ is the sum over all rows and steps that synapse_backward_beta takes of them.

extern "C" __global__ void __launch_bounds__(RNN_THREADS)
rnn_forward(const real *__restrict__ e, const real *__restrict__ alpha, const real *__restrict__ g,
            const real *__restrict__ beta, real *h, real *product, uint8 *zeros, int T, int N, int I)
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
            Product p = {1, 0, 0};
            if (i < I)
                for (int j = lane; j < I; j += 4) multiply(p, 1 - beta[(int64)i * I + j] * before[j]);
            for (int distance = 1; distance < 4; distance *= 2) {
                Product other;
                other.mantissa = __shfl_xor_sync(WHOLE_WARP, p.mantissa, distance);
                other.exponent = __shfl_xor_sync(WHOLE_WARP, p.exponent, distance);
                other.zeros = __shfl_xor_sync(WHOLE_WARP, p.zeros, distance);
                multiply(p, other);
            }
            if (i < I && lane == 0) {
                real R = value_of(p), S = alpha[i] * e[row + i] * (p.zeros == 0 ? R : (real)0);
                real state = (1 - g[i]) * before[i] + g[i] * S;
                after[i] = h[row + i] = state;
                product[row + i] = R;
                zeros[row + i] = (uint8)p.zeros;
            }
        }
        __syncthreads();
    }
}

// dalpha and dg are not yet summed over rows and steps.
extern "C" __global__ void __launch_bounds__(RNN_THREADS)
rnn_backward(const real *__restrict__ dy, const real *__restrict__ e, const real *__restrict__ alpha,
             const real *__restrict__ g, const real *__restrict__ beta, const real *__restrict__ h,
             const real *__restrict__ product, const uint8 *__restrict__ zeros, real *t, real *t_zero, real *v, real *de,
             real *dalpha, real *dg, int T, int N, int I, int D, int cut)
{
    __shared__ real row_t[RNN_UNITS], row_t_zero[RNN_UNITS], sent_back[RNN_UNITS];
    int lane = threadIdx.x % 4;
    for (int i = threadIdx.x; i < I; i += RNN_THREADS) sent_back[i] = 0;
    __syncthreads();
    for (int step = T - 1; step >= 0; step--) {
        int64 row = ((int64)step * N + blockIdx.x) * I, last = row - (int64)N * I;
        for (int i = threadIdx.x; i < I; i += RNN_THREADS) {
            int64 place = row + i;
            real dh = output_gradient(dy, step, i, T, D, I) + sent_back[i], dS = dh * g[i], R = product[place];
            real P = zeros[place] == 0 ? R : (real)0, state = step == 0 ? (real)0 : h[last + i];
            real gradient = dS * alpha[i] * e[place] * R;
            t[place] = row_t[i] = zeros[place] == 0 ? gradient : (real)0;
            t_zero[place] = row_t_zero[i] = zeros[place] == 1 ? gradient : (real)0;
            v[place] = state;
            de[place] = dS * alpha[i] * P;
            dalpha[place] = dS * e[place] * P;
            dg[place] = dh * (alpha[i] * e[place] * P - state);
            sent_back[i] = dh * (1 - g[i]);
        }
        __syncthreads();
        bool passes = !is_cut(step, T, cut);
        for (int start = 0; start < I; start += RNN_THREADS / 4) {
            int j = start + threadIdx.x / 4;
            real sum = 0;
            if (j < I && passes) {
                real state = h[last + j];
                for (int i = lane; i < I; i += 4) {
                    real b = beta[(int64)i * I + j];
                    sum += clip(synapse_c(1 - b * state, row_t[i], row_t_zero[i]) * b, SQRT_LARGEST);
                }
            }
            sum = group_sum<4>(sum);
            if (j < I && lane == 0) sent_back[j] = passes ? sent_back[j] - sum : (real)0;
        }
        __syncthreads();
    }
}
