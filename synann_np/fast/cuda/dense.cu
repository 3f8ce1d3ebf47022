// Fully connected layer, relu, dropout, softmax of one row, by the threads of one block.
//
//     h_i = max(0, b_i + Σ_j w_ij a_j)       x = softmax(m h)
//
// Backward, with u = m h:   du_i = x_i (dx_i − Σ_k dx_k x_k)     dh_i = du_i m_i [h_i > 0]     da_j = Σ_i dh_i w_ij

// a (FEATURES,) in shared memory -> h (HIDDEN,) in shared memory. A warp computes one unit at a time: its lanes read
// neighbouring weights.
__device__ inline void dense_relu(const real *a, const real *__restrict__ weight, const real *__restrict__ bias,
                                  real *h)
{
    int lane = threadIdx.x % 32;
    for (int i = threadIdx.x / 32; i < HIDDEN; i += blockDim.x / 32) {
        real sum = 0;
#pragma unroll
        for (int j = lane; j < FEATURES; j += 32) sum += weight[i * FEATURES + j] * a[j];
        sum = warp_sum(sum) + bias[i];
        if (lane == 0) h[i] = sum <= 0 ? (real)0 : sum;
    }
}

// The first warp: u, x (HIDDEN,) in shared memory, two units a lane. u and x may be one array.
__device__ inline void hidden_softmax(const real *u, real *x)
{
    int lane = threadIdx.x;
    real first = u[lane], second = u[lane + 32], largest = warp_max(larger(first, second));
    first = exp(first - largest);
    second = exp(second - largest);
    real sum = warp_sum(first + second);
    x[lane] = first / sum;
    x[lane + 32] = second / sum;
}

// The first warp: du = x (dx − Σ dx x), (HIDDEN,) each. du and dx may be one array.
__device__ inline void hidden_softmax_backward(const real *dx, const real *x, real *du)
{
    int lane = threadIdx.x;
    real first = dx[lane], second = dx[lane + 32];
    real sum = warp_sum(first * x[lane] + second * x[lane + 32]);
    du[lane] = x[lane] * (first - sum);
    du[lane + 32] = x[lane + 32] * (second - sum);
}

// da_j of one j: neighbouring threads read neighbouring weights.
__device__ inline real dense_dx(const real *dh, const real *__restrict__ weight, int j)
{
    real sum = 0;
#pragma unroll 16
    for (int i = 0; i < HIDDEN; i++) sum += dh[i] * weight[i * FEATURES + j];
    return sum;
}
