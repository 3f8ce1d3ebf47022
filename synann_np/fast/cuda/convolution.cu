// 5×5 convolution + bias + channel mask + 2×2 maximum pooling + relu of one image, by the threads of one block.
//
//     z_fhw = b_f + Σ_cij w_fcij x_c,h+i,w+j       u = m_f z       y_fhw = max(0, max_ab u_f,2h+a,2w+b)
//
// Of equal pixels the first one in row-major order wins; a NaN wins. Backward: with (a*, b*) the winner,
//
//     dz_f,2h+a*,2w+b* = dy_fhw m_f [y_fhw > 0], 0 elsewhere: one pixel of four at most
//     dw_fcij = Σ_hw dz_fhw x_c,h+i,w+j       db_f = Σ_hw dz_fhw       dx_chw = Σ_fij w_fcij dz_f,h−i,w−j
//
// A thread computes the four pixels of a window together: their 5×5 patches lie in one of 6×6, which is read once into
// registers, two values a load, and serves 4 · 25 multiply-adds a channel.

// The pixel that won a window: its gradient and where its patch begins in the input.
struct __align__(2 * sizeof(real)) Winner {
    real gradient;
    int place;
};

__device__ inline void load_patch(real patch[6][6], const real *from, int stride)
{
#pragma unroll
    for (int i = 0; i < 6; i++)
#pragma unroll
        for (int j = 0; j < 6; j += 2) {
            real2 two = *(const real2 *)(from + i * stride + j);
            patch[i][j] = two.x;
            patch[i][j + 1] = two.y;
        }
}

// x (C, SIDE, SIDE), weight (F, C, 5, 5), bias (F,), mask (F,) or null -> y, winner (F, P, P), P = (SIDE − 4) / 2.
// x, weight, mask in shared memory. keep (F, P, P), winner: global, or both null. GROUP channels a thread, so that a
// patch is read once for all of them. y is visible after the next __syncthreads().
template <int C, int SIDE, int F, int GROUP>
__device__ inline void conv_pool_relu(const real *x, const real *weight, const real *bias, const real *mask, real *y,
                                      real *keep, uint8 *winner)
{
    constexpr int P = (SIDE - 4) / 2;
    for (int item = threadIdx.x; item < P * P * F / GROUP; item += blockDim.x) {
        int place = item % (P * P), first = item / (P * P) * GROUP;
        real z[GROUP][4];
#pragma unroll
        for (int g = 0; g < GROUP; g++) z[g][0] = z[g][1] = z[g][2] = z[g][3] = bias[first + g];
        for (int c = 0; c < C; c++) {
            real patch[6][6];
            load_patch(patch, x + (c * SIDE + place / P * 2) * SIDE + place % P * 2, SIDE);
#pragma unroll
            for (int g = 0; g < GROUP; g++) {
                const real *kernel = weight + ((first + g) * C + c) * 25;
#pragma unroll
                for (int i = 0; i < 5; i++)
#pragma unroll
                    for (int j = 0; j < 5; j++) {
                        real w = kernel[i * 5 + j];
                        z[g][0] += w * patch[i][j];
                        z[g][1] += w * patch[i][j + 1];
                        z[g][2] += w * patch[i + 1][j];
                        z[g][3] += w * patch[i + 1][j + 1];
                    }
            }
        }
#pragma unroll
        for (int g = 0; g < GROUP; g++) {
            real scale = mask ? mask[first + g] : (real)1, best = z[g][0] * scale;
            int which = 0;
#pragma unroll
            for (int k = 1; k < 4; k++) {
                real u = z[g][k] * scale;
                if (u > best || u != u) {
                    best = u;
                    which = k;
                }
            }
            best = best <= 0 ? (real)0 : best;
            int e = (first + g) * P * P + place;
            y[e] = best;
            if (keep) {
                keep[e] = best;
                winner[e] = (uint8)which;
            }
        }
    }
}

// Where the patch of the winning pixel begins in an input of that side.
template <int SIDE>
__device__ inline int winner_place(int window, int which)
{
    constexpr int P = (SIDE - 4) / 2;
    return (window / P * 2 + which / 2) * SIDE + window % P * 2 + which % 2;
}

// dz of conv2, padded with the zeros that dx needs around it. A row stride of 22 lets 16 threads that read two values
// each, six to a row of windows, hit (nearly) all 32 banks once.
#define DZ_SIDE 16
#define DZ_STRIDE 22
#define DZ_SIZE (C2 * DZ_SIDE * DZ_STRIDE)

// One winner of conv2 into the padded dz: channel f, window 0..15.
__device__ inline void put_dz2(real *dz, int f, int window, int which, real gradient)
{
    int h = window / 4 * 2 + which / 2, w = window % 4 * 2 + which % 2;
    dz[(f * DZ_SIDE + h + 4) * DZ_STRIDE + w + 4] = gradient;
}

// dx of conv2: 2×2 pixels of channel c, from row 2Y, column 2X on -> dx[4]. A dropped channel has dz = 0: left out.
__device__ inline void conv2_dx(real dx[4], const real *dz, const real *__restrict__ weight, const real *mask, int c,
                                int Y, int X)
{
    dx[0] = dx[1] = dx[2] = dx[3] = 0;
    for (int f = 0; f < C2; f++) {
        if (mask[f] == 0) continue;
        real patch[6][6];
        load_patch(patch, dz + (f * DZ_SIDE + 2 * Y) * DZ_STRIDE + 2 * X, DZ_STRIDE);
        const real *kernel = weight + (f * C1 + c) * 25;
#pragma unroll
        for (int i = 0; i < 5; i++)
#pragma unroll
            for (int j = 0; j < 5; j++) {
                real w = kernel[i * 5 + j];
                dx[0] += w * patch[4 - i][4 - j];
                dx[1] += w * patch[4 - i][5 - j];
                dx[2] += w * patch[5 - i][4 - j];
                dx[3] += w * patch[5 - i][5 - j];
            }
    }
}

// Σ over the windows of one channel: the part of dw that one image adds, for the input pixel at `offset` in a patch.
template <int WINDOWS>
__device__ inline real winners_times(const Winner *winners, const real *x, int offset)
{
    real sum = 0;
#pragma unroll 16
    for (int k = 0; k < WINDOWS; k++) {
        Winner w = winners[k];
        sum += w.gradient * x[w.place + offset];
    }
    return sum;
}

template <int WINDOWS>
__device__ inline real sum_of_gradients(const Winner *winners)
{
    real sum = 0;
#pragma unroll 16
    for (int k = 0; k < WINDOWS; k++) sum += winners[k].gradient;
    return sum;
}
