// From the pixels to the synapse, one block an image: all of a row fits into shared memory.
//
//     (x/255 − 0.1307)/0.3081 → conv1 → pool1 → relu1 → conv2 → conv2_drop → pool2 → relu2 → fc1 → relu3 → fc1_drop
//     → softmax → synapse
//
// Work of a block: 288,000 + 640,000 multiply-adds of convolutions twice, 20,480 of fc1, 4096 factors. 31 KiB shared.

#define FORWARD_THREADS 320

struct ForwardMemory {
    __align__(4 * sizeof(real)) real kernels1[C1 * 25 + 2];  // room for a multiple of four
    __align__(4 * sizeof(real)) real kernels2[C2 * C1 * 25];
    __align__(4 * sizeof(real)) real pixels[784];
    real pooled1[C1 * 144];
    real pooled2[FEATURES];
    real mask[C2];
    real hidden[HIDDEN];
    real x[HIDDEN];
};

// Where train_forward keeps what backward needs, of this row; null in evaluation.
struct Kept {
    real *pooled1;
    uint8 *winner1;
    real *pooled2;
    uint8 *winner2;
    real *hidden, *x, *product;
    uint8 *zeros;
};

__device__ inline real pixel(uint32 grey) { return ((real)grey / (real)255 - (real)0.1307) / (real)0.3081; }

// Both begin at a multiple of four values, and 784 is one: a thread loads four pixels as one word.
template <int THREADS>
__device__ inline void load_pixels(real *pixels, const uint8 *__restrict__ image)
{
    static_assert(THREADS >= 784 / 4, "one word a thread");
    int e = threadIdx.x;
    if (e < 784 / 4) {
        uint32 four = ((const uint32 *)image)[e];
        real4 values = {pixel(four & 255), pixel(four >> 8 & 255), pixel(four >> 16 & 255), pixel(four >> 24)};
        ((real4 *)pixels)[e] = values;
    }
}

template <bool TRAIN>
__device__ inline void forward_row(ForwardMemory &m, const uint8 *__restrict__ image, const real *__restrict__ params,
                                   uint64 key2, uint64 key3, int n, Kept kept, real *y)
{
    copy_array<C1 * 25, FORWARD_THREADS>(m.kernels1, params + CONV1_WEIGHT);
    copy_array<C2 * C1 * 25, FORWARD_THREADS>(m.kernels2, params + CONV2_WEIGHT);
    load_pixels<FORWARD_THREADS>(m.pixels, image);  // last: where the image begins has to be fetched first
    if (TRAIN && threadIdx.x < C2) m.mask[threadIdx.x] = half_mask(key2, n * C2 + threadIdx.x);
    __syncthreads();
    conv_pool_relu<1, 28, C1, 5>(m.pixels, m.kernels1, params + CONV1_BIAS, (const real *)0, m.pooled1, kept.pooled1,
                                 kept.winner1);
    __syncthreads();
    conv_pool_relu<C1, 12, C2, 1>(m.pooled1, m.kernels2, params + CONV2_BIAS, TRAIN ? m.mask : (const real *)0,
                                  m.pooled2, kept.pooled2, kept.winner2);
    __syncthreads();
    dense_relu(m.pooled2, params + FC1_WEIGHT, params + FC1_BIAS, m.hidden);
    __syncthreads();
    if (TRAIN) {
        if (threadIdx.x < HIDDEN) {
            real h = m.hidden[threadIdx.x];
            kept.hidden[threadIdx.x] = h;
            m.hidden[threadIdx.x] = h * half_mask(key3, n * HIDDEN + threadIdx.x);
        }
        __syncthreads();
    }
    if (threadIdx.x < 32) hidden_softmax(m.hidden, m.x);
    __syncthreads();
    if (threadIdx.x < 4 * HIDDEN) {
        Product p = synapse_product(m.x, params + FCN_BETA);
        int i = threadIdx.x / 4;
        if (threadIdx.x % 4 == 0) {
            real R = value_of(p), x = m.x[i];
            y[i] = params[FCN_ALPHA + i] * x * (p.zeros == 0 ? R : (real)0);
            if (TRAIN) {
                kept.x[i] = x;
                kept.product[i] = R;
                kept.zeros[i] = (uint8)p.zeros;
            }
        }
    }
}

extern "C" __global__ void __launch_bounds__(FORWARD_THREADS, 1)
train_forward(const uint8 *__restrict__ images, const int *__restrict__ order, const int64 *__restrict__ counter,
              const uint64 *__restrict__ seeds, const real *__restrict__ params, real *__restrict__ pooled1,
              uint8 *__restrict__ winner1, real *__restrict__ pooled2, uint8 *__restrict__ winner2,
              real *__restrict__ hidden, real *__restrict__ x, real *__restrict__ product, uint8 *__restrict__ zeros,
              real *__restrict__ y, int N)
{
    __shared__ ForwardMemory memory;
    int64 n = blockIdx.x;
    Kept kept = {pooled1 + n * C1 * 144,
                 winner1 + n * C1 * 144,
                 pooled2 + n * FEATURES,
                 winner2 + n * FEATURES,
                 hidden + n * HIDDEN,
                 x + n * HIDDEN,
                 product + n * HIDDEN,
                 zeros + n * HIDDEN};
    forward_row<true>(memory, images + (int64)order[counter[1] + n] * 784, params, mask_key(seeds[0], counter[0]),
                      mask_key(seeds[1], counter[0]), (int)n, kept, y + n * HIDDEN);
}

extern "C" __global__ void __launch_bounds__(FORWARD_THREADS, 1)
evaluate_forward(const uint8 *__restrict__ images, const int *__restrict__ order, const real *__restrict__ params,
                 real *__restrict__ y, int N, int offset)
{
    __shared__ ForwardMemory memory;
    int64 n = blockIdx.x;
    Kept nothing = {};
    forward_row<false>(memory, images + (int64)order[offset + n] * 784, params, 0, 0, (int)n, nothing, y + n * HIDDEN);
}
